"""Progress bars that become a line now and then where nothing can redraw a line."""

import contextlib
import contextvars
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import keras

Verbosity: TypeAlias = int | Literal["auto"]
"""0 for silence, 1 or "auto" for a progress bar, as Keras's `verbose`."""

LINES = 20  # at most, and one for the end
_patience = contextvars.ContextVar("patience", default=0.0)


class Progress(keras.utils.Progbar):
    """Keras's progress bar on a terminal; in a log file or a pipe about 20 lines at most.

    `TERM=dumb` counts as a log file.

    Args:
        target: number of steps; None if it is not known: lines come at 1, 2, 4, 8, ... steps.
        verbose: 0 for silence, 2 for Keras's line at the end, all else for a bar.
        unit: what is counted, in the plural.
        kwargs: other arguments of `keras.utils.Progbar`.
    """

    def __init__(
        self, target: int | None, verbose: Verbosity = 1, *, unit: str = "images", **kwargs: Any
    ) -> None:
        wanted = 0 if verbose in (0, "0") else 2 if verbose == 2 else 1
        self._writes_lines = wanted == 1 and not is_live(sys.stdout)
        self._unit, self._due, self._shown = unit, 1, -1
        self._patient_until = time.monotonic() + _patience.get()
        super().__init__(target, verbose=0 if self._writes_lines else wanted, **kwargs)

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows the number of steps that are done, and the latest values (name, value)."""
        super().update(current, values, finalize)
        is_end = current == self.target or bool(finalize)
        is_due = (current >= self._due or is_end) and current > self._shown
        is_short = time.monotonic() < self._patient_until
        if not self._writes_lines or not is_due or is_short:
            return
        share = 1 if self.target is None else math.ceil(self.target / LINES)
        self._due = 2 * current if self.target is None else current + share
        self._shown = current
        total = "" if self.target is None else f"/{self.target}"
        shown = "".join(f", {name} {value:.4g}" for name, value in values or [])
        sys.stdout.write(f"{current}{total} {self._unit}{shown}\n")
        sys.stdout.flush()


def is_live(stream: Any) -> bool:
    """Whether a line that was written to this stream can be redrawn."""
    if "ipykernel" in sys.modules:
        return True
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def fit_verbosity(verbose: Verbosity) -> Verbosity:
    """`verbose` for `keras.Model.fit`: a line for each epoch where no bar can be redrawn."""
    return 2 if verbose not in (0, "0", 2) and not is_live(sys.stdout) else verbose


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Lets what ends within so many seconds write no lines."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)
