"""The record of an evaluation."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.evaluation.metrics import Rate


@dataclasses.dataclass(frozen=True)
class BenignRow:
    """The result of a defence on benign images that it was not calibrated on.

    Attributes:
        defence: name of the defence.
        target_fpr: false positive rate that it was calibrated to.
        threshold: score above which an image is flagged.
        flagged: measured false positive rate.
        cost: its time as a multiple of the plain classifier's, on the same images in the same run.
    """

    defence: str
    target_fpr: float
    threshold: float
    flagged: Rate
    cost: float

    @property
    def is_beyond(self) -> bool:
        """Whether the whole interval of the rate lies above the target."""
        return self.flagged.interval[0] > self.target_fpr


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of a defence against an attack.

    Attributes:
        attack: name of the attack.
        defence: name of the defence.
        target_fpr: false positive rate that the defence was calibrated to.
        succeeded: rate of attacked images that fool the classifier.
        flagged: true positive rate: flagged images among those that fool the classifier.
        auroc: area under the ROC curve of successful attacks against benign images; None if no
            attack succeeded.
        robust: rate of attacked images that do not fool the classifier or are flagged.
        recovered: images whose right label is recovered among the flagged ones; None if the defence
            does not clean images.
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
    """An attacked image and the defences that flag it.

    Attributes:
        image: (H, W, c) uint8 raw pixels.
        seen_by: names of the defences that flag it at the first false positive rate.
    """

    image: npt.NDArray[np.uint8]
    seen_by: list[str]


@dataclasses.dataclass(frozen=True)
class Findings:
    """Attacks against defences, all calibrated on the same benign images to the same rates.

    Attributes:
        setting: setting of the measurement: versions, numbers of images, seed, target, and a
            description of each attack and defence.
        target_fprs: false positive rates that the defences were calibrated to.
        benign: one row for each defence and rate.
        rows: one row for each attack, defence and rate.
        benign_scores: scores (n,) of benign images, by defence.
        attack_scores: scores (m,) of successful attacks, by attack and defence.
        examples: some images of successful attacks, by attack.
        plain: for faces: one row for each defence and rate, on benign photographs with plain frames
            painted on, of people who simply wear glasses; empty otherwise.
        plain_scores: scores (n,) of those, by defence.
    """

    setting: dict[str, Any]
    target_fprs: list[float]
    benign: list[BenignRow]
    rows: list[Row]
    benign_scores: dict[str, npt.NDArray[np.float64]]
    attack_scores: dict[str, dict[str, npt.NDArray[np.float64]]]
    examples: dict[str, list[Example]]
    plain: list[BenignRow] = dataclasses.field(default_factory=list)
    plain_scores: dict[str, npt.NDArray[np.float64]] = dataclasses.field(default_factory=dict)

    @property
    def attacks(self) -> list[str]:
        """The names of the attacks, in order."""
        return list(dict.fromkeys(row.attack for row in self.rows))

    @property
    def defences(self) -> list[str]:
        """The names of the defences, in order."""
        return list(dict.fromkeys(row.defence for row in self.benign))

    def row(self, attack: str, defence: str, target_fpr: float) -> Row:
        """The row of an attack, a defence and a rate.

        Args:
            attack: name of the attack.
            defence: name of the defence.
            target_fpr: false positive rate that the defence was calibrated to.

        Raises:
            KeyError: there is no such row.
        """
        for row in self.rows:
            if (row.attack, row.defence, row.target_fpr) == (attack, defence, target_fpr):
                return row
        raise KeyError((attack, defence, target_fpr))
