"""The results of a face detector, and the files that record them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.export.versions import export_savedmodel
from tf_taintradar.faces.glasses import Glasses
from tf_taintradar.faces.strangers import Strangers
from tf_taintradar.faces.transfer import Transfer
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.files import replacing

Pixels = npt.NDArray[np.uint8]

HEADER = ["people", "right", "variant", "benign flagged", "plain frames flagged", "glasses"]
HEADER += ["succeed", "of those flagged"]
PAPER = [
    ["the paper: 2,622", "-", "paper", "5.5%", "-", "impersonation", "-", "73.42%"],
    ["the paper: 143", "94.93%", "paper", "-", "-", "impersonation, filmed", "-", "79.78%"],
]
"""The paper's rows (section VI) of a table of `HEADER`; its people, network and glasses differ."""


@dataclasses.dataclass(frozen=True, eq=False)
class FaceDetector:
    """A detector of your own subjects, and its measured rates.

    Attributes:
        radar: the calibrated detector.
        transfer: the classifier and its photographs.
        benign: rate of flagged photographs among those held out and not used for the calibration.
        plain: the same rate with ordinary glasses painted on these photographs.
        glasses: results with adversarial glasses, by the wearers' goal, "impersonation" or
            "dodging": with one pair for all photographs of a wearer, and as "impersonation, one
            each" or "dodging, one each" with a pair for each photograph.
        strangers: rates on photographs of other people; None: there are none.
    """

    radar: TaintRadarModel
    transfer: Transfer
    benign: Rate
    plain: Rate
    glasses: dict[str, Glasses]
    strangers: Strangers | None = None

    def to_json(self) -> str:
        """The settings and all rates as JSON text."""
        counts = self.transfer.subjects.counts()
        strangers = self.strangers
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
            "plain": self.plain._asdict(),
            "glasses": {kind: _as_document(found) for kind, found in self.glasses.items()},
            "strangers": None if strangers is None else _as_document(strangers),
        }
        return json.dumps(document, indent=1) + "\n"

    def rows(self) -> list[list[str]]:
        """The rows of a table with the columns `HEADER`: one for each kind of glasses."""
        about = [str(len(self.transfer.subjects.names)), f"{self.transfer.accuracy:.1%}"]
        about += [self.radar.variant, str(self.benign), str(self.plain)]
        return [
            [*about, kind, str(found.succeeded), str(found.flagged)]
            for kind, found in self.glasses.items()
        ]

    def beside_paper(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of a table: the detector's, then the paper's."""
        return HEADER, [*self.rows(), *PAPER]


def write(made: FaceDetector, plain: Pixels, worn: Pixels, name: str, out: Path) -> None:
    """Writes `detector.keras`, `served/`, `report.json` and `glasses.png` into a folder.

    Args:
        made: the detector.
        plain: (n, H, W, 3) uint8, photographs of one subject.
        worn: (n, H, W, 3) uint8, the same with adversarial glasses.
        name: name of the subject.
        out: the folder.
    """
    made.radar.save(out / "detector.keras")
    export_savedmodel(made.radar, out / "served")
    with replacing(out / "report.json") as partial:
        partial.write_text(made.to_json(), encoding="utf-8")
    images = [*plain, *worn]
    figure = plot.panels(
        images,
        _titles(made, images),
        overlays=[None] * len(images),
        headline=f"{name}, without and with adversarial glasses",
    )
    plot.saved(figure, out / "glasses.png")


def _titles(made: FaceDetector, images: Sequence[Pixels]) -> list[str]:
    found, names = made.radar.predict(np.stack(images), verbose=0), made.transfer.subjects.names
    verdicts = np.where(found["is_adversarial"], "ADVERSARIAL", "benign")
    return [
        f"{names[label]}\n{verdict}"
        for label, verdict in zip(found["label"], verdicts, strict=True)
    ]


def _as_document(found: Glasses | Strangers) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, Rate) else value
        for name, value in found._asdict().items()
    }
