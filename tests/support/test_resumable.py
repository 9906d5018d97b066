"""What an evaluation keeps."""

import json

import numpy as np
import pytest

from tf_taintradar.support.resumable import Store, checksum


def counted(values):
    calls = []

    def make():
        calls.append(1)
        return {"a": np.array(values), "b": np.array([True, False])}

    return make, calls


def test_it_is_computed_once(tmp_path):
    make, calls = counted([1.5, 2.5])
    first = Store(tmp_path / "run", {"seed": 1}).keep("answers/x", "defaults", make)
    again = Store(tmp_path / "run", {"seed": 1}).keep("answers/x", "defaults", make)
    assert len(calls) == 1
    assert first.keys() == again.keys() == {"a", "b"}
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert first[name].dtype == again[name].dtype


def test_without_a_folder_nothing_is_kept():
    make, calls = counted([1])
    store = Store(None, {})
    store.keep("x", "", make)
    store.keep("x", "", make)
    assert len(calls) == 2


def test_another_setting_needs_another_folder(tmp_path):
    Store(tmp_path / "run", {"seed": 1, "images": "abc"})
    with pytest.raises(ValueError, match=r"another setting \(images\)"):
        Store(tmp_path / "run", {"seed": 1, "images": "abd"})


def test_what_was_made_otherwise_is_not_taken(tmp_path):
    make, _ = counted([1])
    store = Store(tmp_path / "run", {})
    store.keep("x", "steps=10", make)
    with pytest.raises(ValueError, match="was made with other settings"):
        store.keep("x", "steps=20", make)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no kept results"):
        Store(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_broken_file_is_named(tmp_path):
    make, _ = counted([1])
    store = Store(tmp_path / "run", {})
    store.keep("x", "", make)
    file = tmp_path / "run" / "x.npz"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"x\.npz.*Delete it"):
        store.keep("x", "", make)


def test_an_interrupted_one_leaves_nothing(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    store = Store(tmp_path / "run", {"seed": 3})
    with pytest.raises(KeyboardInterrupt):
        store.keep("x", "", interrupted)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["setting.json"]
    assert json.loads((tmp_path / "run" / "setting.json").read_text()) == {"seed": 3}


def test_checksums_tell_shapes_types_and_values_apart():
    one = np.arange(6)
    others = [one.reshape(2, 3), one.astype(np.int32), one + 1, one[::-1]]
    assert len({checksum(array) for array in (one, *others)}) == 5
    assert checksum(one) == checksum(np.arange(6))
