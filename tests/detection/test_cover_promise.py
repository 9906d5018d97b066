"""The promise of a calibration of variant "cover", on numbers made up.

Labels differ in what they lack at large, and the images that tell how much are the same ones that
the scales and the threshold are taken from.
"""

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.detection.cover import Cover

RULE = Cover()
N_LABELS = 6


def draw(rng, n, *, is_lack_alone=False):
    """What one depth and the windows say of n images."""
    usual = np.linspace(-4, 4, N_LABELS)
    numbers = rng.lognormal(size=(n, 7)).astype(np.float32) * (not is_lack_alone)
    label = rng.choice(N_LABELS, n, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    lacks = usual + rng.normal(size=(n, N_LABELS))
    numbers[:, 4] = numbers[:, 5] = usual[label] + rng.standard_t(2, size=n)
    return {"numbers": numbers, "label": label, "lacks": lacks}


def joined(*parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows(answers, index):
    return {name: values[index] for name, values in answers.items()}


def score(rule, answers):
    return rule.judge(rule.scaled(tf.constant(answers["numbers"]), answers["label"])).numpy()


def scores_of_all(answers):
    """The scores of n + 1 images, every image counted in: centre and scales without bounds."""
    label, n = answers["label"], len(answers["label"])
    lacks = answers["lacks"].copy()
    lacks[np.arange(n), label] = lacks.mean(axis=1)
    middle, high = int(np.ceil(n / 2)) - 1, min(int(np.ceil(0.97 * n)), n - 1) - 1
    numbers = answers["numbers"].astype(np.float64)
    numbers[:, 4:6] -= np.sort(lacks, axis=0)[middle][label][:, None]
    ordered = np.sort(numbers, axis=0)
    scaled = (numbers - ordered[middle]) / np.maximum(ordered[high] - ordered[middle], 1e-6)
    rule = Cover(scales=np.zeros((4, 7)))
    return rule.judge(tf.constant(scaled, tf.float32)).numpy()


@pytest.mark.parametrize("n", [8, 20, 60, 150])
@pytest.mark.parametrize("is_lack_alone", [False, True])
def test_scores_lie_on_the_right_side_of_those_of_all_images_together(n, is_lack_alone):
    rng = np.random.default_rng(n)
    known, others = (draw(rng, size, is_lack_alone=is_lack_alone) for size in (n, 60))
    rule, scores = RULE.fitted(known)
    found, gaps = score(rule, others), []
    for i in range(60):
        exact = scores_of_all(joined(known, rows(others, [i])))
        assert (exact[:n] <= scores * (1 + 1e-4) + 1e-4).all()
        assert found[i] <= exact[n] * (1 + 1e-4) + 1e-4
        gaps.append(exact[n] - found[i])
    if n >= 60:
        assert np.median(gaps) < 0.1, "so far apart that the promise costs much"


def plainly(known):
    """Centre, scales and threshold without bounds."""
    lacks = known["lacks"].copy()
    lacks[np.arange(len(lacks)), known["label"]] = lacks.mean(axis=1)
    centre = np.median(lacks, axis=0)
    numbers = known["numbers"].astype(np.float64)
    numbers[:, 4:6] -= centre[known["label"]][:, None]
    middle, high = np.median(numbers, axis=0), np.quantile(numbers, 0.97, axis=0)
    rule = Cover(scales=[middle, middle, high, high], centre=centre)
    return rule, score(rule, known)


@pytest.mark.parametrize(("n", "target"), [(20, 0.1), (50, 0.06)])
def test_a_further_image_is_flagged_with_a_probability_of_at_most_the_target(n, target):
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(250):
        known, others = draw(rng, n), draw(rng, 40)
        fits = RULE.fitted(known), plainly(known)
        rates.append(
            [(score(rule, others) > smallest_threshold(s, target)).mean() for rule, s in fits]
        )
    (rate, plain), spread = np.mean(rates, axis=0), np.std(rates, axis=0) / np.sqrt(250)
    assert rate <= target + 2 * spread[0]
    assert rate >= target / 2
    assert plain > target + 2 * spread[1], "the plain way keeps it too: nothing is tested"


def test_what_is_usual_is_of_other_labels():
    """An image's own label lacks little, however usual: its mean stands in for it."""
    rng = np.random.default_rng(0)
    known = draw(rng, 200)
    known["lacks"][np.arange(200), known["label"]] = -1e3
    expected = [np.median(known["lacks"][known["label"] != label, label]) for label in range(6)]
    centre = np.array(RULE.fitted(known)[0].centre)
    assert (centre > -200).all()
    np.testing.assert_allclose(centre[3:], expected[3:], atol=1)
