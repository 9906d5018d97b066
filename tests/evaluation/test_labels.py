"""Labels from a table."""

import pathlib

import numpy as np
import pytest

from tf_taintradar.evaluation.labels import read_labels

FILES = [pathlib.Path(name) for name in ("photos/a/one.png", "photos/b/one.png", "two.jpg")]


def write(folder, *lines):
    file = folder / "labels.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_longest_end_of_a_path_counts(tmp_path):
    file = write(tmp_path, "file,wnid,label", "one.png,x,1", "b/one.png,y,3", "two.jpg,z,owl")
    labels = read_labels(file, FILES, ["cat", "dog", "owl", "fox"])
    np.testing.assert_array_equal(labels, [1, 3, 2])


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="lacks label"):
        read_labels(write(tmp_path, "file,class", "one.png,1"), FILES)
    with pytest.raises(ValueError, match=r"no row for 'two\.jpg'"):
        read_labels(write(tmp_path, "file,label", "one.png,1"), FILES)
    with pytest.raises(ValueError, match="Received: 'owl'"):
        read_labels(write(tmp_path, "file,label", "one.png,owl"), FILES[:1])
    with pytest.raises(ValueError, match="lacks file and label"):
        read_labels(write(tmp_path, ""), FILES)
    with pytest.raises(FileNotFoundError):
        read_labels(tmp_path / "none.csv", FILES)
