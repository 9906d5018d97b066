"""An evaluation as Markdown and as JSON."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from tf_taintradar.evaluation.metrics import FEW, Rate
from tf_taintradar.evaluation.record import Findings

Table = tuple[list[str], list[list[str]]]

LEGEND = (
    "Rates in per cent with their 95 % interval (Wilson). * fewer than "
    f"{FEW} images. Detected: of the attacks that fool the classifier. Robust: of all attacks "
    "mounted, those that fail or are flagged. Recovered: of those flagged, the ones that get the "
    "right label back. Cost: time over the plain classifier's, in the same run."
)


def tables(found: Findings) -> dict[str, Table]:
    """The header and the rows of each table, by title."""
    made = {"Attacks without a defence": _attacks(found), "Benign images": _benign(found)}
    if found.plain:
        made["Plain frames: people who simply wear glasses"] = _plain_frames(found)
    for target_fpr in found.target_fprs:
        made[f"Detected, calibrated to {target_fpr:g}"] = _grid(found, "flagged", target_fpr)
    first = found.target_fprs[0]
    made["Area under the ROC curve"] = _grid(found, "auroc", first)
    made[f"Robust, calibrated to {first:g}"] = _grid(found, "robust", first)
    made[f"Recovered, calibrated to {first:g}"] = _grid(found, "recovered", first)
    return made


def summary(found: Findings) -> str:
    """The setting of the measurement in one line."""
    about = found.setting
    return (
        f"{about['n_images']} images ({about['classifier_right']:.0%} classified right): "
        f"{about['n_calibration']} for calibration, {about['n_fit']} for rivals that need some, "
        f"{about['n_benign']} for testing; target {about['run']['target_class']}, seed "
        f"{about['run']['seed']}; TensorFlow {about['tensorflow']}, Keras {about['keras']}."
    )


def markdown(found: Findings) -> str:
    """The report as Markdown."""
    parts = [summary(found), LEGEND]
    for title, (header, rows) in tables(found).items():
        parts += [f"**{title}**", markdown_table(header, rows)]
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; cells are converted with `str`."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def as_json(found: Findings) -> str:
    """All numbers as JSON text; a rate has its hits, its n and its interval.

    A score that was not finite, and is above every threshold, is null.
    """
    document = {
        "setting": found.setting,
        "benign": [_plain(row) for row in found.benign],
        "plain": [_plain(row) for row in found.plain],
        "rows": [_plain(row) for row in found.rows],
        "benign_scores": _listed(found.benign_scores),
        "plain_scores": _listed(found.plain_scores),
        "attack_scores": {
            attack: _listed(by_defence) for attack, by_defence in found.attack_scores.items()
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _attacks(found: Findings) -> Table:
    first = {row.attack: row for row in reversed(found.rows)}
    described = found.setting["attacks"]
    rows = [[name, str(first[name].succeeded), described[name]] for name in found.attacks]
    return ["attack", "succeeds", "what it is"], rows


def _benign(found: Findings) -> Table:
    targets = [f"flagged at {target:g}" for target in found.target_fprs]
    rows = []
    for name in found.defences:
        own = [row for row in found.benign if row.defence == name]
        rows.append([name, *(str(row.flagged) for row in own), f"{own[0].cost:.1f}"])
    return ["defence", *targets, "cost"], rows


def _plain_frames(found: Findings) -> Table:
    targets = [f"flagged at {target:g}" for target in found.target_fprs]
    rows = []
    for name in found.defences:
        own = [row for row in found.plain if row.defence == name]
        told = [f"{row.flagged}{', beyond its target' if row.is_beyond else ''}" for row in own]
        rows.append([name, *told])
    return ["defence", *targets], rows


def _grid(found: Findings, field: str, target_fpr: float) -> Table:
    rows = []
    for attack in found.attacks:
        values = [getattr(found.row(attack, d, target_fpr), field) for d in found.defences]
        rows.append([attack, *map(_cell, values)])
    return ["attack", *found.defences], rows


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _listed(scores: Mapping[str, npt.NDArray[Any]]) -> dict[str, list[float | None]]:
    return {
        name: [value if math.isfinite(value) else None for value in values.tolist()]
        for name, values in scores.items()
    }


def _plain(row: Any) -> dict[str, Any]:
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return {
        name: {"hits": v.hits, "n": v.n, "interval": v.interval} if isinstance(v, Rate) else v
        for name, v in values.items()
    }
