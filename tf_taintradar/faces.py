"""From photographs of people to a detector on disk: the paper's second scenario in one call."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.attacks import EyeglassesAttack
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.export import export_savedmodel
from tf_taintradar.files import replacing
from tf_taintradar.image_files import read_image
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.vggface import Transfer, transfer

Pixels = npt.NDArray[np.uint8]

_SHOWN = 4  # photographs of one subject in the picture


@dataclasses.dataclass(frozen=True, eq=False)
class FaceDetector:
    """A detector of one's own subjects, and what it does.

    Attributes:
        radar: the detector, calibrated.
        transfer: the classifier and its photographs.
        benign: of the photographs held out and not calibrated on, how many are flagged.
        succeeded: of the photographs with glasses painted on, how many pass for somebody else.
        flagged: how many of those are flagged.
        recovered: on how many of the flagged ones the right name is found.
    """

    radar: TaintRadarModel
    transfer: Transfer
    benign: Rate
    succeeded: Rate
    flagged: Rate
    recovered: Rate

    def to_json(self) -> str:
        """The figures as JSON text."""
        counts = self.transfer.subjects.counts()
        rates = ("benign", "succeeded", "flagged", "recovered")
        document = {
            "subjects": len(counts),
            "photographs": {"fewest": min(counts.values()), "most": max(counts.values())},
            "unreadable": [str(file) for file in self.transfer.subjects.unreadable],
            "duplicates": [str(file) for file in self.transfer.subjects.duplicates],
            "accuracy": self.transfer.accuracy,
            "accuracy_interval": self.transfer.interval,
            "n_held_out": len(self.transfer.predicted),
            "confusions": self.transfer.confusions(),
            **{name: dict(getattr(self, name)._asdict()) for name in rates},
        }
        return json.dumps(document, indent=1) + "\n"


def train_face_detector(
    folder: str | os.PathLike[str],
    network: keras.Model,
    output: str | os.PathLike[str],
    *,
    preprocessor: Any = "vggface",
    target_fpr: float = 0.06,
    n_wearers: int = 10,
    steps: int = 300,
    seed: int = 0,
    verbose: int = 1,
    **settings: Any,
) -> FaceDetector:
    """Teaches a face network one's own subjects, wraps it, calibrates it, tries it with glasses.

    Writes into `output`: `detector.keras`; `served/`, a SavedModel for TensorFlow Serving;
    `report.json`; `glasses.png`, one subject's photographs with and without adversarial glasses;
    `training.csv`; and `features/`, with which another run takes seconds.

    Args:
        folder: one sub-folder of photographs for each subject.
        network: a face network, for instance `vggface.VGGFace(weights="vggface")`.
        output: a folder; what it holds is replaced.
        preprocessor: what the network expects.
        target_fpr: of the detector, which is calibrated on half of the photographs held out.
        n_wearers: how many subjects put on glasses that make them pass for the next one, a pair for
            all their photographs held out.
        steps: of the glasses, at most.
        seed: of all that is drawn.
        verbose: 0 for silence, 1 for progress bars.
        settings: further ones of `vggface.transfer`: `kept`, `n_train`, `epochs`, ...

    Raises:
        CalibrationError: too few photographs are held out for the target.
        ImageError, UnsupportedClassifierError, ValueError: as in `vggface.transfer`.
    """
    out = Path(output)
    learnt = transfer(
        folder,
        network,
        preprocessor=preprocessor,
        cache=out / "features",
        log=out / "training.csv",
        seed=seed,
        verbose=verbose,
        **settings,
    )
    names = learnt.subjects.names
    radar = TaintRadarModel(learnt.classifier, preprocessor=preprocessor, class_names=names)
    order = np.random.default_rng([seed, 2]).permutation(len(learnt.test.files))
    first, other = np.array_split(order, 2)
    radar.calibrate(learnt.test.take(first).files, target_fpr, verbose=verbose)
    benign = radar.predict(learnt.test.take(other).files, verbose=verbose)["is_adversarial"]
    wearers = range(min(n_wearers, len(names)))
    worn = [_wear(radar, learnt, wearer, steps, seed) for wearer in wearers]
    images, targets, truth = (np.concatenate(parts) for parts in zip(*worn, strict=True))
    found = radar.predict(images, verbose=0)
    success, flags = found["label"] == targets, found["is_adversarial"]
    is_right = found["recovered_label"] == truth
    made = FaceDetector(
        radar,
        learnt,
        benign=Rate.of(benign),
        succeeded=Rate.of(success),
        flagged=Rate.of(flags[success]),
        recovered=Rate.of(is_right[success & flags]),
    )
    _write(made, worn[0][0], out)
    return made


def _wear(
    radar: TaintRadarModel, learnt: Transfer, wearer: int, steps: int, seed: int
) -> tuple[Pixels, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """One subject's photographs with a pair of glasses; the label wanted, the right one."""
    target = (wearer + 1) % len(learnt.subjects.names)
    attack = EyeglassesAttack(
        radar.classifier,
        target_class=target,
        preprocessor=radar.preprocessor,
        steps=steps,
        seed=seed,
    )
    photographs = _read(learnt, wearer, radar)
    worn = attack.universal(photographs, verbose=0).images
    return worn, np.full(len(worn), target), np.full(len(worn), wearer)


def _read(learnt: Transfer, subject: int, radar: TaintRadarModel) -> Pixels:
    files = [
        file
        for file, label in zip(learnt.test.files, learnt.test.labels, strict=True)
        if label == subject
    ]
    return np.stack([read_image(file, radar.classifier.input_shape[1:]) for file in files])


def _write(made: FaceDetector, worn: Pixels, out: Path) -> None:
    made.radar.save(out / "detector.keras")
    export_savedmodel(made.radar, out / "served")
    with replacing(out / "report.json") as partial:
        partial.write_text(made.to_json(), encoding="utf-8")
    plain = _read(made.transfer, 0, made.radar)[:_SHOWN]
    images = [*plain, *worn[:_SHOWN]]
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
