"""Faces of `shared`, glasses on them, and what a rule sees of each, computed once.

The photographs are those of 143 people that their network was not trained on.
"""

import csv
import functools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from patch_sets import SHARED, Pixels
from PIL import Image

from tf_taintradar import TaintRadarModel
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.groups import as_groups, of_groups
from tf_taintradar.classifier.preprocessing import PixelScaling
from tf_taintradar.detection.pipeline import Pipeline
from tf_taintradar.detection.rule import Answers
from tf_taintradar.detection.scaled import ScaledRule
from tf_taintradar.faces import plain_glasses
from tf_taintradar.support.resumable import Store

NAME = "face143_mobilefacenet"
TARGETS = [0.06, 0.03, 0.01]
BARE, PLAIN = "without glasses", "plain frames"
_CENTRE = 128  # pixels of the photographs that the network's input shows


class FaceSet(NamedTuple):
    """Photographs.

    Attributes:
        images: (n, H, W, 3) uint8.
        people: (n,) the true labels.
    """

    images: Pixels
    people: npt.NDArray[np.int64]

    def take(self, index: npt.NDArray[np.integer]) -> "FaceSet":
        """Some of them."""
        return FaceSet(self.images[index], self.people[index])


class FaceBench:
    """The network, its photographs, and answers to them.

    Args:
        cache: a folder for what was computed; None: nothing is kept.
        limit: number of photographs at most, evenly spaced.

    Attributes:
        radar: a detector with the default's rule; others are `radar.replaced(variant=...)`.
        faces: photographs without glasses that are painted.
    """

    def __init__(self, cache: Path | None = None, limit: int | None = None) -> None:
        model = keras.models.load_model(SHARED / "models" / f"{NAME}.keras", compile=False)
        scaling = PixelScaling(mean=(127, 127, 127), std=(128, 128, 128))
        self.radar = TaintRadarModel(model, preprocessor=scaling)
        self.faces = read_photographs(self.radar.opened.input_shape[0], limit)
        self.store = Store(cache, {"network": NAME, "photographs": len(self.faces.images)})

    @functools.cached_property
    def benign(self) -> dict[str, FaceSet]:
        """All photographs without glasses, and all with plain frames."""
        images, people = self.faces
        return {BARE: self.faces, PLAIN: FaceSet(plain_glasses(images), people)}

    @functools.cached_property
    def ready(self) -> dict[str, FaceSet]:
        """The glasses of `shared` that succeed."""
        folder = SHARED / "data/attacks" / NAME
        sets = {"impersonation": "glasses_imp", "dodging": "glasses_dodge"}
        loaded = {name: np.load(folder / f"{file}.npz") for name, file in sets.items()}
        return {name: FaceSet(found["x"], found["y"]) for name, found in loaded.items()}

    def labels(self, name: str, faces: FaceSet) -> npt.NDArray[np.int64]:
        """The predicted labels of photographs."""
        return self.logits(name, faces).argmax(axis=-1)

    def logits(self, name: str, faces: FaceSet) -> npt.NDArray[np.float32]:
        """The network's logits (n, labels)."""

        def make() -> Answers:
            predict = self.radar.opened.logits
            parts = [predict(batch.astype(np.float32)).numpy() for batch in batches(faces.images)]
            return {"logits": np.concatenate(parts)}

        return self.store.keep(f"logits/{name}", str(faces.images.shape), make)["logits"]

    def answers(self, rules: Sequence[ScaledRule], name: str, faces: FaceSet) -> list[Answers]:
        """What each rule sees; see `Rule.benign_answers`. A name stands for one set of images."""
        return [self._answers(rule, name, faces) for rule in rules]

    def _answers(self, rule: ScaledRule, name: str, faces: FaceSet) -> Answers:
        pipeline = Pipeline(self.radar.opened, temperature=2.0, map_threshold=0.15)
        step = functools.partial(pipeline.benign_answers, rule=rule)
        about = {"batch_size": 16, "verbose": 0}

        def make() -> Answers:
            return pipeline.over_batches(step, faces.images, **about)

        setting = f"{rule!r} {faces.images.shape}"
        folder = f"{rule.name}-{zlib.crc32(repr(rule).encode()):08x}"
        return self.store.keep(f"answers/{folder}/{name}", setting, make)


class Division(NamedTuple):
    """Rules calibrated on the photographs of half of the people; the largest score counts.

    Attributes:
        rules: with their scales.
        thresholds: (targets, 1), high enough for each group.
        others: the labels of the other people.
    """

    rules: list[ScaledRule]
    thresholds: npt.NDArray[np.float64]
    others: npt.NDArray[np.int64]

    def scores(self, answers: Sequence[Answers]) -> npt.NDArray[np.float32]:
        """The scores of photographs (n,), of the answers that each rule needs."""
        pairs = zip(self.rules, answers, strict=True)
        found = [rule.judge(rule.scaled(own["numbers"], own["label"])) for rule, own in pairs]
        return np.max(found, axis=0)

    def rates(
        self, scores: npt.NDArray[np.floating], people: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """The share of the others' photographs whose score is above the threshold: (targets,)."""
        return (scores[np.isin(people, self.others)] > self.thresholds).mean(axis=1)


def divide(bench: FaceBench, rules: Sequence[ScaledRule], n: int) -> Iterator[Division]:
    """Calibrates on half of the people, n times; half of their photographs wear plain frames."""
    answers = {name: bench.answers(rules, name, faces) for name, faces in bench.benign.items()}
    people = bench.faces.people
    for seed in range(n):
        rng = np.random.default_rng(seed)
        known, others = np.array_split(rng.permutation(np.unique(people)), 2)
        order = rng.permutation(np.flatnonzero(np.isin(people, known)))
        parts = dict(zip((BARE, PLAIN), np.array_split(order, 2), strict=True))
        groups = as_groups(np.repeat([BARE, PLAIN], [len(index) for index in parts.values()]))
        fitted = [rule.fitted(_joined(answers, parts, i)) for i, rule in enumerate(rules)]
        scores = np.max([own for _, own in fitted], axis=0)
        levels = [max(of_groups(smallest_threshold, scores, groups, t)) for t in TARGETS]
        yield Division([rule for rule, _ in fitted], np.array(levels)[:, None], others)


def measure(
    bench: FaceBench, rules: Sequence[ScaledRule], sets: Mapping[str, FaceSet], n: int
) -> dict[str, list[float]]:
    """The share of each set that is flagged, by target: means over n divisions."""
    answers = {name: bench.answers(rules, name, faces) for name, faces in sets.items()}
    parts = list(divide(bench, rules, n))
    return {
        name: np.mean(
            [part.rates(part.scores(answers[name]), faces.people) for part in parts], axis=0
        ).tolist()
        for name, faces in sets.items()
    }


def _joined(
    answers: Mapping[str, Sequence[Answers]], parts: Mapping[str, npt.NDArray[Any]], rule: int
) -> Answers:
    """What a rule sees of these photographs, group after group."""
    return {
        key: np.concatenate([answers[name][rule][key][index] for name, index in parts.items()])
        for key in answers[BARE][rule]
    }


def read_photographs(side: int, limit: int | None) -> FaceSet:
    """The photographs held out: their centre, resized to the network's input."""
    with (SHARED / "data/faces143.csv").open(newline="") as file:
        entries = [entry for entry in csv.DictReader(file) if entry["split"] == "test"]
    chosen = np.linspace(0, len(entries) - 1, min(len(entries), limit or len(entries)))
    entries = [entries[i] for i in chosen.round().astype(int)]
    images = [_centre(SHARED / "data/faces143" / entry["file"], side) for entry in entries]
    return FaceSet(np.stack(images), np.array([int(entry["label"]) for entry in entries]))


def batches(images: Pixels, size: int = 32) -> Iterator[Pixels]:
    """The images in groups."""
    return (images[i : i + size] for i in range(0, len(images), size))


def changed(faces: FaceSet, change: Callable[[Pixels], Pixels]) -> FaceSet:
    """Photographs with each image changed."""
    return FaceSet(np.stack([change(image) for image in faces.images]), faces.people)


def _centre(path: Path, side: int) -> Pixels:
    with Image.open(path) as picture:
        left = (picture.width - _CENTRE) // 2
        upper = (picture.height - _CENTRE) // 2
        cut = picture.convert("RGB").crop((left, upper, left + _CENTRE, upper + _CENTRE))
        return np.asarray(cut.resize((side, side), Image.Resampling.BILINEAR))
