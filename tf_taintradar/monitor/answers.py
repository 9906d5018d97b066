"""Reads the answers of a detector in any form: scores, flags, and whether they are valid."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.checks import require

_NEEDED = ("score", "is_adversarial")
_EXPECTED = "the answers of a detector: `score` and `is_adversarial` of each image"


class Answers(NamedTuple):
    """What a monitor looks at, of n images.

    Attributes:
        score: (n,) float64.
        is_adversarial: (n,) bool.
        valid: (n,) bool, false where there is no verdict: the image could not be decoded, or the
            classifier's answer is not finite.
    """

    score: npt.NDArray[np.float64]
    is_adversarial: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]


AnswersLike: TypeAlias = Mapping[str, Any] | Sequence[object]
"""Answers of a detector: arrays by name, a verdict for each image, or the JSON of a server."""


def read_answers(answers: AnswersLike) -> Answers:
    """The answers in one form.

    Args:
        answers: arrays, tensors or lists by name, the batch first; or a sequence with an object or
            a dict for each image, such as the verdicts of a client; or the JSON document that
            TensorFlow Serving answers with. Exports give -1 as the label of an image without a
            verdict, `TaintRadarModel` a score that is not finite.

    Raises:
        ValueError: `answers` is not in one of these forms.
    """
    if isinstance(answers, Mapping):
        answers = answers.get("predictions" if _is_response(answers) else "outputs", answers)
    columns = answers if isinstance(answers, Mapping) else _columns(answers)
    missing = [name for name in _NEEDED if name not in columns]
    require(not missing, "answers", f"none of {', '.join(missing)}", _EXPECTED)
    try:
        score = np.asarray(columns["score"], np.float64)
        flags = np.asarray(columns["is_adversarial"])
        valid = np.isfinite(score)
        if "valid" in columns:
            valid = valid & np.asarray(columns["valid"], bool)
        if "label" in columns:
            valid = valid & (np.asarray(columns["label"]) >= 0)
    except (TypeError, ValueError) as error:
        require(False, "answers", str(error), _EXPECTED)
    fits = score.ndim == 1 and flags.shape == valid.shape == score.shape
    is_flag = flags.dtype == np.bool_ or flags.size == 0
    require(fits and is_flag, "answers", f"{score.shape}, {flags.dtype} {flags.shape}", _EXPECTED)
    return Answers(score, flags.astype(bool), valid)


def _is_response(answers: Mapping[str, Any]) -> bool:
    """Whether this is a document of TensorFlow Serving with a row for each image."""
    return "score" not in answers and "predictions" in answers


def _columns(rows: Any) -> dict[str, list[Any]]:
    """The fields by name of dicts, or of objects with attributes."""
    is_sequence = isinstance(rows, Sequence) and not isinstance(rows, str | bytes)
    require(is_sequence, "answers", type(rows).__name__, _EXPECTED)
    if not rows:
        return {name: [] for name in _NEEDED}
    maps = [row if isinstance(row, Mapping) else vars(row) for row in rows]
    names = [name for name in (*_NEEDED, "valid", "label") if name in maps[0]]
    full = all(name in row for row in maps for name in names)
    require(full, "answers", "rows with other fields than the first", _EXPECTED)
    return {name: [row[name] for row in maps] for name in names}
