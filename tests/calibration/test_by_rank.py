"""The threshold search, on rank shifts written down by hand."""

import json
import logging

import numpy as np
import pytest

from tf_taintradar.calibration.by_rank import choose_thresholds
from tf_taintradar.calibration.record import Calibration, wilson_interval
from tf_taintradar.errors import CalibrationError

# Ten images (rows), K = 1..3 (columns). So many are flagged at threshold 0, 1, 2, 3:
# K = 1: 10, 9, 8, 7; K = 2: 4, 2, 2, 1; K = 3: 3, 2, 1, 0.
SHIFTS = np.array(
    [
        [1, 0, 0], [2, 0, 0], [3, 0, 0], [9, 0, 0], [9, 0, 0],
        [9, 0, 0], [9, 1, 0], [9, 1, 1], [9, 3, 2], [9, 5, 3],
    ]
)  # fmt: skip
AREAS = np.where(SHIFTS > 0, 0.2, 0.0)


def choose(target_fpr, shifts=SHIFTS, n_classes=100):
    areas = np.where(shifts > 0, 0.2, 0.0)
    return choose_thresholds(shifts, areas, target_fpr=target_fpr, n_classes=n_classes)


def test_the_grid_is_the_share_that_falls_by_more():
    grid = choose(0.3).fpr_grid
    expected = [[1.0, 0.9, 0.8, 0.7], [0.4, 0.2, 0.2, 0.1], [0.3, 0.2, 0.1, 0.0]]
    np.testing.assert_allclose(grid[:, :4], expected)
    assert grid.shape == (3, 10)
    assert not grid[:, -1].any()


@pytest.mark.parametrize(
    ("target", "top_k", "threshold", "fpr"),
    [(0.5, 2, 0, 0.4), (0.4, 2, 0, 0.4), (0.35, 3, 0, 0.3), (0.25, 2, 1, 0.2), (0.1, 3, 2, 0.1)],
)
def test_the_smallest_threshold_then_the_smallest_k(target, top_k, threshold, fpr):
    found = choose(target)
    assert (found.top_k, found.rank_threshold, found.fpr) == (top_k, threshold, fpr)
    assert found.fpr <= target


def test_the_target_is_never_exceeded_on_its_own_images():
    rng = np.random.default_rng(0)
    for target in (0.01, 0.03, 0.06, 0.2):
        shifts = rng.geometric(0.2, (150, 6)) - 1
        shifts = np.sort(shifts, axis=1)[:, ::-1]
        found = choose(target, shifts)
        flagged = (shifts[:, found.top_k - 1] > found.rank_threshold).mean()
        assert found.fpr == flagged <= target


@pytest.mark.parametrize("target", [0, 1, -0.1, 6])
def test_a_target_outside_0_and_1_is_refused(target):
    with pytest.raises(ValueError, match=r"`target_fpr` must be a fraction in \(0, 1\)"):
        choose(target)


def test_too_few_images_for_the_target_names_the_number_needed():
    with pytest.raises(CalibrationError, match="At least 17 are needed"):
        choose(0.06)


def test_a_target_that_only_never_flagging_meets_is_refused():
    """With three labels no label falls by more than 2, so threshold 1 is the last that can flag."""
    with pytest.raises(CalibrationError, match="the lowest is 0.500"):
        choose(0.2, np.array([[2, 2], [2, 2], [2, 2], [0, 2], [0, 2], [0, 2]]), n_classes=3)


def test_few_images_and_empty_regions_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        choose(0.1)
    assert "Calibrate on 120 or more" in caplog.text
    assert "empty on 70 % of the images" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        choose(0.06, np.concatenate([np.zeros((100, 1), int), np.ones((100, 1), int)]) + 1)
    assert not caplog.text


def test_json_there_and_back():
    calibration = choose(0.25)
    again = Calibration.from_json(calibration.to_json())
    for name, value in vars(calibration).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert json.loads(calibration.to_json())["top_k"] == 2
    with pytest.raises(CalibrationError, match="must be what Calibration.to_json"):
        Calibration.from_json('{"top_k": 3}')


def test_plot_draws_the_surface(tmp_path):
    figure = choose(0.25).plot(tmp_path / "fpr.png")
    (drawn,) = [c for c in figure.axes[0].collections if c.__class__.__name__ == "QuadMesh"]
    np.testing.assert_allclose(np.ravel(drawn.get_array()), choose(0.25).fpr_grid.T.ravel())
    assert (tmp_path / "fpr.png").stat().st_size > 5000
    assert [p.name for p in tmp_path.iterdir()] == ["fpr.png"]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 50, 0.0, 0.0713), (12, 200, 0.0347, 0.1019), (50, 50, 0.9287, 1.0), (0, 0, 0, 1)],
)
def test_wilson_interval(successes, trials, low, high):
    """Against scipy.stats.binomtest(...).proportion_ci(method="wilson")."""
    np.testing.assert_allclose(wilson_interval(successes, trials), (low, high), atol=1e-4)
