"""What an alarm of `monitor.Monitor` is worth: how soon it comes, and how often without a cause.

For each month a detector is calibrated on benign scores drawn at random, so that its real false
positive rate is not the target but near it, and then used. In one run nothing changes; in the other
the rate doubles at a known image. Scores are uniform: the monitor sees only which are above the
threshold. *Plain* is a person who looks every 100 images whether the plain 95 % interval of all
images so far lies above the same rate.
"""

import logging
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import typer
from report import publish

from tf_taintradar.calibration import ScoreCalibration, choose_threshold, wilson_interval
from tf_taintradar.monitor import Monitor

CASES = [(0.06, 1000), (0.03, 1000), (0.03, 10_000)]  # target, images of a calibration
_PART = 100  # images observed at once

Scores = npt.NDArray[np.float64]


class Line(NamedTuple):
    """What one kind of calibration and one rate for alarms give.

    Attributes:
        target: the calibrated false positive rate.
        n: images of each calibration.
        limit: "interval", the default of `Monitor`, or "target".
        rate: the rate above which there is an alarm, mean over the months.
        false_alarms: number of alarms in all months in which nothing changed.
        above: in how many months the real rate was above `rate` all the same.
        plain: months of those with an alarm of the plain interval.
        delays: images from the change to the alarm, one a month; those that are missing came too
            late or, as false ones, before.
        months: number of months.
    """

    target: float
    n: int
    limit: str
    rate: float
    false_alarms: int
    above: int
    plain: int
    delays: list[int]
    months: int


def main(
    months: int = 200,
    images: Annotated[int, typer.Option(help="of a month")] = 30_000,
    change: Annotated[int, typer.Option(help="the image at which the rate doubles")] = 10_000,
    false_alarm_every: int = 1_000_000,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Print a line for each kind of calibration and each rate for alarms."""
    logging.getLogger("tf_taintradar").setLevel(logging.ERROR)  # small calibrations are meant
    lines = [
        simulate(target, n, limit, months, images, change, false_alarm_every, seed)
        for target, n in CASES
        for limit in ("interval", "target")
    ]
    header = "target|calibrated on|alarm above|false alarms|real rate above it|plain|"
    header += "delay, median|90 % within|noticed"
    about, figures = f"{months} months of {images:,} images", [line._asdict() for line in lines]
    shown = map(cells, lines)
    publish("monitor", header.split("|"), shown, output, about=about, seed=seed, figures=figures)
    return lines


def simulate(
    target: float,
    n: int,
    limit: str,
    months: int,
    images: int,
    change: int,
    false_alarm_every: int,
    seed: int,
) -> Line:
    """The alarms of many months, each with a calibration of its own."""
    rng = np.random.default_rng(seed)
    rates, false_alarms, above, plain = [], 0, 0, 0
    delays = []
    for _ in range(months):
        calibration = choose_threshold(rng.random(n), target, variant="windows")
        own = None if limit == "interval" else target
        monitors = [
            Monitor(calibration, rate=own, false_alarm_every=false_alarm_every) for _ in range(2)
        ]
        rate = monitors[0].report().rate
        real = 1 - calibration.threshold
        scores = rng.random(images)
        observe(monitors[0], calibration, scores)
        false_alarms += monitors[0].report().alarms
        above += real > rate
        plain += looks_high(scores > calibration.threshold, rate)
        scores = rng.random(images)
        scores[change:] += real  # above the threshold twice as often
        delays += delay(monitors[1], calibration, scores, change)
        rates.append(rate)
    counts = (false_alarms, int(above), int(plain))
    return Line(target, n, limit, float(np.mean(rates)), *counts, delays, months)


def observe(monitor: Monitor, calibration: ScoreCalibration, scores: Scores) -> None:
    """Gives scores to a monitor as a detector would answer them."""
    monitor.observe({"score": scores, "is_adversarial": scores > calibration.threshold})


def delay(
    monitor: Monitor, calibration: ScoreCalibration, scores: Scores, change: int
) -> list[int]:
    """The number of images from the change to the first alarm, if that comes after it."""
    observe(monitor, calibration, scores[:change])
    known = monitor.report().alarms
    for start in range(change, len(scores), _PART):
        observe(monitor, calibration, scores[start : start + _PART])
        found = monitor.report()
        if found.alarms > known and found.last_alarm is not None:
            return [found.last_alarm - change]
    return []


def looks_high(flags: npt.NDArray[np.bool_], rate: float) -> bool:
    """Whether the plain interval lies above a rate at any of many looks."""
    counts = flags.cumsum()[_PART - 1 :: _PART].tolist()
    return any(wilson_interval(count, _PART * (i + 1))[0] > rate for i, count in enumerate(counts))


def cells(line: Line) -> list[str]:
    """A line as printed."""
    found = sorted(line.delays)
    within = [f"{np.quantile(found, q):,.0f}" for q in (0.5, 0.9)] if found else ["-", "-"]
    return [
        f"{line.target:.0%}",
        f"{line.n:,}",
        f"{line.rate:.2%} ({line.limit})",
        str(line.false_alarms),
        f"{line.above} months",
        f"{line.plain} months",
        *within,
        f"{len(found)} of {line.months}",
    ]


if __name__ == "__main__":
    typer.run(main)
