"""What no patch can do: by hand on the pencil network, and tried on another one."""

import numpy as np
import pytest
from pencil import attacked_image, pencil_classifier
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.attacks import AdaptivePatch, certainty, certify
from tf_taintradar.errors import ImageError, NotCalibratedError

CORNER = {"diameter": 0.3, "shape": "square", "place": (0, 0)}


def pencil(threshold):
    return TaintRadarModel(pencil_classifier(), variant="cover", score_threshold=threshold)


def painted(row, column):
    places = np.zeros((1, 4, 4), bool)
    places[0, row, column] = True
    return places


@pytest.mark.parametrize(
    ("target", "threshold", "certain"),
    [(2, 4.1, True), (2, 4.2, False), (1, -1.9, True), (1, -1.8, False), (None, -1.9, True)],
)
def test_by_hand(target, threshold, certain):
    """Under the only window that covers the corner Z = (0, 4, 2), whose log-sum-exp is 4.143.

    Label 2 lacks 4.143 - 2 + 4 - 2 = 4.143, label 1 4.143 - 4 + 2 - 4 = -1.857.
    """
    found = certify(pencil(threshold), attacked_image(), painted(0, 0), target)
    assert found.tolist() == [certain]


def test_the_best_of_the_windows_that_cover_the_patch_counts():
    """The pixel (1, 1) lies under the first window, too, the last one under another alone.

    There m_r = 365 / 12 and m_g = 640 / 12, so that Z = (3.04, 1.15, 1.33): label 2 lacks 3.69.
    """
    corner, middle = (
        certify(pencil(4.0), attacked_image(), painted(*place), 2) for place in ((3, 3), (1, 1))
    )
    assert (corner.tolist(), middle.tolist()) == ([False], [True])


def test_the_clean_label_is_no_attack():
    """There label 0 lacks nothing, label 2 3.69 and label 1 4.07."""
    assert certify(pencil(3.6), attacked_image(), painted(3, 3)).tolist() == [True]
    assert certify(pencil(3.8), attacked_image(), painted(3, 3)).tolist() == [False]


def test_what_no_window_covers_is_never_certain():
    places = painted(0, 0) | painted(3, 3)
    assert certify(pencil(-100.0), attacked_image(), places, 2).tolist() == [False]


@pytest.fixture(params=[pytest.param("in nats", marks=pytest.mark.slow), "calibrated"])
def guarded(request, small_classifier, images):
    """A detector whose threshold lies between what label 2 lacks on these images, and which lie
    above it, for a patch in the corner: the first window alone covers it.
    """
    radar = TaintRadarModel(small_classifier, variant="cover", score_threshold=0.0)
    if request.param == "calibrated":
        radar.calibrate(draw_images(60), 0.2, verbose=0)
    scores = least_scores(radar, images)[:, 0, 2]
    radar.score_threshold = float(np.sort(scores)[2:4].mean())
    return radar, scores > radar.score_threshold


def least_scores(radar, images):
    """The score that each image gets at the least under each window for each label, in NumPy.

    Returns:
        (images, windows, labels).
    """
    found = np.empty((len(images), 16, 5))
    for w, window in enumerate(radar.rule.covering_windows((24, 16))):
        painted = images.astype(np.float32)
        painted[:, window] = painted[:, ~window].mean(axis=1, keepdims=True)
        odds = radar.classifier.predict(painted, verbose=0).astype(np.float64)
        for label in range(5):
            found[:, w, label] = [least_score(radar.rule, np.log(one), label) for one in odds]
    return found


def least_score(rule, z, label):
    has = [2 * z[i] - np.log(np.exp(z).sum()) - np.delete(z, i).max() for i in range(5)]
    lack, other = -has[label], np.delete(has, label).max()
    if rule.scales is None:
        return lack
    first, second, last = np.array(rule.scales).T[-3:]
    lack -= rule.centre[label]
    return max(min(scale(lack, first), scale(lack, second)), 0.6 * scale(other, last))


def scale(x, bounds):
    median, high = np.clip(x, *bounds[:2]), np.clip(x, *bounds[2:])
    return (x - median) / (high - median)


@pytest.fixture
def every_place():
    """All patches (216, 24, 16) of 7 x 5 pixels, 30 % of the sides."""
    places = np.zeros((18, 12, 24, 16), bool)
    for row in range(18):
        for column in range(12):
            places[row, column, row : row + 7, column : column + 5] = True
    return places.reshape(-1, 24, 16)


def test_every_label_at_every_place_as_tried_one_by_one(guarded, images, every_place):
    radar, _ = guarded
    is_sure = least_scores(radar, images) > radar.score_threshold
    label, answers = radar.predict(images, verbose=0)["label"], radar.classifier(images).numpy()
    second = answers.argsort(axis=1)[:, -2]
    windows = radar.rule.covering_windows((24, 16))
    covered = ~(every_place[:, None] & ~windows).any(axis=(2, 3))
    assert 0 < is_sure.mean() < 1
    several = np.repeat(images[:2], len(every_place), axis=0)
    places = np.tile(every_place, (2, 1, 1))
    for target in range(5):
        at = np.array([[(sure & c).any() for c in covered] for sure in is_sure[:2, :, target]])
        found = certify(radar, several, places, target)
        np.testing.assert_array_equal(found, at.ravel())
        anywhere = certify(radar, images, target_class=target)
        np.testing.assert_array_equal(anywhere, is_sure[:, :, target].all(axis=1))
        assert (at.all(axis=1) >= anywhere[:2]).all()
    rows, corner = np.arange(7), covered[0]
    place = np.tile(every_place[:1], (7, 1, 1))
    of_corner = is_sure[:, corner].any(axis=1)
    expected = of_corner[rows, second]
    np.testing.assert_array_equal(certify(radar, images, place, "runner-up"), expected)
    other = [np.delete(sure, own).all() for sure, own in zip(of_corner, label, strict=True)]
    np.testing.assert_array_equal(certify(radar, images, place), other)
    whole = is_sure.all(axis=1)
    other = [np.delete(sure, own).all() for sure, own in zip(whole, label, strict=True)]
    np.testing.assert_array_equal(certify(radar, images), other)


def test_certainty_counts(guarded, images):
    radar, certain = guarded
    places = np.zeros(images.shape[:3])
    places[:, :7, :5] = 1
    found = certainty(radar, images, places, 2)
    assert found.n_images == 7
    assert found.target == certain.mean()
    assert found.runner_up == certify(radar, images, places, "runner-up").mean()
    assert found.any_label == certify(radar, images, places).mean()
    assert f"no patch passes on {found.target:.0%} for the target" in str(found)
    assert certainty(radar, images).target is None
    assert "the target" not in str(certainty(radar, images))


def test_certain_is_what_lies_above_the_threshold(guarded, images):
    radar, certain = guarded
    places = np.zeros(images.shape[:3])
    places[:, :7, :5] = 1
    np.testing.assert_array_equal(certify(radar, images, places, 2), certain)
    each = certify(radar, images, places, [2, 2, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(each[:4], certain[:4])
    np.testing.assert_array_equal(each[4:], certify(radar, images, places, 0)[4:])


def test_no_attack_passes_where_none_can(guarded, images):
    radar, certain = guarded
    assert certain.sum() == 4
    rng = np.random.default_rng(0)
    attack = AdaptivePatch(radar, target_class=2, steps=150, learning_rate=8.0, **CORNER)
    n_passed = 0
    patches = [
        attack.partial(images, verbose=0).patches,
        *rng.integers(0, 256, (20, len(images), *attack.patch_shape)),
    ]
    for tried in patches:
        result = attack.apply(tried, images)
        flagged = radar.predict(result.images, verbose=0)["is_adversarial"]
        passed = result.success & ~flagged
        assert not passed[certain].any()
        n_passed += passed.sum()
    assert n_passed > 0, "none pass where they might: nothing is tested"


def test_what_cannot_be_certified(small_classifier, images):
    other = TaintRadarModel(small_classifier, score_threshold=1.0)
    new = TaintRadarModel(small_classifier, variant="cover")
    radar = TaintRadarModel(small_classifier, variant="cover", score_threshold=1.0)
    places = np.ones(images.shape[:3])
    with pytest.raises(ValueError, match="`radar` must have a rule with covering windows"):
        certify(other, images, places)
    with pytest.raises(NotCalibratedError):
        certify(new, images, places)
    with pytest.raises(ValueError, match=r"`painted` must have shape \(7, 24, 16\)"):
        certify(radar, images, places[:, :3])
    with pytest.raises(ValueError, match="`target_class` must be an integer from 0 to 4"):
        certify(radar, images, places, 5)
    with pytest.raises(ValueError, match="`target_class` must be an integer from 0 to 4"):
        certify(radar, images, places, "runner")
    with pytest.raises(ImageError):
        certify(radar, images[..., :2], places)
