"""The threshold on scores, on numbers written down by hand."""

import functools
import logging

import numpy as np
import pytest

from tf_taintradar.calibration.by_score import choose_threshold as choose_threshold_of
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.errors import CalibrationError

choose_threshold = functools.partial(choose_threshold_of, variant="windows")

SCORES = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0, 5.0, 3.5])  # nine images: tenths are exact


@pytest.mark.parametrize(
    ("target", "threshold", "fpr"), [(0.1, 9.0, 0), (0.2, 6.0, 1 / 9), (0.39, 5.0, 2 / 9)]
)
def test_the_kth_largest_of_n_plus_1(target, threshold, fpr):
    found = choose_threshold(SCORES, target)
    assert (found.threshold, found.score_threshold) == (threshold, threshold)
    assert found.fpr == pytest.approx(fpr)
    assert found.fpr <= target
    np.testing.assert_array_equal(found.scores, np.sort(SCORES)[::-1])


def test_a_further_image_is_flagged_as_rarely_as_promised():
    """Over many draws of 49 calibration images, at 2, 6 and 10 %: k / (n + 1) exactly."""
    rng = np.random.default_rng(0)
    for target in (0.02, 0.06, 0.1):
        draws = rng.lognormal(size=(4000, 50))
        flags = [draw[-1] > choose_threshold(draw[:-1], target).threshold for draw in draws]
        assert abs(np.mean(flags) - target) < 4 * np.sqrt(target / 4000)


def test_equal_scores_never_exceed_the_target():
    found = choose_threshold(np.repeat([0.0, 1.0], [60, 40]), 0.1)
    assert (found.threshold, found.fpr) == (1.0, 0.0)


@pytest.mark.parametrize(("n", "target"), [(8, 0.1), (15, 0.06), (98, 0.01)])
def test_too_few_images_names_the_number_needed(n, target):
    with pytest.raises(CalibrationError, match=f"At least {n + 1} are needed"):
        choose_threshold(np.arange(n), target)
    choose_threshold(np.arange(n + 1), target)


@pytest.mark.parametrize("target", [0, 1, -0.1, 6])
def test_a_target_outside_0_and_1_is_refused(target):
    with pytest.raises(ValueError, match=r"`target_fpr` must be a fraction in \(0, 1\)"):
        choose_threshold(SCORES, target)


def test_few_images_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        choose_threshold(SCORES, 0.1)
    assert "Calibrate on 120 or more" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        choose_threshold(np.arange(300), 0.06)
    assert not caplog.text


def test_json_there_and_back():
    calibration = choose_threshold(SCORES, 0.2)
    again = Calibration.from_json(calibration.to_json())
    assert type(again) is type(calibration)
    for name, value in vars(calibration).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_plot_draws_the_rate_over_the_threshold(tmp_path):
    figure = choose_threshold(SCORES, 0.2).plot(tmp_path / "fpr.png")
    curve, _, chosen = figure.axes[0].lines
    np.testing.assert_array_equal(curve.get_xdata(), np.sort(SCORES)[::-1])
    rates = [(SCORES > x).mean() for x in curve.get_xdata()]
    np.testing.assert_allclose(curve.get_ydata(), rates)
    assert chosen.get_xdata() == [6.0]
    assert [p.name for p in tmp_path.iterdir()] == ["fpr.png"]
