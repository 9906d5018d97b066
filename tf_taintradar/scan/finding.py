"""What a scan says about one image: the row of its table."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

READ, NOT_FINITE, UNREADABLE = "read", "not finite", "unreadable"
"""The values of `Finding.status`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One image of a collection. All fields are numbers, text, booleans or None.

    Attributes:
        path: The file, as it was passed to the scan or found below a folder; a part of a file as
            `file#part`.
        size: Its size in bytes; None if it is not known.
        etag: What tells this version of the file from an earlier one: the time of its last change
            in nanoseconds, or the tag that a store gives it.
        sha256: SHA-256 of the contents in hexadecimal; None if they could not be read.
        status: "read"; "not finite" if the classifier's answer is not a number, in which case the
            image is always flagged; or "unreadable" if the file could not be read as an image, in
            which case there is no verdict.
        error: Why the file is unreadable; None if it is readable.
        label: The predicted class; None without an answer.
        name: The name of that class; None if the classes have no names.
        score: What the threshold is compared with; None without an answer.
        threshold: An image is adversarial if its score is above this.
        is_adversarial: The verdict; None, and never false, for an unreadable file.
        rule: The name of the detector's rule.
        witness: For a flagged image, the evidence against it, in words; None for others, and for
            rules without such a description.
        region_left: For a flagged image, the first column of the box around its tainted region, in
            pixels of the upright image; None for others.
        region_top: The box's first row.
        region_right: The column after the box's last one.
        region_bottom: The row after the box's last one.
        recovered_label: The class predicted without the tainted region; None without an answer.
        detector: The checksum of the detector: its weights, its rule and its threshold.
        calibration: The checksum of its calibration; None if its threshold was set by hand.
        version: The version of this package.
    """

    path: str
    size: int | None
    etag: str
    sha256: str | None = None
    status: str
    error: str | None = None
    label: int | None = None
    name: str | None = None
    score: float | None = None
    threshold: float
    is_adversarial: bool | None = None
    rule: str
    witness: str | None = None
    region_left: int | None = None
    region_top: int | None = None
    region_right: int | None = None
    region_bottom: int | None = None
    recovered_label: int | None = None
    detector: str
    calibration: str | None
    version: str

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, in order."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The box around the tainted region: left, top, right, bottom; None without one."""
        box = (self.region_left, self.region_top, self.region_right, self.region_bottom)
        return None if None in box else typing.cast("tuple[int, int, int, int]", box)


def _columns() -> dict[str, type]:
    hints = typing.get_type_hints(Finding)
    kinds = {name: typing.get_args(hint) or (hint,) for name, hint in hints.items()}
    return {field.name: kinds[field.name][0] for field in dataclasses.fields(Finding)}


COLUMNS = _columns()
"""The columns of the table and the type of each, int, float, str or bool; None is allowed."""
