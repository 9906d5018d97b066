"""A detector for video: it decides over a window of frames of each track."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.by_score import ScoreCalibration, choose_threshold
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require
from tf_taintradar.video.vote import SlidingWindows

Verdicts = dict[str, npt.NDArray[Any]]


class VideoRadar:
    """Decides over the last frames of each track, as they come.

    Example:
        video = VideoRadar(radar, window=5)
        video.calibrate(benign_tracks, target_fpr=0.01)    # of windows, not of frames
        for frame in read_frames("film.mp4", (224, 224, 3)):
            video.update(frame[None])["is_adversarial"]

    Args:
        radar: the detector of single frames; it is not changed.
        window: how many frames count; 5 in the paper.
        statistic: "median", a vote of most frames, or "mean", an average of scores.
        score_threshold: a window is adversarial if its statistic is above this. By default the
            detector's own, with which "median" flags what most frames are flagged for. `calibrate`
            sets it.

    Attributes:
        calibration: what `calibrate` found; None before.

    Raises:
        ValueError: an argument is out of range.

    Source: section VI-D of the paper, five contiguous frames of a video; the statistics and the
    calibration of windows are ours.
    """

    def __init__(
        self,
        radar: TaintRadarModel,
        *,
        window: int = 5,
        statistic: str = "median",
        score_threshold: float | None = None,
    ) -> None:
        self.radar = radar
        self.score_threshold = radar.threshold if score_threshold is None else score_threshold
        self.calibration: ScoreCalibration | None = None
        self._windows = SlidingWindows(window, statistic)

    @property
    def window(self) -> int:
        """How many frames count."""
        return self._windows.window

    def update(self, frames: Any, tracks: Sequence[Hashable] | None = None) -> Verdicts:
        """The verdict on each new frame, from it and the frames of its track before it.

        Args:
            frames: (b, H, W, c) raw pixels 0..255, in the order in which they were taken.
            tracks: what each frame belongs to, for instance the number of a face that is followed;
                by default all to one track.

        Returns:
            A dict of arrays, a row a frame: all that `TaintRadarModel.score` and its prediction
            say (`label`, `score`, `recovered_label`, `predictions`, `rank_shift`), and
            `window_score` (b,) float64, NaN before the track has enough frames; `is_adversarial`
            (b,) bool, false then.

        Raises:
            NotCalibratedError: there is no threshold.
            ImageError: a frame has the wrong shape, type or value range.
            ValueError: there is not one track for each frame.
        """
        if self.score_threshold is None:
            raise NotCalibratedError(NO_THRESHOLD)
        names = [None] * len(frames) if tracks is None else list(tracks)
        one_each = len(names) == len(frames)
        require(one_each, "tracks", f"{len(names)}", f"one for each of {len(frames)} frames")
        found = self.radar.answer(frames, batch_size=max(1, len(frames)))
        pushed = [self._windows.push(*pair) for pair in zip(names, found["score"], strict=True)]
        window_score = np.array([np.nan if one is None else one for one in pushed])
        is_adversarial = window_score > self.score_threshold
        return {**found, "window_score": window_score, "is_adversarial": is_adversarial}

    def watch(self, frames: Iterable[npt.NDArray[np.uint8]]) -> Iterator[Verdicts]:
        """`update` for one frame after another, without the batch's dimension; one track."""
        for frame in frames:
            yield {name: values[0] for name, values in self.update(frame[np.newaxis]).items()}

    def forget(self, track: Hashable | None = None) -> None:
        """Starts a track anew, or all of them, as at the beginning of another film."""
        self._windows.forget(track)

    def calibrate(
        self, tracks: Sequence[Any], target_fpr: float = 0.06, *, batch_size: int = 32
    ) -> ScoreCalibration:
        """Chooses the threshold of windows on benign tracks alone.

        Only windows that share no frame are counted: those that do are nearly the same.

        Args:
            tracks: benign sequences of frames, each in a form that `TaintRadarModel.predict` takes,
                in order.
            target_fpr: the largest share of windows that may be flagged, in (0, 1).
            batch_size: how many frames are computed at once.

        Returns:
            The calibration, also kept as `calibration`; its images are windows.

        Raises:
            ValueError: `target_fpr` is out of range.
            CalibrationError: too few windows for the target.
            ImageError: as in `TaintRadarModel.predict`.
        """
        scores = [self.radar.score(track, batch_size=batch_size) for track in tracks]
        self.calibration = choose_threshold(
            self._windows.apart(scores), target_fpr, variant=self.radar.variant
        )
        self.score_threshold = self.calibration.threshold
        return self.calibration
