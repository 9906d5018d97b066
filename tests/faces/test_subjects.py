"""Photographs of people: what counts, what is left out, how they are divided."""

import logging

import numpy as np
import pytest
from drawn_people import draw_people
from PIL import Image

from tf_taintradar.demo.drawn_faces import draw_face
from tf_taintradar.errors import ImageError
from tf_taintradar.vggface import find_subjects

SHAPE = (48, 48, 3)


@pytest.fixture
def people(tmp_path):
    """Three subjects with 4, 5 and 6 photographs."""
    return draw_people(tmp_path / "people", (4, 5, 6))


def test_names_labels_and_counts(people):
    found = find_subjects(people, SHAPE)
    assert found.names == ["subject0", "subject1", "subject2"]
    assert found.counts() == {"subject0": 4, "subject1": 5, "subject2": 6}
    assert found.photographs.labels.tolist() == [0] * 4 + [1] * 5 + [2] * 6
    assert found.unreadable == found.duplicates == []


def test_broken_files_and_copies_are_named_and_left_out(people, caplog):
    broken = people / "subject1" / "broken.jpg"
    broken.write_bytes(b"no picture")
    copy = people / "subject2" / "copy.png"  # of a photograph of somebody else, even
    copy.write_bytes((people / "subject0" / "0.png").read_bytes())
    with caplog.at_level(logging.WARNING):
        found = find_subjects(people, SHAPE)
    assert (found.unreadable, found.duplicates) == ([broken], [copy])
    assert found.counts() == {"subject0": 4, "subject1": 5, "subject2": 6}
    assert "broken.jpg" in caplog.text
    assert "copy.png" in caplog.text
    counted = [record.unreadable for record in caplog.records if hasattr(record, "unreadable")]
    assert counted == [1]  # the command's exit status is 1


def test_photographs_of_a_few_pixels_are_named_and_left_out(people, caplog):
    tiny = people / "subject1" / "tiny.png"
    Image.new("RGB", (20, 30)).save(tiny)
    with caplog.at_level(logging.WARNING):
        assert find_subjects(people, (112, 112, 3)).unreadable == [tiny]
    assert "20 x 30 pixels, too few for a network that takes 112 x 112: at least 28" in caplog.text
    assert find_subjects(people, (80, 80, 3)).unreadable == []


def test_photographs_beside_the_sub_folders_are_named(people, caplog):
    """Kind: files nobody looked at."""
    for name in ("b.png", "a.png"):
        (people / name).write_bytes((people / "subject0" / "0.png").read_bytes())
    with caplog.at_level(logging.WARNING):
        found = find_subjects(people, SHAPE)
    assert found.counts() == {"subject0": 4, "subject1": 5, "subject2": 6}
    expected = f"left out 2 files that are in no sub-folder: {people}/a.png, {people}/b.png"
    assert expected in caplog.text


def test_the_division_depends_on_the_seed_alone(people):
    found = find_subjects(people, SHAPE)
    train, test = found.split(3, seed=1)
    assert np.bincount(train.labels).tolist() == [3, 3, 3]
    assert np.bincount(test.labels).tolist() == [1, 2, 3]
    assert not set(train.hashes) & set(test.hashes)
    assert len(set(train.hashes) | set(test.hashes)) == 15
    again, _ = find_subjects(people, SHAPE).split(3, seed=1)
    assert again.files == train.files
    other, _ = found.split(3, seed=2)
    assert other.files != train.files


def test_folds_leave_each_photograph_out_once_and_nobody_whole(people):
    photographs = find_subjects(people, SHAPE).photographs
    folds = list(photographs.folds(4, seed=1))
    left_out = [part.hashes for _, part in folds]
    assert sorted(sum(left_out, [])) == sorted(photographs.hashes)
    for rest, part in folds:
        assert sorted(rest.hashes + part.hashes) == sorted(photographs.hashes)
        assert np.bincount(part.labels, minlength=3).min() >= 1  # of each of the three
        assert np.ptp(np.bincount(part.labels)) <= 1
    np.testing.assert_array_equal(
        photographs.find(rest), [photographs.files.index(f) for f in rest.files]
    )
    again = [part.hashes for _, part in photographs.folds(4, seed=1)]
    other = [part.hashes for _, part in photographs.folds(4, seed=2)]
    assert left_out == again != other


def test_too_few_photographs(people):
    found = find_subjects(people, SHAPE)
    with pytest.raises(
        ValueError, match=r"2 subjects have no more: subject0 \(4\), subject1 \(5\)"
    ):
        found.split(5, seed=0)
    with pytest.raises(ValueError, match="`n_train` must be an integer of at least 1"):
        found.split(0, seed=0)


def test_folders_that_do_not_hold_subjects(people, tmp_path):
    (people / "nobody").mkdir()
    with pytest.raises(ImageError, match="nobody.*holds no image"):
        find_subjects(people, SHAPE)
    (people / "nobody" / "broken.png").write_bytes(b"x")
    with pytest.raises(ImageError, match="nobody.*holds no image that can be read"):
        find_subjects(people, SHAPE)
    (tmp_path / "one" / "person").mkdir(parents=True)
    with pytest.raises(ImageError, match="at least two subjects. It has 1"):
        find_subjects(tmp_path / "one", SHAPE)
    with pytest.raises(ImageError, match="There is no folder .*nowhere"):
        find_subjects(tmp_path / "nowhere", SHAPE)


def test_drawn_faces_are_people_and_photographs():
    one, same, other_photo, other_person, other_seed = (
        draw_face(*arguments, seed=seed, size=48)
        for *arguments, seed in ((0, 0, 0), (0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1))
    )
    assert one.shape == (48, 48, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, same)
    for different in (other_photo, other_person, other_seed):
        assert (one != different).any()
