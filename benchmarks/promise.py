"""Whether a calibration keeps its promise: the false positive rate of many calibrations.

Images are drawn at random from a pool of benign ones, scales and threshold are found on them, and
the others of the pool are flagged or not. A further image may be flagged with a probability of at
most k / (n + 1), whatever the scores are distributed like; *plain* takes scales and threshold from
the same images without the bounds of `calibration.scaling`, and breaks it.
"""

import functools
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from divisions import NETWORKS, calibrate, score, take
from patch_sets import ATTACKS, SHARED, Network
from report import publish

from tf_taintradar import rules
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.scaling import QUANTILE
from tf_taintradar.classifier import open_classifier
from tf_taintradar.detection.pipeline import Pipeline
from tf_taintradar.detection.rule import Answers
from tf_taintradar.detection.scaled import ScaledRule, Scores

CASES = [(200, 0.03), (1000, 0.01)]  # images of a calibration, target


class Line(NamedTuple):
    """The rates of one network and one kind of calibration.

    Attributes:
        network: whose images.
        n: images of each calibration.
        target: its target rate.
        bound: what is promised, k / (n + 1).
        rate: share of the other images that is flagged, mean over all calibrations.
        half_width: of the 95 % interval of that mean.
        middle: between which rates 90 % of the calibrations lie.
        plain: the rate without the bounds, and the half width of its interval.
    """

    network: str
    n: int
    target: float
    bound: float
    rate: float
    half_width: float
    middle: tuple[float, float]
    plain: tuple[float, float]


def main(
    network: Annotated[list[str], typer.Option(help="may be repeated")] = list(NETWORKS)[:3],  # noqa: B006
    variant: Annotated[str, typer.Option(help="a rule that scales")] = rules.DEFAULT,
    calibrations: int = 200,
    limit: Annotated[int | None, typer.Option(help="only so many images of a folder")] = None,
    batch_size: int = 16,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Print a line for each network and each size of calibration."""
    rule = rules.make_rule(variant)
    if not isinstance(rule, ScaledRule):
        raise typer.BadParameter(f"--variant must be a rule that scales; {variant!r} does not.")
    lines = []
    for name in network:
        pool = collect(name, rule, batch_size, limit)
        lines += [
            simulate(name, rule, pool, n, target, calibrations, seed)
            for n, target in CASES
            if n < len(pool["label"])
        ]
    header = "network|images|target|promised|realised|90 % of them|plain"
    about, figures = f"{calibrations} calibrations", [line._asdict() for line in lines]
    shown = map(cells, lines)
    publish("promise", header.split("|"), shown, output, about=about, seed=seed, figures=figures)
    return lines


def collect(name: str, rule: rules.Rule, batch_size: int, limit: int | None) -> Answers:
    """What the rule sees of the images of both folders of `shared`, also mirrored."""
    data = SHARED / "data"
    model = SHARED / "models" / f"{name}.keras"
    found = []
    for photographs in ("imagenet_dev", "caltech101"):
        labels = data / f"{photographs}.csv"
        try:
            network = Network(model, NETWORKS[name][0], data / photographs, labels, ATTACKS)
        except ValueError:  # photographs smaller than the network's input
            continue
        opened = open_classifier(network.classifier, preprocessor=network.preprocessor)
        pipeline = Pipeline(opened, temperature=2.0, map_threshold=0.15)
        step = functools.partial(pipeline.benign_answers, rule=rule)
        crops = network.crops[:limit]
        for images in (crops, crops[:, :, ::-1]):
            bar = {"batch_size": batch_size, "verbose": 1}
            found.append(pipeline.over_batches(step, images, **bar))
    return {key: np.concatenate([part[key] for part in found]) for key in found[0]}


def simulate(
    name: str,
    rule: ScaledRule,
    pool: Answers,
    n: int,
    target: float,
    calibrations: int,
    seed: int,
) -> Line:
    """The rates of calibrations of n images each, drawn from a pool of more than n."""
    rng = np.random.default_rng(seed)
    rates = np.empty((calibrations, 2))
    for row in rates:
        order = rng.permutation(len(pool["label"]))
        known, others = take(pool, order[:n]), take(pool, order[n:])
        for i, (own, scores) in enumerate((calibrate(rule, known), plainly(rule, known))):
            row[i] = (score(own, others) > smallest_threshold(scores, target)).mean()
    (rate, plain), spread = rates.mean(axis=0), rates.std(axis=0, ddof=1)
    half, plain_half = 1.96 * spread / np.sqrt(calibrations)
    low, high = np.quantile(rates[:, 0], (0.05, 0.95)).tolist()
    bound = np.floor((n + 1) * target + 1e-9) / (n + 1)
    return Line(name, n, target, float(bound), rate, half, (low, high), (plain, plain_half))


def plainly(rule: ScaledRule, known: Answers) -> tuple[ScaledRule, Scores]:
    """`calibrate` without the bounds: median and quantile of the known images are the scales."""
    numbers = known["numbers"]
    median, high = np.median(numbers, axis=0), np.quantile(numbers, QUANTILE, axis=0)
    own = rule.replaced(scales=[median, median, high, high])
    return own, score(own, known)


def cells(line: Line) -> list[str]:
    """A line as printed, in per cent."""
    low, high = line.middle
    return [
        line.network,
        str(line.n),
        f"{line.target:.0%}",
        f"{line.bound:.3%}",
        f"{line.rate:.3%} +- {line.half_width:.3%}",
        f"{low:.1%} to {high:.1%}",
        f"{line.plain[0]:.3%} +- {line.plain[1]:.3%}",
    ]


if __name__ == "__main__":
    typer.run(main)
