"""Statistics of several scores of one track."""

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
"""The statistics of a window: the median is a majority vote of flags, the mean averages scores."""


class SlidingWindows:
    """The last scores of every track, and their statistic.

    Args:
        window: number of frames in a window, >= 1.
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

        Args:
            track: the track.
            score: score of the frame.

        Returns:
            The statistic of the last `window` scores; None as long as there are fewer.
        """
        scores = self._tracks.setdefault(track, collections.deque(maxlen=self.window))
        scores.append(float(score))
        if len(scores) < self.window:
            return None
        return float(STATISTICS[self.statistic](scores))

    def forget(self, track: Hashable | None = None) -> None:
        """Forgets the scores of a track, or of all tracks for None."""
        if track is None:
            self._tracks.clear()
        else:
            self._tracks.pop(track, None)

    def apart(self, tracks: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
        """The statistics of windows that share no frame, for a calibration.

        Args:
            tracks: the scores of each track, in order.

        Returns:
            (n,) float64, for the windows that fit into each track side by side, from its beginning.
        """
        found = []
        for scores in map(np.asarray, tracks):
            whole = scores[: len(scores) // self.window * self.window]
            found += list(STATISTICS[self.statistic](whole.reshape(-1, self.window), axis=1))
        return np.array(found, np.float64)
