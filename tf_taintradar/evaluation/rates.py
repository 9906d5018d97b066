"""Rates of an evaluation, counted from the scores of its defences."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.evaluation.metrics import Rate, auroc
from tf_taintradar.evaluation.record import BenignRow, Example, Row
from tf_taintradar.evaluation.result import Evaluation

PLAIN = "plain frames"
"""What photographs of honest wearers are called."""
_SHOWN = 4  # examples of an attack

Flags = dict[tuple[str, str], npt.NDArray[np.bool_]]


def count(
    about: dict[str, Any],
    attacks: Mapping[str, Arrays],
    answers: Mapping[str, Mapping[str, Arrays]],
    target_fprs: Sequence[float],
) -> Evaluation:
    """All rates of an evaluation.

    Args:
        about: the setting of the evaluation, see `Experiment.about`.
        attacks: the outcome of each attack by name, see `Experiment.attacked`.
        answers: the scores of each defence by name, see `Experiment.ask`; under `PLAIN` those of
            photographs with plain frames, if they are faces.
        target_fprs: false positive rates that each defence is calibrated to.
    """
    benign: list[BenignRow] = []
    worn: list[BenignRow] = []
    rows: list[Row] = []
    first: Flags = {}
    for defence, found in answers.items():
        plain = found[""]
        for target_fpr in target_fprs:
            threshold = smallest_threshold(plain["calibration"], target_fpr)
            flagged = Rate.of(plain["score"] > threshold)
            benign.append(BenignRow(defence, target_fpr, threshold, flagged, float(plain["cost"])))
            if PLAIN in found:
                rate = Rate.of(found[PLAIN]["score"] > threshold)
                worn.append(dataclasses.replace(benign[-1], flagged=rate))
            for name, attack in attacks.items():
                flags = found[name]["score"] > threshold
                first.setdefault((name, defence), flags)
                rates = _rates(attack, found[name], flags, plain["score"])
                rows.append(Row(name, defence, target_fpr, *rates))
    return Evaluation(
        setting=about,
        target_fprs=list(target_fprs),
        benign=benign,
        rows=sorted(rows, key=lambda row: list(attacks).index(row.attack)),
        benign_scores={defence: found[""]["score"] for defence, found in answers.items()},
        attack_scores={
            name: {d: found[name]["score"][attack["succeeded"]] for d, found in answers.items()}
            for name, attack in attacks.items()
        },
        examples={
            name: _examples(attack, {d: first[name, d] for d in answers})
            for name, attack in attacks.items()
        },
        plain=worn,
        plain_scores={d: found[PLAIN]["score"] for d, found in answers.items() if PLAIN in found},
    )


def _rates(
    attack: Arrays, answer: Arrays, flags: npt.NDArray[np.bool_], benign: npt.NDArray[Any]
) -> tuple[Rate, Rate, float | None, Rate, Rate | None]:
    """The fields `succeeded`, `flagged`, `auroc`, `robust` and `recovered` of a `Row`."""
    succeeded = attack["succeeded"]
    recovered = None
    if "recovered_label" in answer:
        is_right = answer["recovered_label"] == attack["truth"]
        recovered = Rate.of(is_right[succeeded & flags])
    return (
        Rate.of(succeeded),
        Rate.of(flags[succeeded]),
        auroc(benign, answer["score"][succeeded]),
        Rate.of(~succeeded | flags),
        recovered,
    )


def _examples(attack: Arrays, flags: Mapping[str, npt.NDArray[np.bool_]]) -> list[Example]:
    shown = np.flatnonzero(attack["succeeded"])[:_SHOWN]
    return [
        Example(attack["images"][i], [name for name, flagged in flags.items() if flagged[i]])
        for i in shown
    ]
