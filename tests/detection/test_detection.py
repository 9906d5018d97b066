"""Figure 2 step by step: a network worked out with a pencil, then properties on a larger one."""

import numpy as np
import pytest
import tensorflow as tf
from pencil import HEAD, attacked_image, pencil_classifier, run

from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.critical import predict_with_critical_region
from tf_taintradar.detection.paper import gather_evidence, rank_shifts
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.detection.rules import RULES
from tf_taintradar.fills import Constant, Noise

SUSPECT = np.zeros((4, 4), bool)  # the red pixels that reach 15 % of the brightest
SUSPECT[0, :2] = SUSPECT[1, 0] = True


def test_step_1_forward():
    prediction = run(pencil_classifier(), attacked_image(), top_k=1).prediction
    np.testing.assert_allclose(prediction.logits, [[2.28125, 1.859375, 1.5]], rtol=1e-6)
    assert prediction.label.numpy().tolist() == [0]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_step_2_critical_region(temperature):
    """16 T alpha_r = (1 - p_0) 0.1 + p_1 0.05 > 0, 16 T alpha_g = -(p_1 + p_2 / 2) 0.05 < 0."""
    found = run(pencil_classifier(), attacked_image(), top_k=1, temperature=temperature)
    odds = np.exp(np.array([2.28125, 1.859375, 1.5]) / temperature)
    p = odds / odds.sum()
    alpha_red = ((1 - p[0]) * 0.1 + p[1] * 0.05) / (16 * temperature)
    expected = alpha_red * attacked_image()[0, ..., 0]
    np.testing.assert_allclose(found.prediction.critical_map[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(found.prediction.critical_region[0], SUSPECT)


def test_step_3_fill():
    evidence = run(pencil_classifier(), attacked_image(), Constant((7, 8, 9)), top_k=1).evidence
    expected = np.where(SUSPECT[..., None], [7.0, 8.0, 9.0], attacked_image()[0])
    np.testing.assert_array_equal(evidence.filled_images[0], expected)


def test_step_4_increases():
    """Red 20 is left: m_r = 1.25, so Z = (0.125, 2.9375, 1.5)."""
    evidence = run(pencil_classifier(), attacked_image(), top_k=3).evidence
    assert evidence.top_labels.numpy().tolist() == [[1, 2, 0]]
    np.testing.assert_allclose(evidence.logit_increases, [[1.078125, 0, -2.15625]], atol=1e-6)


def test_step_5_negative_maps():
    """Label 1: -alpha = (0.05, -0.05) / 16. Labels 2 and 0 have no negative evidence: no vote."""
    evidence = run(pencil_classifier(), attacked_image(), top_k=3).evidence
    expected = np.zeros((3, 4, 4), np.float32)
    expected[0] = 0.05 / 16 * attacked_image()[0, ..., 0]
    np.testing.assert_allclose(evidence.negative_maps[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(evidence.negative_regions[0, 0], SUSPECT)
    assert evidence.negative_regions[0, 1:].numpy().all()


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_steps_6_to_8_tainted_region_and_rank_shift(top_k):
    found = run(pencil_classifier(), attacked_image(), top_k=top_k)
    np.testing.assert_array_equal(found.tainted_region[0], SUSPECT)
    np.testing.assert_allclose(found.cleaned_logits, [[0.125, 2.9375, 1.5]], rtol=1e-5)
    assert found.rank_shift.numpy().tolist() == [2]
    assert found.score.numpy().tolist() == [2.0]
    assert found.recovered_label.numpy().tolist() == [1]


def test_an_empty_intersection_changes_nothing():
    """Z_3 is held down by green, Z_1 by red: no pixel holds down both."""
    head = np.concatenate([HEAD, [[0.05], [-0.01]]], axis=1).astype(np.float32)
    images = np.zeros((1, 4, 4, 3), np.float32)
    images[0, :2, :, 0], images[0, 2:, :, 1] = 200, 150
    opened = open_classifier(pencil_classifier(head))
    found = detect(opened, tf.constant(images), variant="paper", fill=Noise(), top_k=4)
    assert not found.tainted_region.numpy().any()
    assert found.rank_shift.numpy().tolist() == [0]
    np.testing.assert_array_equal(found.cleaned_logits, found.prediction.logits)
    np.testing.assert_array_equal(found.cleaned_images, images)


def test_no_label_is_special():
    """The same network with its labels in another order gives the same answer in that order."""
    order = [2, 1, 0]
    first = run(pencil_classifier(), attacked_image(), top_k=3)
    second = run(pencil_classifier(HEAD[:, order]), attacked_image(), top_k=3)
    assert second.prediction.label.numpy().tolist() == [2]
    top_labels = [order[label] for label in second.evidence.top_labels[0]]
    assert top_labels == first.evidence.top_labels[0].numpy().tolist()
    np.testing.assert_array_equal(second.tainted_region, first.tainted_region)
    assert second.rank_shift.numpy().tolist() == [2]


def test_a_constant_added_to_all_logits_changes_nothing():
    first = run(pencil_classifier(), attacked_image(), top_k=3)
    second = run(pencil_classifier(bias=50.0), attacked_image(), top_k=3)
    for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        if one.dtype != tf.float32:
            np.testing.assert_array_equal(one, other)


@pytest.fixture(params=RULES)
def compiled(request, small_classifier):
    opened = open_classifier(small_classifier)
    settings = {"variant": request.param, "fill": Noise(), "top_k": 4}
    return tf.function(lambda x: detect(opened, x, **settings))


def same(one, other) -> None:
    """Equal up to the order of float additions, which differs with the batch size."""
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), atol=2e-4, rtol=1e-4)


def test_a_batch_is_its_images_one_by_one(compiled, images):
    x = tf.constant(images, tf.float32)
    rows = [compiled(x[i : i + 1]) for i in range(len(images))]
    same(compiled(x), tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *rows))


def test_permuting_the_batch_permutes_the_answer(compiled, images):
    order = [4, 2, 6, 0, 1, 5, 3]
    x = tf.constant(images, tf.float32)
    expected = tf.nest.map_structure(lambda t: tf.gather(t, order), compiled(x))
    same(compiled(tf.gather(x, order)), expected)


@pytest.mark.parametrize("variant", RULES)
def test_eager_graph_and_xla_agree(small_classifier, images, variant):
    opened = open_classifier(small_classifier)
    x = tf.constant(images, tf.float32)

    def answer(x):
        return detect(opened, x, variant=variant, fill=Noise(), top_k=4)

    same(answer(x), tf.function(answer)(x))
    same(answer(x), tf.function(answer, jit_compile=True)(x))


def test_the_sweep_finds_what_detect_finds_for_every_k(small_classifier, images):
    opened, fill = open_classifier(small_classifier), Noise()
    x = tf.constant(images, tf.float32)
    view = {"temperature": 2.0, "map_threshold": 0.15}
    prediction, maps = predict_with_critical_region(opened, x, **view)
    evidence = gather_evidence(opened, prediction, maps, fill=fill, top_k=5)
    shifts, areas = rank_shifts(opened, prediction, evidence, fill=fill)
    assert np.ptp(areas.numpy(), axis=1).any(), "the regions never shrink: nothing is tested"
    for k in range(1, 6):
        found = detect(opened, x, variant="paper", fill=fill, top_k=k, **view)
        np.testing.assert_array_equal(shifts[:, k - 1], found.rank_shift)
        area = found.tainted_region.numpy().mean((1, 2))
        np.testing.assert_allclose(areas[:, k - 1], area, rtol=1e-6)
