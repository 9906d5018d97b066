"""Training of a face detector from photographs: the paper's second scenario in one call."""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar import plot
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.groups import of_groups
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.detection.bands import EYES
from tf_taintradar.detection.rules import Bands, RuleSpec, make_rule
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.faces.average import average_face
from tf_taintradar.faces.glasses import (
    DODGING,
    EYE_LINE,
    IMPERSONATION,
    framed,
    measure_glasses,
    read_faces,
    wear,
)
from tf_taintradar.faces.heads import embedding_of
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.faces.report import FaceDetector, Pixels, write
from tf_taintradar.faces.strangers import meet_strangers
from tf_taintradar.faces.subjects import Subjects, find_subjects
from tf_taintradar.faces.transfer import Transfer, teach
from tf_taintradar.faces.tuning import check_layer, fine_tune
from tf_taintradar.fills import FillSpec
from tf_taintradar.images.sources import ImageSource, files_of
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require

_FOLDS = 5  # parts of the training photographs that are left out in turn
_SHOWN = 4  # photographs of one subject in the picture
_BARE, _FRAMED = "without glasses", "plain frames"


def train_face_detector(
    folder: str | os.PathLike[str],
    network: keras.Model,
    output: str | os.PathLike[str],
    *,
    held_out: str | os.PathLike[str] | None = None,
    strangers: ImageSource | None = None,
    preprocessor: PreprocessorSpec | None = "vggface",
    variant: RuleSpec = Bands.name,
    eye_line: float = EYE_LINE,
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

    The detector meets its target both for people without glasses and for people who wear ordinary
    ones, because plain frames are painted on half of the calibration photographs. The tests use
    photographs that are used for nothing else.

    Writes these files into `output`: `detector.keras`; `served/`, a SavedModel for TensorFlow
    Serving; `report.json`; `glasses.png`, one subject's photographs with and without adversarial
    glasses; `training.csv` of a dense head and, if the network is fine-tuned, `tuning.csv`; and
    `features/`, which reduces another run to seconds.

    Args:
        folder: folder with one sub-folder of photographs for each subject.
        network: a face network, for instance `vggface.VGGFace(weights="vggface")`, see `transfer`.
        output: folder for the results; existing results are replaced.
        held_out: folder with the photographs to calibrate and test with, see `transfer`; None:
            `folder` is divided at random.
        strangers: photographs of people who are none of the subjects, in the forms of
            `TaintRadarModel.predict`; None: there are none.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        variant: variant of the detector. "bands" detects glasses best, "occlusion" patches; "paper"
            fills regions with the average face of the training photographs, as the paper does.
        eye_line: height of the eyes as a fraction of the image's height, from the top. Glasses are
            painted there, and "bands" looks there.
        fine_tuned: name of the first layer that is fine-tuned after the new last layer has been
            trained, see `fine_tune`; None: no layer.
        tuning_rate: learning rate of the fine-tuning; a network that was not trained on faces needs
            a larger one.
        calibrate_on: "test" or "folds". "test" calibrates on half of the photographs held out, and
            tests with the other half. "folds" is for few photographs: it calibrates on the training
            photographs, each fifth of them scored by a classifier that was trained without it, and
            tests with all photographs held out.
        target_fpr: false positive rate that the detector is calibrated to.
        n_train: number of training photographs of each subject, without `held_out`; the others are
            held out.
        n_wearers: largest number of subjects who wear glasses to pass for the next subject, or for
            anybody else.
        steps: largest number of steps in which a pair of glasses is made.
        batch_size: number of photographs that are computed at once, on each device.
        strategy: distribution strategy that computes and trains on several devices, for instance
            `tf.distribute.MirroredStrategy()`.
        seed: random seed.
        verbose: 0 for silence, 1 for progress bars.
        settings: other arguments of `teach`: `head`, `kept`, `epochs`, ...

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
    if variant == Bands.name:
        variant = Bands(bands=((eye_line - EYE_LINE + EYES[0], EYES[1]),))
    make_rule(variant)
    embedding_of(network, settings.get("kept"))
    if fine_tuned is not None:
        check_layer(network, fine_tuned, "fine_tuned")
    meant = None if strangers is None else files_of(strangers) or strangers
    common: dict[str, Any] = {"preprocessor": preprocessor, "batch_size": batch_size}
    common |= {"strategy": strategy, "seed": seed, "verbose": verbose}
    course = _Course(network, variant, fine_tuned, tuning_rate, out, common, settings)
    shape = network.input_shape[1:]
    subjects, train, test = find_subjects(folder, shape).divide(shape, held_out, n_train, seed)
    calibration, other = train, test
    if calibrate_on == "test":
        other, calibration = next(test.folds(2, seed))
    else:
        _check_folds(subjects, train)
    sizes = [len(part.files) for _, part in train.folds(_FOLDS, seed)]
    groups = _groups(sizes if calibrate_on == "folds" else [len(calibration.files)])
    of_groups(smallest_threshold, np.zeros(len(groups)), np.array(groups), target_fpr)
    learnt = course.learn(subjects, train, test)
    radar = course.wrap(learnt)
    bar: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
    apart = course.apart(learnt) if calibrate_on == "folds" else [(radar, calibration)]
    radar.calibrate_across(_parts(apart, eye_line, seed), target_fpr, groups=groups, **bar)
    worn = {"n_wearers": n_wearers, "eye_line": eye_line, "steps": steps, "seed": seed}
    made, images = _measure(radar, learnt, other, meant, worn, **bar)
    _show(made, other, images, out)
    return made


def _measure(
    radar: TaintRadarModel,
    learnt: Transfer,
    other: Photographs,
    strangers: ImageSource | None,
    glasses: dict[str, Any],
    **bar: Any,
) -> tuple[FaceDetector, Pixels]:
    """A calibrated detector with its rates on other photographs, and those with glasses.

    `glasses` are arguments of `wear`, `bar` those of `TaintRadarModel.predict`.
    """
    benign = radar.predict(other.files, **bar)
    frames = framed(radar, other, glasses["eye_line"], glasses["seed"] + 1)
    plain = radar.predict(frames, **bar)["is_adversarial"]
    worn = {
        goal + suffix: wear(
            radar, other, goal=goal, one_each=bool(suffix), verbose=bar["verbose"], **glasses
        )
        for goal, suffix in itertools.product((IMPERSONATION, DODGING), ("", ", one each"))
    }
    found = {
        kind: measure_glasses(radar, on, benign["score"], bar["batch_size"])
        for kind, on in worn.items()
    }
    rates = Rate.of(benign["is_adversarial"]), Rate.of(plain)
    met = None
    if strangers is not None:
        met = meet_strangers(radar, strangers, benign["predictions"], **bar)
    return FaceDetector(radar, learnt, *rates, found, met), worn[IMPERSONATION].images


def _check_folds(subjects: Subjects, train: Photographs) -> None:
    """Refuses folds that would leave out all that is known of a person."""
    counts = np.bincount(train.labels, minlength=len(subjects.names))
    alone = [name for name, n in zip(subjects.names, counts, strict=True) if n < 2]
    received = f"folds, with one training photograph of {', '.join(alone[:5])}"
    expected = "test unless each subject has two training photographs or more"
    require(not alone, "calibrate_on", received, expected)


def _groups(sizes: Iterable[int]) -> list[str]:
    """Who is in each group of the calibration: of each part half of the photographs."""
    parts = ([_BARE] * (n - n // 2) + [_FRAMED] * (n // 2) for n in sizes)
    return list(itertools.chain.from_iterable(parts))


def _parts(
    apart: Iterable[tuple[TaintRadarModel, Photographs]], eye_line: float, seed: int
) -> Iterator[tuple[TaintRadarModel, ImageSource]]:
    """Detectors and what they are calibrated on, in the order of `_groups`."""
    for radar, part in apart:
        numbers = np.arange(len(part.files))
        yield radar, part.take(numbers[::2]).files
        if len(numbers) > 1:
            yield radar, framed(radar, part.take(numbers[1::2]), eye_line, seed)


def _show(made: FaceDetector, other: Photographs, worn: Pixels, out: Path) -> None:
    """Writes the files, with the first wearer in the picture."""
    first = other.labels.min()
    shown = other.take(np.flatnonzero(other.labels == first)[:_SHOWN])
    name = made.transfer.subjects.names[first]
    write(made, read_faces(made.radar, shown), worn[: len(shown.files)], name, out)


@dataclasses.dataclass(frozen=True)
class _Course:
    """The settings of training and wrapping, the same for any division of the photographs.

    The fields are arguments of `train_face_detector`; `common` are those of both `teach` and
    `fine_tune`, `settings` are other arguments of `teach`.
    """

    network: keras.Model
    variant: RuleSpec
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

    def apart(self, learnt: Transfer) -> Iterator[tuple[TaintRadarModel, Photographs]]:
        """Detectors trained without a part of the training photographs, each with that part."""
        for rest, part in learnt.train.folds(_FOLDS, self.common["seed"]):
            again = self._tune(self._teach(learnt.subjects, rest, part))
            yield self.wrap(again), part

    def wrap(self, learnt: Transfer) -> TaintRadarModel:
        """The detector of a trained classifier, without a threshold."""
        fill: FillSpec | None = None
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
