"""What no patch can do: by hand on the pencil network, and tried on another one."""

import numpy as np
import pytest
from pencil import attacked_image, pencil_classifier

from tf_taintradar import TaintRadarModel
from tf_taintradar.attacks import AdaptivePatch, certify
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


@pytest.fixture
def guarded(small_classifier, images):
    """A detector whose threshold lies between what label 2 lacks on these images, and which lie
    above it, for a patch in the corner: the first window alone covers it.
    """
    radar = TaintRadarModel(small_classifier, variant="cover", score_threshold=0.0)
    logits = np.stack([radar.explain(image).covered_logits[0] for image in images])
    others = np.delete(logits, 2, axis=1).max(axis=1)
    lacks = np.log(np.exp(logits).sum(axis=1)) - 2 * logits[:, 2] + others
    radar.score_threshold = np.sort(lacks)[2:4].mean()
    return radar, lacks > radar.score_threshold


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
    with pytest.raises(ImageError):
        certify(radar, images[..., :2], places)
