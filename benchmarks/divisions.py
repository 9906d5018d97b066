"""What a rule detects, over random divisions of the benign images into two halves.

One half calibrates, the other half tells the false positive rate; every ready attack of `shared` on
four networks tells the true positive rate. The numbers of all images are computed once.
"""

import functools
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from patch_sets import ATTACKS, SHARED, Network
from report import publish

from tf_taintradar import rules
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.classifier import open_classifier
from tf_taintradar.detection.pipeline import Pipeline
from tf_taintradar.detection.rule import Answers
from tf_taintradar.detection.scaled import ScaledRule

TARGETS = [0.06, 0.03, 0.01]
NETWORKS = {
    "squeezenet_v1_1": ("squeezenet", "imagenet_dev"),
    "mobilenet_v2": ("tf", "imagenet_dev"),
    "efficientnet_lite0": ("lite", "imagenet_dev"),
    "vgg16_caltech101_fc": ("caffe", "caltech101"),
}
Scores = npt.NDArray[np.float32]


class Line(NamedTuple):
    """The rates of one set of images, means over all divisions, one for each target.

    Attributes:
        network, images: whose images these are.
        n: number of images.
        flagged: share of them that is flagged, by target.
    """

    network: str
    images: str
    n: int
    flagged: list[float]


def main(
    network: Annotated[list[str], typer.Option(help="may be repeated")] = list(NETWORKS),  # noqa: B006
    variant: Annotated[str, typer.Option(help="a rule with a score")] = rules.DEFAULT,
    depths: Annotated[int | None, typer.Option(help="of the rule occlusion")] = None,
    share: Annotated[float | None, typer.Option(help="of the rule occlusion: cells")] = None,
    divisions: int = 20,
    limit: Annotated[int | None, typer.Option(help="only so many images of a set")] = None,
    batch_size: int = 16,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Print a line for each set, and the mean and the worst of each network."""
    lines: list[Line] = []
    rule = rules.make_rule(variant, depths=depths, share=share)
    for name in network:
        answers = collect(name, rule, batch_size, limit)
        own = judge(name, rule, answers, divisions, seed)
        rates = np.array([line.flagged for line in own[1:]])
        n = sum(line.n for line in own[1:])
        own.append(Line(name, "mean of the attacks", n, rates.mean(axis=0).tolist()))
        own.append(Line(name, "worst of the attacks", n, rates.min(axis=0).tolist()))
        lines += own
    rows = [[*line[:3], " / ".join(f"{100 * rate:.1f}" for rate in line.flagged)] for line in lines]
    rates_at = " / ".join(f"{100 * target:g}" for target in TARGETS)
    header = ["network", "images", "n", f"flagged at {rates_at} %, in per cent"]
    about, figures = f"{rule}, {divisions} divisions", [line._asdict() for line in lines]
    publish("divisions", header, rows, output, about=about, seed=seed, figures=figures)
    return lines


def collect(name: str, rule: rules.Rule, batch_size: int, limit: int | None) -> dict[str, Answers]:
    """What the rule sees of each set, benign images first; see `Rule.benign_answers`."""
    preprocessor, photographs = NETWORKS[name]
    data = SHARED / "data"
    model, labels = SHARED / "models" / f"{name}.keras", data / f"{photographs}.csv"
    network = Network(model, preprocessor, data / photographs, labels, ATTACKS)
    opened = open_classifier(network.classifier, preprocessor=network.preprocessor)
    pipeline = Pipeline(opened, temperature=2.0, map_threshold=0.15)
    sets = {"benign": network.crops[:limit]}
    sets |= {found.name: found.images for found in network.attacked(limit)}
    step = functools.partial(pipeline.benign_answers, rule=rule)
    bar = {"batch_size": batch_size, "verbose": 1}
    return {
        key: pipeline.over_batches(step, np.asarray(images), **bar) for key, images in sets.items()
    }


def judge(
    name: str, rule: rules.Rule, answers: dict[str, Answers], divisions: int, seed: int
) -> list[Line]:
    """A line for each set; that of the benign images is of the half not calibrated on."""
    benign, rng = answers["benign"], np.random.default_rng(seed)
    sizes = {key: len(next(iter(found.values()))) for key, found in answers.items()}
    flagged: dict[str, list[list[float]]] = {key: [] for key in answers}
    for _ in range(divisions):
        order = rng.permutation(sizes["benign"])
        known, others = (take(benign, half) for half in np.array_split(order, 2))
        own, scores = calibrate(rule, known)
        thresholds = [smallest_threshold(scores, target) for target in TARGETS]
        for key, found in {**answers, "benign": others}.items():
            judged = score(own, found)
            flagged[key].append([float((judged > t).mean()) for t in thresholds])
    return [
        Line(name, key, sizes[key], np.mean(rates, axis=0).tolist())
        for key, rates in flagged.items()
    ]


def take(answers: Answers, index: npt.NDArray[np.integer]) -> Answers:
    """The answers to some of the images."""
    return {name: values[index] for name, values in answers.items()}


def calibrate(rule: rules.Rule, known: Answers) -> tuple[rules.Rule, Scores]:
    """The rule with what it finds in these images, and the scores (n,) to choose a threshold of."""
    return rule.fitted(known) if isinstance(rule, ScaledRule) else (rule, known["score"])


def score(rule: rules.Rule, answers: Answers) -> Scores:
    """The scores (n,) of other images."""
    if not isinstance(rule, ScaledRule):
        return answers["score"]
    return rule.judge(rule.scaled(tf.constant(answers["numbers"]), answers["label"])).numpy()


if __name__ == "__main__":
    typer.run(main)
