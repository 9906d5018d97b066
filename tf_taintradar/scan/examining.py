"""Asks a detector about decoded images, whether it is a Keras model or a SavedModel."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.export.savedmodel import sum_up
from tf_taintradar.images.files import mode_of, shown_part
from tf_taintradar.images.pixels import Shape
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.scan.finding import NOT_FINITE, READ, UNREADABLE, Finding
from tf_taintradar.scan.items import Item
from tf_taintradar.scan.reading import Decoded, decode_ahead
from tf_taintradar.serving.load import SavedDetector
from tf_taintradar.support.checks import require
from tf_taintradar.support.version import __version__

Detector = TaintRadarModel | SavedDetector

_TOLD = ("input_shape", "n_classes", "class_names", "variant", "threshold", "temperature")
_DIGITS = 16  # of a checksum in hexadecimal


@dataclasses.dataclass(frozen=True)
class Identity:
    """Which detector it was that looked at an image; the fields are those of `Finding`.

    Attributes:
        detector: Checksum of the weights, the rule and the threshold.
        calibration: Checksum of the calibration, None without one.
        threshold: The threshold.
        rule: The name of the rule.
        version: Of this package.
    """

    detector: str
    calibration: str | None
    threshold: float
    rule: str
    version: str = __version__


class Examiner:
    """A detector with all that a scan wants to know of it.

    Args:
        detector: A `TaintRadarModel` with a threshold, or what `serving.load` gives.

    Attributes:
        identity: Which detector it is.
        calibration: Its calibration as a dict, see `Calibration.to_json`; None without one.
        input_shape: (H, W, c) of its images.

    Raises:
        NotCalibratedError: The detector has no threshold.
        ImageError: The classifier's input is neither grey nor RGB.
        ValueError: It is no detector.
    """

    def __init__(self, detector: Detector) -> None:
        kind = type(detector).__name__
        expected = "a TaintRadarModel, or what `serving.load` gives"
        is_known = isinstance(detector, (TaintRadarModel, SavedDetector))
        require(is_known, "detector", kind, expected)
        about = _describe(detector)
        if about["threshold"] is None:
            raise NotCalibratedError(NO_THRESHOLD)
        self._detector = detector
        self.calibration: dict[str, Any] | None = about["calibration"]
        self.input_shape: Shape = tuple(about["input_shape"])
        mode_of(self.input_shape)
        parts = {name: about[name] for name in _TOLD}
        weights = about["weights"]["sha256"]
        self.identity = Identity(
            detector=_checksum({**parts, "rule": about["rule"], "weights": weights}),
            calibration=None if self.calibration is None else _checksum(self.calibration),
            threshold=float(about["threshold"]),
            rule=about["variant"],
        )

    def examine_all(self, batches: Iterable[list[Item]]) -> Iterator[list[Finding]]:
        """The findings of each batch of items, in order, decoded ahead of the network."""
        return map(self.examine, decode_ahead(batches, self.input_shape))

    def examine(self, batch: Sequence[Decoded]) -> list[Finding]:
        """The findings of decoded images, in order; the readable ones are computed at once."""
        images = [one.pixels for one in batch if one.pixels is not None]
        if not images:
            return [self._unreadable(one) for one in batch]
        answers = self._detector.predict(np.stack(images), batch_size=len(images), verbose=0)
        rows = iter(range(len(images)))
        return [
            self._unreadable(one) if one.pixels is None else self._seen(one, answers, next(rows))
            for one in batch
        ]

    def _unreadable(self, one: Decoded) -> Finding:
        return self._finding(one, status=UNREADABLE, error=one.error)

    def _seen(self, one: Decoded, answers: Arrays, row: int) -> Finding:
        label, score = int(answers["label"][row]), float(answers["score"][row])
        if label < 0 or not math.isfinite(score):
            return self._finding(one, status=NOT_FINITE, is_adversarial=True)
        names = self._detector.class_names
        flagged = bool(answers["is_adversarial"][row])
        return self._finding(
            one,
            status=READ,
            label=label,
            name=None if names is None else names[label],
            score=score,
            is_adversarial=flagged,
            recovered_label=int(answers["recovered_label"][row]),
            **(_evidence(self._detector.explain(one.pixels), one.upright) if flagged else {}),
        )

    def _finding(self, one: Decoded, **found: Any) -> Finding:
        about = dataclasses.asdict(self.identity)
        return Finding(
            path=one.name, size=one.size, etag=one.etag, sha256=one.sha256, **about, **found
        )


def _evidence(why: Explanation, upright: tuple[int, int]) -> dict[str, Any]:
    """The fields of a flagged image: the box around its region, and the witness.

    Args:
        why: The explanation, whose region is that of the image as the network sees it.
        upright: `(height, width)` of the image itself.
    """
    found: dict[str, Any] = {"witness": why.reason or None}
    if not why.tainted_region.any():
        return found
    for axis, first, last in (
        (0, "region_top", "region_bottom"),
        (1, "region_left", "region_right"),
    ):
        inside = np.flatnonzero(why.tainted_region.any(axis=1 - axis))
        shown = shown_part(upright, why.tainted_region.shape)
        start, scale = shown[axis], shown[axis + 2] / why.tainted_region.shape[axis]
        found[first] = start + math.floor(inside[0] * scale)
        found[last] = start + math.ceil((inside[-1] + 1) * scale)
    return found


def _describe(radar: Detector) -> dict[str, Any]:
    """What the metadata of an exported detector say, as far as a scan needs it."""
    if isinstance(radar, SavedDetector):
        return radar.metadata
    return {**radar.description(), "weights": sum_up(radar.weights)}


def _checksum(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
