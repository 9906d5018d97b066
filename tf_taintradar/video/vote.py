"""What several scores of one track say together."""

import collections
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.checks import require

STATISTICS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"median": np.median, "mean": np.mean}
)
"""The median is above a threshold if most scores are: a vote of flags. The mean weighs them."""


class SlidingWindows:
    """The last scores of every track, and what they say together.

    Args:
        window: how many frames count, >= 1.
        statistic: one of `STATISTICS`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, window: int = 5, statistic: str = "median") -> None:
        require(window >= 1, "window", window, "at least 1")
        require(statistic in STATISTICS, "statistic", statistic, " or ".join(STATISTICS))
        self.window = window
        self.statistic = statistic
        self._tracks: dict[Hashable, collections.deque[float]] = {}

    def push(self, track: Hashable, score: float) -> float | None:
        """Adds the score of a track's next frame.

        Returns:
            The statistic of the last `window` scores; None as long as there are fewer.
        """
        scores = self._tracks.setdefault(track, collections.deque(maxlen=self.window))
        scores.append(float(score))
        if len(scores) < self.window:
            return None
        return float(STATISTICS[self.statistic](scores))

    def forget(self, track: Hashable | None = None) -> None:
        """Starts a track anew, or all of them."""
        if track is None:
            self._tracks.clear()
        else:
            self._tracks.pop(track, None)

    def apart(self, tracks: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
        """The statistic of windows that share no frame: what a calibration may count.

        Args:
            tracks: the scores of each track, in order.

        Returns:
            (n,) as many windows as fit into each track, from its beginning.
        """
        found = []
        for scores in map(np.asarray, tracks):
            whole = scores[: len(scores) // self.window * self.window]
            found += list(STATISTICS[self.statistic](whole.reshape(-1, self.window), axis=1))
        return np.array(found, np.float64)
