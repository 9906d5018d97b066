"""A scan of a bucket, with a server on this machine that speaks S3."""

import contextlib
import dataclasses
import logging

import command
import pytest

from tf_taintradar.scan import results, scan
from tf_taintradar.scan.formats import Parquet

pytestmark = pytest.mark.filterwarnings("default")  # the server's and the clients' own

ACCESS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3():
    """The file system of a server that is empty but for a bucket."""
    fsspec = pytest.importorskip("fsspec", reason="addresses need the extra scan")
    pytest.importorskip("pyarrow", reason="Parquet needs the extra scan")
    pytest.importorskip("s3fs", reason="no s3fs to reach a bucket with")
    moto = pytest.importorskip("moto.server", reason="no moto[server] to have a bucket on")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ACCESS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
        store.mkdir("bucket")
        yield store
    server.stop()


@pytest.fixture
def bucket(s3, photos):
    """The address of a folder with `photos/` in it."""
    s3.put(str(photos), "bucket/work/photos", recursive=True)
    yield "s3://bucket/work"
    s3.rm("bucket/work", recursive=True)


def bare(findings):
    """The findings without what differs between a folder and a bucket, by their contents."""
    blank = {"path": "", "etag": "", "error": None}
    rows = [dataclasses.replace(finding, **blank) for finding in findings]
    return sorted(rows, key=repr)


def kept(s3, tmp_path):
    """The rows of the results, read from the bucket."""
    for name in s3.ls("bucket/work/results", detail=False):
        s3.get_file(name, str(tmp_path / "part.parquet"))
        yield from Parquet().read(tmp_path / "part.parquet")


def test_a_bucket_gives_the_rows_of_the_folder(exported, photos, bucket, s3, tmp_path):
    done = command.run(
        "scan", exported.folder, f"{bucket}/photos", "--output", f"{bucket}/results/"
    )
    assert done.exit_code == 1, done.output  # two files are no images
    rows = list(kept(s3, tmp_path))
    assert bare(rows) == bare(scan(exported.radar, photos))
    assert {row.path.partition("/photos/")[0] for row in rows} == {bucket}
    assert all(row.etag for row in rows)


def test_it_goes_on_and_does_again_what_changed(exported, bucket, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PART_ROWS", 8)
    one_go = list(scan(exported.radar, f"{bucket}/photos", batch_size=4))
    places = f"{bucket}/photos", f"{bucket}/results"
    with contextlib.closing(iter(scan(exported.radar, *places, batch_size=4))) as rows:
        for _ in range(13):
            next(rows)
    half = list(kept(s3, tmp_path))
    assert 12 <= len(half) < len(one_go)
    asked = []
    predict = type(exported.radar).predict

    def counted(this, x, **settings):
        asked.append(len(x))
        return predict(this, x, **settings)

    monkeypatch.setattr(type(exported.radar), "predict", counted)
    assert list(scan(exported.radar, *places, batch_size=4)) == one_go
    assert sum(asked) == sum(row.status == "read" for row in one_go) - sum(
        row.status == "read" for row in half
    )
    s3.copy("bucket/work/photos/day/0.png", "bucket/work/photos/night/text.jpg")
    asked.clear()
    after = list(scan(exported.radar, *places, batch_size=4))
    assert asked == [1]
    changed = set(after) - set(one_go)
    assert {row.path for row in changed} == {f"{bucket}/photos/night/text.jpg"}
    assert sorted(kept(s3, tmp_path), key=repr) == sorted(after, key=repr)


def test_a_part_that_was_cut_off_is_not_read(exported, bucket, s3, tmp_path):
    places = f"{bucket}/photos", f"{bucket}/results"
    whole = list(scan(exported.radar, *places))
    (part,) = s3.ls("bucket/work/results", detail=False)
    contents, partial = s3.cat_file(part), part.replace("part-", ".part-") + ".partial"
    s3.pipe_file(partial, contents[: len(contents) // 2])  # as a killed process may leave it
    s3.rm_file(part)
    assert list(scan(exported.radar, *places)) == whole
    assert s3.ls("bucket/work/results", detail=False) == [part]
    with pytest.raises(ValueError, match="`output` must be of this detector"):
        scan(exported.radar.replaced(score_threshold=0.08), *places)
