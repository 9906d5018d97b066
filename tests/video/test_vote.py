"""Windows of scores, by hand."""

import numpy as np
import pytest

from tf_taintradar.video import SlidingWindows


def test_nothing_is_said_before_there_are_enough():
    windows = SlidingWindows(3)
    assert [windows.push("a", score) for score in (5, 1, 3, 9, 2)] == [None, None, 3, 3, 3]


def test_the_mean():
    windows = SlidingWindows(2, "mean")
    assert [windows.push(0, score) for score in (1, 2, 6)] == [None, 1.5, 4]


def test_the_median_is_above_a_threshold_if_most_scores_are():
    rng = np.random.default_rng(0)
    windows, last = SlidingWindows(5), []
    for score in rng.normal(size=200):
        last = [*last, score][-5:]
        said = windows.push(0, score)
        if said is not None:
            assert (said > 0.1) == (sum(one > 0.1 for one in last) >= 3)


def test_tracks_do_not_mix():
    windows = SlidingWindows(2)
    assert windows.push("a", 1) is None
    assert windows.push("b", 100) is None
    assert windows.push("a", 3) == 2
    windows.forget("a")
    assert windows.push("a", 5) is None
    assert windows.push("b", 200) == 150
    windows.forget()
    assert windows.push("b", 1) is None


def test_windows_apart_share_no_frame():
    windows = SlidingWindows(2, "mean")
    np.testing.assert_array_equal(windows.apart([[1, 3, 5, 7, 100], [9], [2, 2]]), [2, 6, 2])


@pytest.mark.parametrize(("window", "statistic"), [(0, "median"), (5, "maximum")])
def test_arguments_are_checked(window, statistic):
    with pytest.raises(ValueError, match="must be"):
        SlidingWindows(window, statistic)
