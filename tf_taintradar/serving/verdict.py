"""What a served detector says about one image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ServingError

Source = int | Path

_KINDS = {
    "predictions": "f",
    "label": "iu",
    "is_adversarial": "b",
    "rank_shift": "iu",
    "score": "fiu",
    "recovered_label": "iu",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """The answer for one image.

    Attributes:
        source: The file, or the row in the array or list that was passed.
        valid: Whether the server could decode the image and the classifier's answer is finite. If
            not, `label`, `recovered_label`, `rank_shift` and `score` are -1, `predictions` are 0,
            and `is_adversarial` is true, because an image that was not examined cannot be trusted.
        label: The predicted class.
        is_adversarial: Whether the detector flags the image.
        rank_shift: How many labels overtake the predicted one, 0 or more.
        score: What the detector's threshold is compared with.
        recovered_label: The prediction without the tainted region.
        predictions: (classes,) float32, as the classifier gives them.
    """

    source: Source
    valid: bool
    label: int
    is_adversarial: bool
    rank_shift: int
    score: float
    recovered_label: int
    predictions: npt.NDArray[np.float32]


def to_verdicts(outputs: Mapping[str, Any], sources: Sequence[Source]) -> list[Verdict]:
    """One verdict for each source, from the outputs of a signature.

    Args:
        outputs: Arrays or lists by output name, the batch first; those that a verdict has no field
            for are ignored. Without `valid`, as exports of version 0.1 answer for arrays, rows with
            a label are valid.
        sources: Where the rows came from.

    Returns:
        As many verdicts as there are sources, in their order.

    Raises:
        ServingError: An output is missing, or has another shape or type than a detector's.
    """
    n = len(sources)
    found = {name: _column(outputs, name, kinds, n) for name, kinds in _KINDS.items()}
    valid = _column(outputs, "valid", "b", n) if "valid" in outputs else found["label"] >= 0
    predictions = found["predictions"].astype(np.float32, copy=False)
    return [
        Verdict(
            source=source,
            valid=bool(valid[i]),
            label=int(found["label"][i]),
            is_adversarial=bool(found["is_adversarial"][i]),
            rank_shift=int(found["rank_shift"][i]),
            score=float(np.float32(found["score"][i])),
            recovered_label=int(found["recovered_label"][i]),
            predictions=predictions[i],
        )
        for i, source in enumerate(sources)
    ]


def _column(outputs: Mapping[str, Any], name: str, kinds: str, n: int) -> npt.NDArray[Any]:
    """One output as an array of `n` rows whose dtype is of one of `kinds`."""
    rank = 2 if name == "predictions" else 1
    try:
        column = np.asarray(outputs[name])
    except (KeyError, ValueError):  # missing, or ragged
        column = np.empty(0, object)
    if column.ndim != rank or len(column) != n or column.dtype.kind not in kinds:
        came = f"{column.dtype} {column.shape}" if name in outputs else "nothing"
        raise ServingError(
            f"The server's answer is malformed: `{name}` must have {n} rows of rank {rank}; "
            f"received {came}. Is the model an exported detector, and nothing between it and the "
            "client that rewrites answers?"
        )
    return column
