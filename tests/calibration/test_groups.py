"""Each group within the target: on scores and ranks written down by hand, and by simulation."""

import json
import logging

import numpy as np
import pytest
import tensorflow as tf
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, rules
from tf_taintradar.calibration import Calibration, GroupRate
from tf_taintradar.calibration.by_rank import choose_thresholds
from tf_taintradar.calibration.by_score import choose_threshold, smallest_threshold
from tf_taintradar.calibration.groups import as_groups
from tf_taintradar.detection.bands import EYES, MOUTH, Bands
from tf_taintradar.detection.scaled import ScaledRule
from tf_taintradar.errors import CalibrationError

IMAGES = draw_images(60)
DAYS = np.array(["day", "night"] * 30)


def test_the_threshold_is_the_largest_that_a_group_needs():
    """Nine scores each: at 20 % the second largest of ten, 8 and 80."""
    scores = np.concatenate([np.arange(1, 10), np.arange(10, 100, 10)]).astype(float)
    groups = as_groups(["low"] * 9 + ["high"] * 9)
    found = choose_threshold(scores, 0.2, variant="windows", groups=groups)
    assert found.threshold == 80
    assert [(g.name, g.n_images, g.fpr) for g in found.groups] == [
        ("high", 9, 1 / 9),
        ("low", 9, 0.0),
    ]
    assert found.fpr == 1 / 18
    assert choose_threshold(scores, 0.2, variant="windows").threshold == 70
    assert "group 'high': 11.1% on 9 images (95 % interval 2.0% to 43.5%)" in str(found)


def test_by_rank_every_group_is_within_the_target():
    """Flagged at K = 1 and threshold 0: nobody by day, 4 of 10 by night, 2 of 10 in all."""
    shifts = np.zeros((20, 2), int)
    shifts[10:14, 0] = 3
    shifts[10:12, 1] = 1
    areas, groups = np.ones((20, 2)), as_groups(["day"] * 10 + ["night"] * 10)
    settings = {"target_fpr": 0.2, "n_classes": 10}
    alone = choose_thresholds(shifts, areas, **settings)
    both = choose_thresholds(shifts, areas, groups=groups, **settings)
    assert (alone.top_k, alone.rank_threshold, alone.groups) == (1, 0, ())
    assert (both.top_k, both.rank_threshold) == (2, 0)
    assert [group.fpr for group in both.groups] == [0.0, 0.2]
    np.testing.assert_allclose(both.fpr_grid[:, 0], [0.4, 0.2])


@pytest.mark.parametrize(("groups", "n"), [(["a"] * 20 + ["b"] * 3, 3), (["a"] * 20, 0)])
def test_a_group_that_is_too_small_is_named(groups, n):
    scores, names = np.arange(len(groups), dtype=float), as_groups(groups)
    if n == 0:
        assert choose_threshold(scores, 0.06, variant="windows", groups=names).groups[0].fpr < 0.06
        return
    with pytest.raises(CalibrationError, match="Group 'b' of `groups`: 3 benign .* least 16 are"):
        choose_threshold(scores, 0.06, variant="windows", groups=names)
    shifts = np.zeros((len(groups), 2), int)
    with pytest.raises(CalibrationError, match="Group 'b' of `groups`: 3 benign .* least 17 are"):
        choose_thresholds(shifts, shifts, target_fpr=0.06, n_classes=5, groups=names)


def test_an_uncertain_group_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        groups = as_groups(["a"] * 500 + ["b"] * 20)
        choose_threshold(np.arange(520.0), 0.06, variant="windows", groups=groups)
    assert "20 images of group 'b' leave the false positive rate uncertain" in caplog.text
    assert "group 'a'" not in caplog.text


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("day", "`groups` must be a list of labels"),
        ([], "`groups` must be a list of labels"),
        (["a", None], "`groups` must be a label for each image. Received: '1 without'"),
        ([1.0, float("nan")], "`groups` must be a label for each image"),
        (["a"] * 3, "`groups` must be one label for each of 2 images. Received: '3 labels'"),
    ],
)
def test_what_are_no_groups(labels, message):
    with pytest.raises(ValueError, match=message):
        as_groups(labels, 2)


def test_numbers_and_booleans_are_labels():
    assert as_groups([1, 2]).tolist() == ["1", "2"]
    assert as_groups(np.array([True, False])).tolist() == ["True", "False"]


# The promise: scales of all images, a threshold for each group


@pytest.mark.parametrize("rule", [Bands(), Bands(bands=[EYES, MOUTH])], ids=["one", "two"])
def test_a_further_image_of_any_group_is_flagged_as_rarely_as_promised(rule):
    """30 images of one kind and 60 of another one, which lacks 3 more, varies more, and so decides.

    Drawn 1500 times; of 31 and 61 images k / (n + 1) = 1 / 31 and 3 / 61 may be flagged.
    """
    rng, m = np.random.default_rng(0), len(rule.bands)
    flags = np.array([flagged(rule, rng, m) for _ in range(1500)])
    for rate, promised in zip(flags.mean(axis=0), (1 / 31, 3 / 61), strict=True):
        assert rate < promised + 3 * np.sqrt(promised / 1500)
    assert flags[:, 1].mean() > 0.6 * 3 / 61, "it is not for a threshold that nothing reaches"


def flagged(rule: ScaledRule, rng: np.random.Generator, m: int) -> list[bool]:
    calm, wild = rng.normal(size=(31, m)), 3 + 2 * rng.normal(size=(61, m)) ** 2
    known = np.concatenate([calm[:-1], wild[:-1]]).astype(np.float32)
    groups = as_groups(["calm"] * 30 + ["wild"] * 60)
    found, scores = rule.fitted({"numbers": known})
    threshold = max(smallest_threshold(scores[groups == g], 0.05) for g in ("calm", "wild"))
    further = tf.constant(np.stack([calm[-1], wild[-1]]), tf.float32)
    return (found.judge(found.scaled(further, None)).numpy() > threshold).tolist()


# The detector


@pytest.mark.parametrize("variant", list(rules.RULES))
def test_a_detector_of_every_rule_keeps_each_group_within_the_target(variant, tmp_path):
    radar = TaintRadarModel(build_small_classifier(), variant=variant)
    try:
        record = radar.calibrate(IMAGES, 0.2, groups=DAYS, verbose=0)
    except CalibrationError:
        assert variant == "paper", "its ranks of five labels may meet no target"
        record = radar.calibrate(IMAGES, 0.6, groups=DAYS, verbose=0)
    flags = radar.predict(IMAGES, verbose=0)["is_adversarial"]
    assert [group.name for group in record.groups] == ["day", "night"]
    for group in record.groups:
        assert flags[DAYS == group.name].mean() <= record.target_fpr
        assert group.fpr <= record.target_fpr
        assert group.n_images == 30
    again = Calibration.from_json(record.to_json())
    assert again.groups == record.groups
    assert isinstance(again.groups[0], GroupRate)
    assert json.loads(again.to_json()) == json.loads(record.to_json())


def test_records_of_before_have_no_groups():
    record = TaintRadarModel(build_small_classifier()).calibrate(IMAGES, 0.2, verbose=0)
    values = json.loads(record.to_json())
    assert values.pop("groups") == []
    assert Calibration.from_json(json.dumps(values)).groups == ()


def test_groups_across_parts_are_in_their_order():
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    whole = radar.calibrate(IMAGES, 0.2, groups=DAYS, verbose=0)
    parts = [(radar, IMAGES[:20]), (radar, IMAGES[20:])]
    across = radar.calibrate_across(parts, 0.2, groups=DAYS, verbose=0)
    assert across.groups == whole.groups
    assert across.threshold == pytest.approx(whole.threshold)


def test_wrong_groups_are_refused_before_the_long_work():
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    with pytest.raises(ValueError, match="`groups` must be one label for each of 60 images"):
        radar.calibrate(IMAGES, 0.2, groups=["a", "b"])
    with pytest.raises(CalibrationError, match="Group 'b' of `groups`: 3 benign images"):
        radar.calibrate_across(iter([]), 0.06, groups=["a"] * 57 + ["b"] * 3)
    with pytest.raises(ValueError, match="`groups` must be one label for each of 60 images"):
        radar.calibrate_across([(radar, IMAGES)], 0.2, groups=["a"] * 59, verbose=0)
    assert radar.threshold is None
