"""Files appear whole or not at all."""

import pytest

from tf_taintradar.support.files import replacing


def test_the_file_appears_when_it_is_finished(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".txt"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_changes_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as partial:
        partial.write_text("ne")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path):
    path = tmp_path / "a"
    (path / "old").mkdir(parents=True)
    with replacing(path) as partial:
        (partial / "new").mkdir(parents=True)
        assert [folder.name for folder in path.iterdir()] == ["old"]
    assert [folder.name for folder in path.iterdir()] == ["new"]
    with pytest.raises(KeyError), replacing(path) as partial:
        (partial / "newer").mkdir(parents=True)
        raise KeyError
    assert [folder.name for folder in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as partial:
        partial.mkdir()
    (partial / "half").mkdir(parents=True)
    with replacing(path) as partial:
        assert not partial.exists()
        partial.mkdir()
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == []
