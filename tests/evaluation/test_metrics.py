"""Rates and areas, by hand."""

import numpy as np
import pytest

from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.evaluation import auroc
from tf_taintradar.evaluation.metrics import Rate


def test_a_rate_knows_its_interval():
    rate = Rate.of(np.array([True] * 24 + [False] * 8))
    assert (rate.hits, rate.n, rate.value) == (24, 32, 0.75)
    assert rate.interval == wilson_interval(24, 32)
    assert str(rate) == "75% (58 to 87)"


def test_a_rate_over_few_images_is_marked():
    assert str(Rate(19, 19)) == "100%* (83 to 100)"
    assert str(Rate(20, 20)) == "100% (84 to 100)"


def test_a_rate_of_nothing():
    rate = Rate.of(np.array([], bool))
    assert rate.value is None
    assert str(rate) == "-"


def test_auroc_counts_ties_half():
    benign, attacked = np.array([1, 2, 2, 3]), np.array([2, 4, 0.5])
    assert auroc(benign, attacked) == pytest.approx((2 + 4 + 0) / 12)
    assert auroc(benign, np.array([])) is None
    assert auroc(benign, benign) == 0.5
