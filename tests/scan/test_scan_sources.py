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


def test_a_tar_archive_gives_the_same_rows(exported, photos, expected, tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for file in find_images(photos):
            archive.add(file, "/".join(file.parts[-2:]))
        archive.add(__file__, "000.txt")
    found = list(scan(exported.radar, path, batch_size=5))
    assert same(found, expected)
    assert found[0].path == f"{path}#day/0.png"
    (tmp_path / "broken.tar").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="must be a tar archive"):
        scan(exported.radar, tmp_path / "broken.tar")


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


def test_a_cell_without_an_image_is_a_row(exported, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="tables need the extra scan")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"image": [None, b"text"]}), tmp_path / "images.parquet")
    missing, text = scan(exported.radar, tmp_path / "images.parquet", image_column="image")
    assert (missing.status, text.status) == ("unreadable", "unreadable")
    assert missing.error.endswith("#0': column 'image' has no bytes in this row")
    assert missing.is_adversarial is text.is_adversarial is None
