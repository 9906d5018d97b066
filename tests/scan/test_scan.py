"""A scan as an iterator: what is looked at, and what is said of it."""

import hashlib
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from small_detector import build_small_classifier

from tf_taintradar import TaintRadarModel
from tf_taintradar.errors import ImageError, NotCalibratedError
from tf_taintradar.images import find_images
from tf_taintradar.images.files import fit, shown_part
from tf_taintradar.scan import Summary, scan
from tf_taintradar.serving import load

BROKEN = {"half.png", "text.jpg"}


@pytest.fixture(scope="module")
def found(exported, photos):
    return list(scan(exported.radar, photos, batch_size=5))


def test_every_file_has_one_row_in_order(found, photos):
    files = list(map(str, find_images(photos)))
    assert [finding.path for finding in found] == files
    assert len(files) == 34
    assert {os.path.basename(f.path) for f in found if f.status == "unreadable"} == BROKEN


def test_the_verdicts_are_those_of_predict(found, exported, photos):
    files = [path for path in find_images(photos) if path.name not in BROKEN]
    expected = exported.radar.predict(files, verbose=0)
    rows = [finding for finding in found if finding.status == "read"]
    for name in ("label", "is_adversarial", "recovered_label"):
        assert [getattr(row, name) for row in rows] == expected[name].tolist(), name
    np.testing.assert_allclose([row.score for row in rows], expected["score"], atol=1e-6)
    assert 5 < sum(expected["is_adversarial"]) < 32


def test_unreadable_files_have_no_verdict(found, exported):
    for row in (row for row in found if row.status == "unreadable"):
        assert row.is_adversarial is None
        assert row.label is row.score is row.name is row.box is None
        with pytest.raises(ImageError) as theirs:
            exported.radar.predict(row.path, verbose=0)
        assert row.error == str(theirs.value)


def test_a_row_tells_which_file_and_which_detector(found, exported):
    for row in found:
        with open(row.path, "rb") as file:
            contents = file.read()
        assert row.sha256 == hashlib.sha256(contents).hexdigest()
        assert row.size == len(contents)
        assert row.etag == str(os.stat(row.path).st_mtime_ns)
        assert (row.rule, row.threshold, row.calibration) == ("occlusion", 0.09, None)
    assert len({row.detector for row in found}) == 1
    assert found[0].name == exported.radar.class_names[found[0].label]


def test_a_saved_model_gives_the_same_rows(found, exported, photos):
    same = list(scan(load(exported.folder), photos, batch_size=5))
    assert [_without_score(row) for row in same] == [_without_score(row) for row in found]
    both = [(one.score, two.score) for one, two in zip(found, same, strict=True) if one.score]
    np.testing.assert_allclose(*zip(*both, strict=True), atol=1e-6)


def _without_score(row):
    return {name: value for name, value in row.as_dict().items() if name != "score"}


def test_only_what_is_flagged_has_a_region_and_a_witness(found, exported):
    for row in found:
        assert (row.box is not None) == (row.witness is not None) == bool(row.is_adversarial)
        if row.is_adversarial:
            left, top, right, bottom = row.box
            with Image.open(row.path) as image:
                assert 0 <= left < right <= image.width
                assert 0 <= top < bottom <= image.height
            assert row.witness == exported.radar.explain(row.path).reason


@pytest.mark.parametrize("size", [(40, 80), (80, 40), (24, 16), (7, 300), (31, 33)])
def test_the_shown_part_is_what_fit_shows(size):
    """Every pixel of the part is seen, none beside it: what is painted there changes nothing."""
    top, left, height, width = shown_part(size, (24, 16))
    image = np.full((*size, 3), 90, np.uint8)
    image[top : top + height, left : left + width] = 200
    np.testing.assert_array_equal(fit(image, (24, 16)), 200)
    assert (top + height // 2) - size[0] // 2 in (-1, 0, 1)
    assert height == size[0] or width == size[1]


def test_a_region_is_found_in_the_upright_photograph(exported, tmp_path):
    image = next(i for i in exported.images if exported.radar.predict(i[None])["is_adversarial"])
    wide = np.full((24, 56, 3), 128, np.uint8)
    wide[:, 20:36] = image  # the crop that the network sees
    picture = Image.fromarray(wide).rotate(90, expand=True)  # lies on its side, as cameras save it
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "photo.png", exif=exif)
    (row,) = scan(exported.radar, tmp_path)
    region = exported.radar.explain(image).tainted_region
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    expected = (20 + columns[0], rows[0], 20 + columns[-1] + 1, rows[-1] + 1)
    assert row.is_adversarial
    assert row.box == expected


def test_what_is_not_finite_is_flagged_without_a_score(photos):
    classifier = build_small_classifier()
    kernel, bias = classifier.layers[-1].get_weights()
    classifier.layers[-1].set_weights([kernel, bias + np.nan])
    radar = TaintRadarModel(classifier, score_threshold=1.0)
    rows = [row for row in scan(radar, photos / "night") if row.status != "unreadable"]
    assert {(row.status, row.is_adversarial, row.score, row.label) for row in rows} == {
        ("not finite", True, None, None)
    }


def test_lists_patterns_and_files_are_sources(exported, photos):
    def names(source):
        return [os.path.basename(row.path) for row in scan(exported.radar, source)]

    assert names(str(photos / "*" / "1?.png")) == names(f"{photos}/**/1?.png")
    assert len(names(f"{photos}/**/1?.png")) == 10
    assert names([photos / "day" / "0.png", photos / "day"])[0] == "0.png"
    assert len(names([photos / "day" / "0.png", photos / "day", photos])) == 34
    (gone,) = scan(exported.radar, photos / "gone.png")
    assert gone.status == "unreadable"
    assert gone.error == f"Cannot read '{photos}/gone.png': No such file or directory"
    assert gone.sha256 is None


def test_a_folder_that_cannot_be_entered_is_a_row(exported, photos, tmp_path):
    shutil.copytree(photos / "day", tmp_path / "day")
    (tmp_path / "socket.png").symlink_to("nowhere")
    *_, last = scan(exported.radar, tmp_path)
    assert last.path == str(tmp_path / "socket.png")
    assert (last.status, last.is_adversarial) == ("unreadable", None)


def test_shards_are_the_whole_together(exported, photos, found):
    paths = [[row.path for row in scan(exported.radar, photos, shard=(i, 3))] for i in (1, 2, 3)]
    assert sorted(sum(paths, [])) == sorted(row.path for row in found)
    assert [len(part) for part in paths] == [12, 11, 11]


def test_what_cannot_be_scanned_is_said_at_once(exported, photos, tmp_path):
    radar = exported.radar
    with pytest.raises(ValueError, match="`source` must be a folder.*ndarray"):
        scan(radar, exported.images)
    with pytest.raises(ImageError, match="no image"):
        scan(radar, tmp_path)
    with pytest.raises(ValueError, match=r"`shard`.*\(0, 2\)"):
        scan(radar, photos, shard=(0, 2))
    with pytest.raises(ValueError, match="`batch_size`"):
        scan(radar, photos, batch_size=0)
    with pytest.raises(ValueError, match="`detector` must be a TaintRadarModel.*Functional"):
        scan(radar.classifier, photos)
    with pytest.raises(NotCalibratedError, match="no threshold"):
        scan(TaintRadarModel(radar.classifier), photos)


def test_another_threshold_or_other_weights_are_another_detector(exported, photos):
    def checksum(radar):
        return next(iter(scan(radar, photos / "day" / "0.png"))).detector

    radar, other = exported.radar, keras.models.clone_model(exported.radar.classifier)
    checksums = [
        checksum(radar),
        checksum(radar.replaced(score_threshold=0.1)),
        checksum(radar.replaced(classifier=other, score_threshold=0.09)),
        checksum(radar.replaced(variant="windows", score_threshold=0.09)),
    ]
    assert len(set(checksums)) == 4
    assert checksum(radar.replaced(score_threshold=0.09)) == checksums[0]


def test_a_summary_says_what_the_share_can_mean(found):
    calibration = {"fpr": 0.06, "fpr_interval": (0.05, 0.07), "n_images": 2000, "target_fpr": 0.06}
    counted = Summary.of(found)
    assert (counted.n_images, counted.unreadable, counted.n_read) == (34, 2, 32)
    assert counted.flagged == sum(row.is_adversarial is True for row in found)
    assert "set by hand" in str(counted)
    for flagged, meaning in ((200, "More than"), (60, "As many as"), (10, "Fewer than")):
        text = str(Summary(1000, 0, 0, flagged, calibration))
        assert meaning in text
        assert f"flagged: {flagged} of 1000, {flagged / 10:.1f}%" in text
        assert "calibrated: 6.0% of 2000 benign images (95 % 5.0% to 7.0%)" in text
