"""Attackers who know the detector: what they minimise, and that it helps them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar import TaintRadarModel
from tf_taintradar.attacks import (
    AdaptivePatch,
    AdversarialPatch,
    MisleadingPatch,
    likely_target,
    likely_targets,
)
from tf_taintradar.attacks.adaptive import iou
from tf_taintradar.attacks.descent import Adam
from tf_taintradar.attacks.goal import StepInputs
from tf_taintradar.detection.rules import RULES
from tf_taintradar.errors import NotCalibratedError

LOW, HIGH = 0.01, 1e6  # thresholds of a detector that flags nearly all images, or none


def detector(classifier, variant="occlusion", threshold=LOW):
    if variant == "paper":
        return TaintRadarModel(classifier, top_k=2, rank_threshold=min(3, int(threshold)))
    return TaintRadarModel(classifier, variant=variant, score_threshold=threshold)


def step_inputs(attack, images, labels, step=0):
    rng = np.random.default_rng(0)
    pose = attack.draw_pose(len(images), rng, None)
    return StepInputs(
        tf.constant(images, tf.float32), tf.constant(labels, tf.int32), tf.constant(step), pose
    )


@pytest.mark.parametrize(
    ("variant", "weight", "unit"),
    [("occlusion", 0.0, 1), ("occlusion", 3.0, 1), ("bands", 3.0, 1)],
)
def test_the_loss_is_the_miss_and_the_score_above_the_threshold(
    small_classifier, images, variant, weight, unit
):
    radar = detector(small_classifier, variant, threshold=0.05)
    attack = AdaptivePatch(radar, target_class=2, weight=weight)
    loss, _ = attack.objective(step_inputs(attack, images, [2] * 7, step=300))
    found = radar.predict(images, verbose=0)
    miss = -np.log(found["predictions"][:, 2])
    above = np.maximum(unit * (found["score"] - 0.05) + 1, 0)  # it aims below the threshold
    np.testing.assert_allclose(loss, miss + weight * above, rtol=1e-3)


def test_fixed_regions_give_other_gradients_and_the_same_loss(small_classifier, images):
    radar = detector(small_classifier, threshold=0.05)
    losses, gradients = [], []
    for regions in ("soft", "fixed"):
        attack = AdaptivePatch(radar, target_class=2, weight=3.0, regions=regions)
        inputs = step_inputs(attack, images, [2] * 7, step=300)
        with tf.GradientTape() as tape:
            tape.watch(inputs.images)
            losses.append(attack.objective(inputs)[0])
        gradients.append(tape.gradient(losses[-1], inputs.images).numpy())
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert np.abs(gradients[0] - gradients[1]).max() > 1e-4
    with pytest.raises(ValueError, match='`regions` must be "soft" or "fixed"'):
        AdaptivePatch(radar, target_class=2, regions="hard")


def test_against_the_paper_it_is_the_target_once_the_region_is_filled(small_classifier, images):
    radar = detector(small_classifier, "paper", threshold=0)
    attack = AdaptivePatch(radar, target_class=2, weight=2.0)
    loss, _ = attack.objective(step_inputs(attack, images, [2] * 7))
    for i, image in enumerate(images):
        explained = radar.explain(image)
        logits = small_classifier(explained.cleaned_image[np.newaxis])
        again = -np.log(logits[0, 2])
        miss = -np.log(small_classifier(image[np.newaxis].astype(np.float32))[0, 2])
        np.testing.assert_allclose(loss[i], miss + 2 * again, rtol=1e-3)


@pytest.mark.parametrize("variant", RULES)
@pytest.mark.parametrize("threshold", [0, HIGH])
def test_it_has_what_it_wants_only_if_it_is_not_seen(small_classifier, images, variant, threshold):
    radar = detector(small_classifier, variant, threshold=threshold)
    attack = AdaptivePatch(radar, target_class=2)
    _, wanted = attack.objective(step_inputs(attack, images, [2] * 7))
    found = radar.predict(images, verbose=0)
    if not found["is_adversarial"].any():
        np.testing.assert_allclose(wanted, found["predictions"][:, 2], rtol=1e-4)
    else:
        assert threshold == 0
        assert (np.asarray(wanted)[found["is_adversarial"]] == 0).all()


def test_knowing_the_detector_lowers_its_score(small_classifier, images):
    radar = detector(small_classifier)
    common = {"target_class": 3, "diameter": 0.6, "place": "bottom_right", "steps": 40}
    plain = AdversarialPatch(small_classifier, **common, learning_rate=4.0, optimizer=Adam())
    knowing = AdaptivePatch(radar, **common, learning_rate=4.0, weight=4.0)
    score = [
        radar.predict(attack.partial(images, verbose=0).images, verbose=0)["score"].mean()
        for attack in (plain, knowing)
    ]
    assert score[1] < 0.7 * score[0]


def test_the_slope_grows_by_one_every_hundred_steps(small_classifier):
    attack = AdaptivePatch(detector(small_classifier), target_class=3)
    slopes = [float(attack.slope(tf.constant(step))) for step in (0, 99, 100, 1999)]
    assert slopes == [1, 1, 2, 20]
    assert attack.steps == 2000 and attack.learning_rate == 1.0


def test_adam_takes_a_step_of_the_learning_rate_first():
    gradient = tf.constant(np.array([-3.0, 0.5, 0.0, 1e-3]).reshape(1, 2, 2, 1), tf.float32)
    direction, memory = Adam().direction(gradient, tf.zeros((2, 1, 2, 2, 1)), tf.constant(0))
    np.testing.assert_allclose(np.ravel(direction), [-1, 1, 0, 1], rtol=1e-4)
    # the second gradient is zero: m = 0.9 * 0.1 g, v = 0.999 * 0.001 g^2, with their corrections
    second, _ = Adam().direction(0 * gradient, memory, tf.constant(1))
    expected = (0.09 / 0.19) / np.sqrt(0.000999 / 0.001999)
    np.testing.assert_allclose(np.ravel(second)[:2], [-expected, expected], rtol=1e-3)


def test_the_critical_region_moves_away(small_classifier, images):
    radar = detector(small_classifier)
    common = {"target_class": 3, "diameter": 0.6, "place": (2, 2), "steps": 60}

    def overlap(**settings):
        attack = MisleadingPatch(radar, learning_rate=4.0, **common, **settings)
        result = attack.partial(images, verbose=0)
        regions = np.stack([radar.explain(image).critical_region for image in result.images])
        return np.mean(iou(regions.astype(np.float32), result.painted.astype(np.float32)))

    assert overlap(weight=20.0) < 0.8 * overlap(weight=0.0)


def test_the_critical_region_gets_smaller_or_goes_where_it_shall(small_classifier, images):
    radar = detector(small_classifier)
    decoy = np.zeros((24, 16), np.float32)
    decoy[:8, 8:] = 1
    common = {"target_class": 3, "diameter": 0.9, "place": (8, 0), "steps": 60}

    def regions(**settings):
        attack = MisleadingPatch(radar, learning_rate=4.0, **common, **settings)
        attacked = attack.partial(images, verbose=0).images
        return np.stack([radar.explain(image).critical_region for image in attacked])

    plain = regions(weight=0.0)
    assert regions(aim="small", weight=20.0).mean() < plain.mean()
    led = regions(aim=decoy, weight=20.0)
    overlaps = [
        np.mean(iou(r.astype(np.float32), decoy[None].astype(np.float32))) for r in (led, plain)
    ]
    assert overlaps[0] > overlaps[1]


def test_intersection_over_union_by_hand():
    one = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 0]]], np.float32)
    other = np.array([[[1, 0], [1, 0]], [[0, 0], [0, 0]]], np.float32)
    np.testing.assert_allclose(iou(one, other), [1 / 3, 0])


def test_rank_aware_targets(small_classifier, images):
    radar = detector(small_classifier)
    order = np.argsort(-small_classifier.predict(images, verbose=0), axis=1)
    np.testing.assert_array_equal(likely_targets(radar, images), order[:, 1])
    np.testing.assert_array_equal(likely_targets(radar, images, rank=5), order[:, 4])
    assert likely_targets(radar, images).dtype == np.int32
    means = [np.mean([list(row).index(label) for row in order]) for label in range(5)]
    assert likely_target(radar, images) == np.argmin(means)
    for rank in (0, 6):
        with pytest.raises(ValueError, match="`rank` must be an integer from 1 to 5"):
            likely_targets(radar, images, rank=rank)


def test_a_target_for_each_image(small_classifier, images):
    targets = np.array([0, 1, 2, 3, 4, 0, 1])
    attack = AdversarialPatch(
        small_classifier, target_class=targets, diameter=0.9, place="bottom_right", steps=40
    )
    result = attack.partial(images, verbose=0)
    np.testing.assert_array_equal(result.success, result.labels == targets)
    assert result.success_rate == 1
    assert "target_class=array of 7" in repr(result)
    with pytest.raises(ValueError, match="one for each image. Received: 7 labels for 2 images"):
        attack.partial(images[:2], verbose=0)


def test_a_detector_without_a_threshold(small_classifier):
    with pytest.raises(NotCalibratedError):
        AdaptivePatch(TaintRadarModel(small_classifier), target_class=0)


@pytest.mark.parametrize(
    "attack, settings, message",
    [
        (AdaptivePatch, {"weight": -1}, "`weight` must be 0 or more. Received: -1"),
        (AdaptivePatch, {"growth": 0}, "`growth` must be an integer of at least 1"),
        (AdaptivePatch, {"diameter": 2}, "`diameter` must be a fraction"),
        (MisleadingPatch, {"aim": "left"}, '`aim` must be "away", "small" or a region'),
        (MisleadingPatch, {"aim": np.ones((3, 3))}, r"`aim` must be a region of shape \(24, 16\)"),
        (MisleadingPatch, {"aim": np.zeros((24, 16))}, "`aim` must be a region .* not empty"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_settings_out_of_range(small_classifier, attack, settings, message):
    with pytest.raises(ValueError, match=message):
        attack(detector(small_classifier), target_class=0, **settings)


def test_what_the_detector_has_opened_is_attacked(small_classifier):
    first = small_classifier.layers[2].name
    radar = TaintRadarModel(small_classifier, feature_layer=first, score_threshold=1.0)
    attack = AdaptivePatch(radar, target_class=0)
    assert attack._classifier is radar.opened
    assert attack._classifier.feature_layer == first


def test_keras_saves_the_detector_as_before(small_classifier, images, tmp_path):
    radar = detector(small_classifier)
    AdaptivePatch(radar, target_class=0, steps=1).universal(images, verbose=0)
    radar.save(tmp_path / "radar.keras")
    again = keras.saving.load_model(tmp_path / "radar.keras")
    np.testing.assert_array_equal(again.score(images), radar.score(images))
