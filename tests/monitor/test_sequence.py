"""Statistics of flags that hold however often one looks."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tf_taintradar.calibration import wilson_interval
from tf_taintradar.monitor import RateAlarm, distribution_distance, share_interval


def test_intervals_that_a_pencil_gives():
    # one flag: B(3/2, 1/2) / pi = 1/2, so 1 / (2 p) = 20 at the edge
    assert share_interval(1, 1) == pytest.approx((1 / 40, 1), abs=1e-12)
    assert share_interval(0, 1) == pytest.approx((0, 39 / 40), abs=1e-12)
    # one of two: B(3/2, 3/2) / pi = 1/8, so p (1 - p) = 1 / 160
    low = (1 - math.sqrt(1 - 4 / 160)) / 2
    assert share_interval(1, 2) == pytest.approx((low, 1 - low), abs=1e-12)
    assert share_interval(0, 0) == (0, 1)


def test_an_interval_narrows_around_the_share():
    widths = []
    for n in (100, 10_000, 1_000_000, 100_000_000):
        low, high = share_interval(n // 20, n)
        assert low < 0.05 < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.0003
    narrow, wide = share_interval(50, 1000, confidence=0.5), share_interval(50, 1000)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_sequence_holds_at_all_times_where_plain_intervals_do_not():
    rate, runs = 0.06, 300
    times = np.unique(np.geomspace(1, 5000, 60).astype(int))
    flags = np.random.default_rng(0).random((runs, times[-1])) < rate
    counts = flags.cumsum(axis=1)[:, times - 1]

    def missed(interval):
        outside = np.zeros(runs, bool)
        for i, row in enumerate(counts.tolist()):
            found = [interval(k, n) for k, n in zip(row, times.tolist(), strict=True)]
            outside[i] = any(not low <= rate <= high for low, high in found)
        return outside.mean()

    assert missed(share_interval) <= 0.05
    assert missed(wilson_interval) > 0.2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((2, 1), "`flagged` must be a count from 0 to 1"), ((-1, 1), "`flagged`")],
)
def test_counts_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        share_interval(*arguments)
    with pytest.raises(ValueError, match="`confidence` must be a fraction"):
        share_interval(1, 2, confidence=1)


def test_evidence_that_a_pencil_gives():
    alarm = RateAlarm(0.5, 1e6)  # even odds: the alternatives are odds / (1 + odds)
    risen = np.array([5 / 9, 3 / 5, 2 / 3, 3 / 4, 5 / 6, 10 / 11])
    alarm.update([True])
    assert alarm.evidence == pytest.approx((2 * risen).mean(), rel=1e-12)
    alarm.update([False])
    assert alarm.evidence == pytest.approx(((2 * risen + 1) * 2 * (1 - risen)).mean(), rel=1e-12)
    assert (alarm.n_images, alarm.alarms, alarm.last_alarm) == (2, 0, None)


@pytest.mark.parametrize("rate", [0.3, 0.2])
def test_the_mean_evidence_is_the_number_of_images_at_most(rate):
    mean = 0.0
    for flags in itertools.product([True, False], repeat=9):
        alarm = RateAlarm(0.3, 1e9)
        alarm.update(flags)
        mean += rate ** sum(flags) * (1 - rate) ** (9 - sum(flags)) * alarm.evidence
    assert mean == pytest.approx(9) if rate == 0.3 else mean < 9


@pytest.mark.parametrize("rate", [0.05, 0.03])
def test_false_alarms_are_as_rare_as_promised(rate):
    alarm = RateAlarm(0.05, 500)
    alarm.update(np.random.default_rng(1).random(200_000) < rate)
    assert alarm.n_images / max(1, alarm.alarms) > 500


def test_a_change_after_a_long_time_is_noticed_soon():
    rng = np.random.default_rng(2)
    alarm = RateAlarm(0.03, 1e6)
    alarm.update(rng.random(50_000) < 0.03)
    assert alarm.alarms == 0
    alarm.update(rng.random(4_000) < 0.06)
    assert alarm.alarms >= 1
    assert 50_000 < alarm.last_alarm <= 54_000


def test_an_attack_raises_an_alarm_within_a_few_images():
    alarm = RateAlarm(0.03, 1e6)
    alarm.update([False] * 1000 + [True] * 9)
    assert (alarm.alarms, 1001 < alarm.last_alarm <= 1009) == (1, True)
    assert alarm.evidence < 1e6  # it started anew


def test_alarms_do_not_depend_on_how_flags_are_divided():
    flags = np.random.default_rng(3).random(1000) < 0.2
    at_once, singly, in_parts = (RateAlarm(0.1, 100) for _ in range(3))
    at_once.update(flags)
    for flag in flags:
        singly.update([flag])
    for part in np.array_split(flags, 7):
        in_parts.update(part)
    found = {(a.evidence, a.alarms, a.last_alarm, a.n_images) for a in (at_once, singly, in_parts)}
    assert len(found) == 1
    assert at_once.alarms > 1


def test_the_order_of_flags_matters():
    late, early = RateAlarm(0.1, 1e6), RateAlarm(0.1, 1e6)
    late.update([False] * 20 + [True] * 3)
    early.update([True] * 3 + [False] * 20)
    assert late.evidence > early.evidence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0, 100), "`rate` must be a fraction in"),
        ((1.0, 100), "`rate` must be a fraction in"),
        ((0.1, 1), "`false_alarm_every` must be a number of images above 1"),
        ((0.1, math.inf), "`false_alarm_every`"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        RateAlarm(*arguments)


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    assert distribution_distance(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert distribution_distance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.5])) == 0.5
    rng = np.random.default_rng(4)
    some, others = rng.normal(size=50).round(1), rng.normal(0.5, size=70).round(1)  # with ties
    expected = stats.ks_2samp(some, others).statistic
    assert distribution_distance(some, others) == pytest.approx(expected, abs=1e-12)
    assert distribution_distance(some, some) == 0
