"""The image files of folders: which are found, in which order, and what is said of the others.

Kinds: files nobody looked at; order of frames.
"""

import os

import pytest
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images import find_images, read_image


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder):
    """The paths of the images relative to the folder."""
    return [path.relative_to(folder).as_posix() for path in find_images(folder)]


def test_images_are_found_at_any_depth_those_of_a_folder_before_its_sub_folders(tmp_path):
    names = ["b.JPG", "c.webp", "d.TIFF", "e.gif", "f.bmp", "g.tif", "a/z.png", "a/b/c.jpeg"]
    others = ["notes.txt", ".hidden.png", ".cache/a.png", "a/.b/c.png", "jpg", "h.png.part"]
    touch(tmp_path, *names, *others)
    (tmp_path / "folder.png").mkdir()
    assert found(tmp_path) == names
    assert find_images(str(tmp_path)) == find_images(tmp_path)


def test_numbers_in_names_are_in_numeric_order(tmp_path):
    names = ["frame2.png", "frame10.png", "frame10b.png", "take1/9.png", "take1/10.png"]
    names += ["take2/a1b20.png", "take2/a1b100.png", "take10/1.png", "take10/01.png"]
    touch(tmp_path, *reversed(names))
    expected = names[:-2] + ["take10/01.png", "take10/1.png"]
    assert found(tmp_path) == expected


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JFIF", ".avif", ".ppm", ".ico", ".tga"])
def test_what_pillow_reads_is_found_by_its_suffix(tmp_path, suffix):
    Image.new("RGB", (16, 16), (0, 0, 255)).save(tmp_path / f"a{suffix}")
    (path,) = find_images(tmp_path)
    assert read_image(path, (16, 16, 3)).mean(axis=(0, 1)) == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize("name", ["a.h5", "a.mpg", "a.grib", "a.pdf", "a.keras", "a.py", "a"])
def test_what_pillow_cannot_decode_is_no_image(tmp_path, name, caplog):
    touch(tmp_path, name, "b.png")
    assert found(tmp_path) == ["b.png"]
    assert name in caplog.text


def test_a_hidden_folder_that_is_asked_for_is_searched(tmp_path):
    touch(tmp_path, ".data/a.png")
    assert find_images(tmp_path / ".data") == [tmp_path / ".data" / "a.png"]


def test_no_folder_and_no_images_are_errors(tmp_path):
    with pytest.raises(ImageError, match=r"no folder .*nowhere"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(ImageError, match=r"holds no image.*\.jpeg"):
        find_images(tmp_path)


# Links


def test_links_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/a.png", "elsewhere/deep/b.png", "photos/c.png", "d.png")
    (tmp_path / "photos/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/e.png").symlink_to(tmp_path / "d.png")
    assert found(tmp_path / "photos") == ["c.png", "e.png", "more/a.png", "more/deep/b.png"]
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert len(find_images(tmp_path / "link")) == 4


def test_links_back_are_followed_once(tmp_path, caplog):
    touch(tmp_path, "a.png", "x/b.png", "y/c.png")
    (tmp_path / "x/self").symlink_to(tmp_path / "x")
    (tmp_path / "x/top").symlink_to(tmp_path)
    (tmp_path / "x/other").symlink_to(tmp_path / "y")
    (tmp_path / "y/other").symlink_to(tmp_path / "x")
    names = ["a.png", "x/b.png", "x/other/c.png", "y/c.png", "y/other/b.png"]
    assert found(tmp_path) == names
    assert all(name in caplog.text for name in ("x/self", "x/top", "x/other/other", "Skipped"))


# What is not looked at is counted and named


def test_nothing_is_said_if_all_files_are_images(tmp_path, caplog):
    touch(tmp_path, "a.png", "b/c.png", ".DS_Store", "b/.nomedia")
    find_images(tmp_path)
    assert caplog.text == ""


def test_skipped_files_are_counted_and_named(tmp_path, caplog):
    touch(tmp_path, "a.png", "notes.txt", ".b.png", ".cache/c.png", "d/e.csv")
    find_images(tmp_path)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "Skipped 4 entries" in record.getMessage()
    assert all(name in caplog.text for name in ("notes.txt", ".b.png", ".cache", "e.csv"))
    touch(tmp_path, *(f"{i}.txt" for i in range(20)))
    caplog.clear()
    find_images(tmp_path)
    assert "Skipped 24 entries" in caplog.text
    assert "and 19 more" in caplog.text


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder whose sub-folder `locked` only another user may read, also for root."""
    touch(tmp_path, "a.png", "locked/b.png", "z/c.png")
    listdir = os.listdir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    return tmp_path


def test_unreadable_folders_are_counted_and_named(locked, caplog):
    assert found(locked) == ["a.png", "z/c.png"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "Could not read 1 entry" in record.getMessage()
    assert "locked (Permission denied)" in record.getMessage()


def test_dead_links_and_special_files_are_unreadable(tmp_path, caplog):
    touch(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    os.mkfifo(tmp_path / "pipe.png")
    assert found(tmp_path) == ["a.png"]
    assert "Could not read 3 entries" in caplog.text
    assert all(name in caplog.text for name in ("gone.png", "ring", "pipe.png"))


def test_a_folder_of_unreadable_images_alone_is_an_error(tmp_path, caplog):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="holds no image"):
        find_images(tmp_path)
    assert "gone.png" in caplog.text
