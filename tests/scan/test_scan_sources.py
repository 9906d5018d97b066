"""Collections that are no plain files of this machine."""

import dataclasses
import tarfile
import uuid

import pytest

from tf_taintradar.images import find_images
from tf_taintradar.scan import scan
from tf_taintradar.scan.sources import find_items


@pytest.fixture(scope="module")
def expected(exported, photos):
    return list(scan(exported.radar, photos, batch_size=5))


@pytest.fixture
def bucket(photos):
    """An address in memory with the photographs."""
    fsspec = pytest.importorskip("fsspec", reason="addresses need the extra scan")
    address = f"memory://{uuid.uuid4().hex}"
    store = fsspec.filesystem("memory")
    store.put(str(photos), f"/{address[9:]}/photos", recursive=True)
    yield address
    store.rm(f"/{address[9:]}", recursive=True)


def same(found, expected):
    """Whether these are the same findings but for where they are, and since when."""
    names = ("path", "etag", "size", "error")

    def bare(finding):
        blank = {**dict.fromkeys(names, None), "etag": ""}
        return dataclasses.replace(finding, **blank)

    one, two = ([*map(bare, rows)] for rows in (found, expected))
    return sorted(one, key=repr) == sorted(two, key=repr)


def test_a_store_gives_the_same_rows_and_keeps_them(exported, bucket, expected):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra scan")
    found = list(scan(exported.radar, f"{bucket}/photos", f"{bucket}/results", batch_size=5))
    assert same(found, expected)
    assert found[0].path == f"{bucket}/photos/day/0.png".replace("://", ":///")
    assert all(row.etag and row.size for row in found)
    again = scan(exported.radar, f"{bucket}/photos", f"{bucket}/results", batch_size=5)
    assert list(again) == found
    with pytest.raises(ValueError, match="a folder, not a .csv file"):
        scan(exported.radar, f"{bucket}/photos", f"{bucket}/results.csv")


def test_patterns_and_files_of_a_store(bucket):
    assert len(find_items(f"{bucket}/photos/*/1?.png")) == 10
    (item,) = find_items(f"{bucket}/photos/day/0.png")
    assert item.read()[:4] == b"\x89PNG"
    (gone,) = find_items(f"{bucket}/photos/gone.png")
    with pytest.raises(OSError, match="gone"):
        gone.read()


def test_a_store_that_cannot_be_reached_is_an_error_with_its_reason():
    fsspec = pytest.importorskip("fsspec", reason="addresses need the extra scan")

    class Closed(fsspec.AbstractFileSystem):
        def info(self, path, **_):
            raise RuntimeError("no credentials")

    fsspec.register_implementation("closed", Closed)
    with pytest.raises(OSError, match="Cannot look into 'closed://x': no credentials"):
        find_items("closed://x")
    fsspec.register_implementation("lacking", "no_such_package.Store")
    with pytest.raises(ImportError, match="'lacking://x' needs a package"):
        find_items("lacking://x")


def test_a_tar_archive_gives_the_same_rows(exported, photos, expected, tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for file in find_images(photos):
            archive.add(file, "/".join(file.parts[-2:]))
        archive.add(__file__, "000.txt")
    found = list(scan(exported.radar, path, batch_size=5))
    assert same(found, expected)
    assert found[0].path == f"{path}#day/0.png"


def test_a_broken_archive_or_table_is_a_row(exported, photos, tmp_path):
    pytest.importorskip("pyarrow", reason="tables need the extra scan")
    with tarfile.open(tmp_path / "whole.tar", "w") as archive:
        for i in range(3):
            archive.add(photos / "day" / f"{3 * i}.png", f"{i}.png")
    with tarfile.open(tmp_path / "whole.tar") as archive:
        *_, last = archive.getmembers()
    contents = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(contents[: last.offset_data + 100])
    (tmp_path / "none.tar").write_bytes(b"no archive")
    for name in ("none.parquet", "none.arrow"):
        (tmp_path / name).write_bytes(b"no table at all")
    names = ["cut.tar", "none.tar", "none.parquet", "none.arrow", "whole.tar"]
    found = list(scan(exported.radar, [tmp_path / name for name in names], image_column="image"))
    told = [(row.path.rpartition("/")[2], row.status == "read") for row in found]
    assert told == [
        ("cut.tar#0.png", True),
        ("cut.tar#1.png", True),
        ("cut.tar#2.png", False),
        *((name, False) for name in names[:4]),
        *((f"whole.tar#{i}.png", True) for i in range(3)),
    ]
    assert "a whole tar archive that is not compressed" in found[4].error


def test_a_list_of_paths_and_one_file_by_several_names(exported, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    listed = ["day/0.png", "", "gone[1].png", str(photos / "night" / "31.png")]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    found = list(scan(exported.radar, tmp_path / "list.txt"))
    assert [row.path for row in found] == [line for line in listed if line]
    assert [row.status for row in found] == ["read", "unreadable", "read"]
    assert len(find_items([".", photos, "day", "./day/0.png"])) == 34


@pytest.fixture(params=["bytes", "hugging face"])
def column(request, photos):
    """The images as a column of bytes, and as a data set of Hugging Face has them."""
    arrow = pytest.importorskip("pyarrow", reason="tables need the extra scan")
    contents = [file.read_bytes() for file in find_images(photos)]
    if request.param == "bytes":
        return arrow.array(contents)
    return arrow.array([{"bytes": each, "path": None} for each in contents])


def test_tables_give_the_same_rows(exported, column, expected, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"image": column, "label": [0] * len(column)})
    parquet.write_table(table, tmp_path / "images.parquet", row_group_size=10)
    (tmp_path / "set").mkdir()
    with arrow.ipc.new_stream(tmp_path / "set" / "data-0.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    for source in (tmp_path / "images.parquet", tmp_path / "set"):
        found = scan(exported.radar, source, image_column="image", batch_size=5)
        assert same(found, expected)
    with pytest.raises(ValueError, match=r"`image_column` must be one of .*image, label"):
        scan(exported.radar, tmp_path / "images.parquet", image_column="picture")
    with pytest.raises(ValueError, match="the name of the column that has the images"):
        scan(exported.radar, tmp_path / "images.parquet")


def test_a_cell_may_have_the_path_of_its_image(exported, photos, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="tables need the extra scan")
    parquet = pytest.importorskip("pyarrow.parquet")
    image, gone = photos / "day" / "0.png", tmp_path / "gone.png"
    cells = [{"bytes": None, "path": str(path)} for path in (image, gone)]
    parquet.write_table(arrow.table({"image": cells}), tmp_path / "images.parquet")
    found, missing = scan(exported.radar, tmp_path / "images.parquet", image_column="image")
    assert same([found], scan(exported.radar, image))
    assert missing.error.endswith("#1': No such file or directory")


def test_a_cell_without_an_image_is_a_row(exported, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="tables need the extra scan")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"image": [None, b"text"]}), tmp_path / "images.parquet")
    missing, text = scan(exported.radar, tmp_path / "images.parquet", image_column="image")
    assert (missing.status, text.status) == ("unreadable", "unreadable")
    assert missing.error.endswith("#0': column 'image' has no bytes in this row")
    assert missing.is_adversarial is text.is_adversarial is None
