"""Training of a face detector from photographs: the paper's second scenario in one call."""

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
    """A detector of your own subjects, and its measured rates.

    Attributes:
        radar: the calibrated detector.
        transfer: the classifier and its photographs.
        benign: rate of flagged photographs among those held out and not used for the calibration.
        glasses: results with adversarial glasses, by the wearers' goal: "impersonation" or
            "dodging".
    """

    radar: TaintRadarModel
    transfer: Transfer
    benign: Rate
    glasses: dict[str, Glasses]

    def to_json(self) -> str:
        """The settings and all rates as JSON text."""
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
    """Trains a face network on your own subjects, and calibrates and tests its detector.

    Writes these files into `output`: `detector.keras`; `served/`, a SavedModel for TensorFlow
    Serving; `report.json`; `glasses.png`, one subject's photographs with and without adversarial
    glasses; `training.csv` and, if the network is fine-tuned, `tuning.csv`; and `features/`, which
    reduces another run to seconds.

    Args:
        folder: folder with one sub-folder of photographs for each subject.
        network: a face network, for instance `vggface.VGGFace(weights="vggface")`.
        output: folder for the results; existing results are replaced.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        variant: variant of the detector. "bands" detects glasses best, "occlusion" patches; "paper"
            fills regions with the average face of the training photographs, as the paper does.
        fine_tuned: name of the first layer that is fine-tuned after the new last layer has been
            trained, see `vggface.fine_tune`; None: no layer.
        tuning_rate: learning rate of the fine-tuning; a network that was not trained on faces needs
            a larger one.
        calibrate_on: "test" or "folds". "test" calibrates on half of the photographs held out, and
            measures the false positive rate on the other half. "folds" is for few photographs: it
            calibrates on the training photographs, each fifth of them scored by a classifier that
            was trained without it, and measures the rate on all photographs held out.
        target_fpr: false positive rate that the detector is calibrated to.
        n_train: number of training photographs of each subject; the others are held out.
        n_wearers: number of subjects who wear glasses to pass for the next subject, or for anybody
            else; one pair serves all photographs of a subject that are held out.
        steps: largest number of steps in which a pair of glasses is made.
        batch_size: number of photographs that are computed at once, on each device.
        strategy: distribution strategy that computes and trains on several devices, for instance
            `tf.distribute.MirroredStrategy()`.
        seed: random seed.
        verbose: 0 for silence, 1 for progress bars.
        settings: other arguments of `vggface.teach`: `kept`, `epochs`, ...

    Raises:
        CalibrationError: there are too few photographs to calibrate to `target_fpr`; raised before
            the training.
        ImageError: the folder does not hold photographs of at least two subjects.
        UnsupportedClassifierError: the network has no layer `kept` or `fine_tuned`.
        ValueError: a subject has too few photographs, or another argument is out of range.
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
    bar: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
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
    """The settings of training and wrapping, the same for any division of the photographs.

    The fields are arguments of `train_face_detector`; `common` are those of both `vggface.teach`
    and `vggface.fine_tune`, `settings` are other arguments of `vggface.teach`.
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
        """Trains the classifier of the final detector, and logs its progress."""
        learnt = self._teach(subjects, train, test, self.out / "training.csv")
        return self._tune(learnt, self.out / "tuning.csv")

    def apart(self, learnt: Transfer) -> Iterator[tuple[TaintRadarModel, list[Path]]]:
        """Detectors trained without a part of the training photographs, each with that part."""
        for rest, part in learnt.train.folds(_FOLDS, self.common["seed"]):
            again = self._tune(self._teach(learnt.subjects, rest, part))
            yield self.wrap(again), part.files

    def wrap(self, learnt: Transfer) -> TaintRadarModel:
        """The detector of a trained classifier, without a threshold."""
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
