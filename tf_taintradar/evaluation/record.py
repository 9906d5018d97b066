"""What an evaluation found."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.evaluation import html, report
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.support.files import replacing


@dataclasses.dataclass(frozen=True)
class BenignRow:
    """A defence on benign images that it was not calibrated on.

    Attributes:
        defence: its name.
        target_fpr: what it was calibrated to.
        threshold: an image is flagged if its score is above this.
        flagged: the false positive rate.
        cost: its time over the plain classifier's, on the same images in the same run.
    """

    defence: str
    target_fpr: float
    threshold: float
    flagged: Rate
    cost: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A defence against an attack.

    Attributes:
        attack: its name.
        defence: its name.
        target_fpr: what the defence was calibrated to.
        succeeded: the attacks that fool the classifier, of those mounted.
        flagged: of those that succeeded, how many are flagged: the true positive rate.
        auroc: of the scores of attacks that succeeded against those of benign images; None without
            any.
        robust: of all attacks mounted, how many fail or are flagged.
        recovered: of those flagged, how many get the right label back; None if the defence cleans
            no images.
    """

    attack: str
    defence: str
    target_fpr: float
    succeeded: Rate
    flagged: Rate
    auroc: float | None
    robust: Rate
    recovered: Rate | None


@dataclasses.dataclass(frozen=True)
class Example:
    """Attacked images and what was said of them.

    Attributes:
        image: (H, W, c) uint8.
        seen_by: the defences that flag it at the first target.
    """

    image: npt.NDArray[np.uint8]
    seen_by: list[str]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Attacks against defences, all calibrated on the same benign images to the same rates.

    Attributes:
        setting: what was measured on: versions, numbers of images, seed, target, and what each
            attack and defence is.
        target_fprs: the false positive rates that the defences were calibrated to.
        benign: a row for each defence and rate.
        rows: a row for each attack, defence and rate.
        benign_scores: by defence, (n,) the scores of benign images.
        attack_scores: by attack and defence, (m,) the scores of attacks that succeeded.
        examples: by attack, some of those images.
    """

    setting: dict[str, Any]
    target_fprs: list[float]
    benign: list[BenignRow]
    rows: list[Row]
    benign_scores: dict[str, npt.NDArray[np.float64]]
    attack_scores: dict[str, dict[str, npt.NDArray[np.float64]]]
    examples: dict[str, list[Example]]

    @property
    def attacks(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(row.attack for row in self.rows))

    @property
    def defences(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(row.defence for row in self.benign))

    def row(self, attack: str, defence: str, target_fpr: float) -> Row:
        """The row of an attack and a defence.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if (row.attack, row.defence, row.target_fpr) == (attack, defence, target_fpr):
                return row
        raise KeyError((attack, defence, target_fpr))

    def to_markdown(self) -> str:
        """The tables as Markdown."""
        return report.markdown(self)

    def to_json(self) -> str:
        """All numbers and scores as JSON text."""
        return report.as_json(self)

    def to_html(self) -> str:
        """A page with the tables, ROC curves and examples that needs no other file."""
        return html.page(self)

    def write(self, folder: Any) -> list[Path]:
        """Writes `report.md`, `report.json` and `report.html` into a folder: their paths."""
        texts = {"md": self.to_markdown(), "json": self.to_json(), "html": self.to_html()}
        paths = []
        for suffix, text in texts.items():
            path = Path(folder) / f"report.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_text(text, encoding="utf-8")
            paths.append(path)
        return paths
