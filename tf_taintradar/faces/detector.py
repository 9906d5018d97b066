"""From photographs of people to a detector on disk: the paper's second scenario in one call."""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar import plot
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.detection.rules import Bands, make_rule
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.export.versions import export_savedmodel
from tf_taintradar.faces.average import average_face
from tf_taintradar.faces.glasses import (
    DODGING,
    IMPERSONATION,
    Glasses,
    measure_glasses,
    read_faces,
    wear,
)
from tf_taintradar.faces.subjects import Photographs, Subjects, find_subjects
from tf_taintradar.faces.transfer import Transfer, teach
from tf_taintradar.faces.tuning import check_layer, fine_tune
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require
from tf_taintradar.support.files import replacing

Pixels = npt.NDArray[np.uint8]

_FOLDS = 5  # parts of the training photographs that are left out in turn
_SHOWN = 4  # photographs of one subject in the picture


@dataclasses.dataclass(frozen=True, eq=False)
class FaceDetector:
    """A detector of one's own subjects, and what it does.

    Attributes:
        radar: the detector, calibrated.
        transfer: the classifier and its photographs.
        benign: of the photographs held out and not calibrated on, how many are flagged.
        glasses: what becomes of adversarial glasses, by what the wearers want: "impersonation",
            "dodging".
    """

    radar: TaintRadarModel
    transfer: Transfer
    benign: Rate
    glasses: dict[str, Glasses]

    def to_json(self) -> str:
        """The figures as JSON text."""
        counts = self.transfer.subjects.counts()
        document = {
            "variant": self.radar.variant,
            "subjects": len(counts),
            "photographs": counts,
            "unreadable": [str(file) for file in self.transfer.subjects.unreadable],
            "duplicates": [str(file) for file in self.transfer.subjects.duplicates],
            "accuracy": self.transfer.accuracy,
            "accuracy_interval": self.transfer.interval,
            "n_held_out": len(self.transfer.predicted),
            "confusions": self.transfer.confusions(),
            "benign": self.benign._asdict(),
            "glasses": {kind: _as_document(found) for kind, found in self.glasses.items()},
        }
        return json.dumps(document, indent=1) + "\n"


def train_face_detector(
    folder: str | os.PathLike[str],
    network: keras.Model,
    output: str | os.PathLike[str],
    *,
    preprocessor: Any = "vggface",
    variant: Any = Bands.name,
    fine_tuned: str | None = None,
    tuning_rate: float = 1e-5,
    calibrate_on: Literal["test", "folds"] = "test",
    target_fpr: float = 0.06,
    n_train: int = 40,
    n_wearers: int = 10,
    steps: int = 300,
    batch_size: int = 16,
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
    verbose: int = 1,
    **settings: Any,
) -> FaceDetector:
    """Teaches a face network one's own subjects, wraps it, calibrates it, tries it with glasses.

    Writes into `output`: `detector.keras`; `served/`, a SavedModel for TensorFlow Serving;
    `report.json`; `glasses.png`, one subject's photographs with and without adversarial glasses;
    `training.csv` and, if the network is tuned, `tuning.csv`; and `features/`, with which another
    run takes seconds.

    Args:
        folder: one sub-folder of photographs for each subject.
        network: a face network, for instance `vggface.VGGFace(weights="vggface")`.
        output: a folder; what it holds is replaced.
        preprocessor: what the network expects.
        variant: of the detector. "bands" sees glasses best, "occlusion" patches; "paper" paints the
            average face of the training photographs into regions, as the paper does for faces.
        fine_tuned: the first layer of the network that learns the subjects, too, after the new
            last layer has, see `vggface.fine_tune`; None: none.
        tuning_rate: the learning rate of that; a network that knows no faces yet takes more.
        calibrate_on: "test": half of the photographs held out; the false positive rate is that on
            the other half. "folds", where few are held out: the photographs trained on, each fifth
            of them judged by a classifier that is trained, and tuned, without it; the rate is that
            on all that are held out.
        target_fpr: of the detector.
        n_train: photographs of each subject to train on; the others are held out.
        n_wearers: how many subjects put on glasses that make them pass for the next one, or for
            anybody else, a pair for all their photographs held out.
        steps: of the glasses, at most.
        batch_size: how many photographs the network computes at once, on each device.
        strategy: computes and trains on several devices: `tf.distribute.MirroredStrategy()`.
        seed: of all that is drawn.
        verbose: 0 for silence, 1 for progress bars.
        settings: further ones of `vggface.teach`: `kept`, `epochs`, ...

    Raises:
        CalibrationError: too few photographs to calibrate on for the target, which is said at once.
        ImageError, UnsupportedClassifierError, ValueError: as in `vggface.transfer` and
            `vggface.fine_tune`, or `calibrate_on` is neither.
        ImportError: matplotlib is not installed.
    """
    plot.require_matplotlib()  # before the long work, as all checks
    out = Path(output)
    require(calibrate_on in ("test", "folds"), "calibrate_on", calibrate_on, '"test" or "folds"')
    make_rule(variant)  # before the long work
    if fine_tuned is not None:
        check_layer(network, fine_tuned, "fine_tuned")
    common: dict[str, Any] = {"preprocessor": preprocessor, "batch_size": batch_size}
    common |= {"strategy": strategy, "seed": seed, "verbose": verbose}
    course = _Course(network, variant, fine_tuned, tuning_rate, out, common, settings)
    subjects = find_subjects(folder, network.input_shape[1:])
    train, test = subjects.split(n_train, seed)
    calibration, other = train, test
    if calibrate_on == "test":
        order = np.random.default_rng([seed, 2]).permutation(len(test.files))
        calibration, other = map(test.take, np.array_split(order, 2))
    smallest_threshold(np.zeros(len(calibration.files)), target_fpr)  # before the long work
    learnt = course.learn(subjects, train, test)
    radar = course.wrap(learnt)
    bar = {"batch_size": batch_size, "verbose": verbose}
    if calibrate_on == "folds":
        radar.calibrate_across(course.apart(learnt), target_fpr, **bar)
    else:
        radar.calibrate(calibration.files, target_fpr, **bar)
    benign = radar.predict(other.files, **bar)
    n = min(n_wearers, len(learnt.subjects.names))
    given = {"steps": steps, "seed": seed, "verbose": verbose}
    worn = {kind: wear(radar, learnt.test, n, kind, **given) for kind in (IMPERSONATION, DODGING)}
    glasses = {
        kind: measure_glasses(radar, on, benign["score"], batch_size) for kind, on in worn.items()
    }
    made = FaceDetector(radar, learnt, Rate.of(benign["is_adversarial"]), glasses)
    _write(made, worn[IMPERSONATION].images, out)
    return made


@dataclasses.dataclass(frozen=True)
class _Course:
    """How subjects are learnt and their classifier is wrapped, whatever photographs are left out.

    The fields are arguments of `train_face_detector`; `common` are those of both `vggface.teach`
    and `vggface.fine_tune`, `settings` further ones of the former.
    """

    network: keras.Model
    variant: str
    fine_tuned: str | None
    tuning_rate: float
    out: Path
    common: dict[str, Any]
    settings: dict[str, Any]

    @property
    def _cache(self) -> Path:
        return self.out / "features"

    def learn(self, subjects: Subjects, train: Photographs, test: Photographs) -> Transfer:
        """The classifier that is wrapped in the end; its progress is logged."""
        learnt = self._teach(subjects, train, test, self.out / "training.csv")
        return self._tune(learnt, self.out / "tuning.csv")

    def apart(self, learnt: Transfer) -> Iterator[tuple[TaintRadarModel, list[Path]]]:
        """Detectors of classifiers that miss a part of the training photographs, and that part."""
        for rest, part in learnt.train.folds(_FOLDS, self.common["seed"]):
            again = self._tune(self._teach(learnt.subjects, rest, part))
            yield self.wrap(again), part.files

    def wrap(self, learnt: Transfer) -> TaintRadarModel:
        """The detector, without a threshold."""
        fill: Any = None
        if "fill" in make_rule(self.variant).arguments:
            shape = learnt.classifier.input_shape[1:]
            fill = average_face(learnt.train.files, shape, cache=self._cache)
        return TaintRadarModel(
            learnt.classifier,
            preprocessor=self.common["preprocessor"],
            variant=self.variant,
            class_names=learnt.subjects.names,
            fill=fill,
        )

    def _teach(
        self, subjects: Subjects, train: Photographs, test: Photographs, log: Path | None = None
    ) -> Transfer:
        given = {**self.common, **self.settings, "cache": self._cache, "log": log}
        return teach(self.network, subjects, train, test, **given)

    def _tune(self, learnt: Transfer, log: Path | None = None) -> Transfer:
        if self.fine_tuned is None:
            return learnt
        rate = self.tuning_rate
        return fine_tune(learnt, self.fine_tuned, learning_rate=rate, log=log, **self.common)


def _write(made: FaceDetector, worn: Pixels, out: Path) -> None:
    made.radar.save(out / "detector.keras")
    export_savedmodel(made.radar, out / "served")
    with replacing(out / "report.json") as partial:
        partial.write_text(made.to_json(), encoding="utf-8")
    plain = read_faces(made.radar, made.transfer.test, 0)[:_SHOWN]
    images = [*plain, *worn[: len(plain)]]
    figure = plot.panels(
        images,
        _titles(made, images),
        overlays=[None] * len(images),
        headline=f"{made.transfer.subjects.names[0]}, without and with adversarial glasses",
    )
    plot.saved(figure, out / "glasses.png")


def _titles(made: FaceDetector, images: Sequence[Pixels]) -> list[str]:
    found, names = made.radar.predict(np.stack(images), verbose=0), made.transfer.subjects.names
    verdicts = np.where(found["is_adversarial"], "ADVERSARIAL", "benign")
    return [
        f"{names[label]}\n{verdict}"
        for label, verdict in zip(found["label"], verdicts, strict=True)
    ]


def _as_document(found: Glasses) -> dict[str, Any]:
    rates = {name: getattr(found, name)._asdict() for name in ("succeeded", "flagged", "recovered")}
    return {**rates, "auroc": found.auroc, "steps": found.steps}
