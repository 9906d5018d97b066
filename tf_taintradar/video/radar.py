"""A detector for video, which decides over a window of frames of each track."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.by_score import ScoreCalibration, choose_threshold
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.images.pixels import ImagesLike
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require
from tf_taintradar.video.vote import SlidingWindows

Verdicts = dict[str, npt.NDArray[Any]]


class VideoRadar:
    """Decides over the last frames of each track, frame by frame.

    Example:
        video = VideoRadar(radar, window=5)
        video.calibrate(benign_tracks, target_fpr=0.01)    # of windows, not of frames
        for frame in read_frames("film.mp4", (224, 224, 3)):
            video.update(frame[None])["is_adversarial"]

    Args:
        radar: the detector of single frames; it is not changed.
        window: number of frames in a window, >= 1; 5 in the paper.
        statistic: statistic of the scores in a window: "median", a majority vote of the frames, or
            "mean".
        score_threshold: threshold above which a window's statistic is adversarial. By default the
            detector's own, with which "median" flags a window if most of its frames are flagged.
            `calibrate` sets it.

    Attributes:
        calibration: the result of `calibrate`; None before.

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
        """The number of frames in a window."""
        return self._windows.window

    def update(self, frames: ImagesLike, tracks: Sequence[Hashable] | None = None) -> Verdicts:
        """Adds new frames and decides on each, using the previous frames of its track.

        Args:
            frames: (b, H, W, c) raw pixels 0..255, in the order in which they were taken.
            tracks: the track of each frame, for instance the number of a tracked face; by default
                all frames belong to one track.

        Returns:
            A dict of arrays with a row for each frame: the detector's `label`, `score`,
            `recovered_label`, `predictions` and `rank_shift`; `window_score` (b,) float64, NaN
            until the track has enough frames; and `is_adversarial` (b,) bool, false until then.

        Raises:
            NotCalibratedError: there is no threshold.
            ImageError: a frame has the wrong shape, type or value range.
            ValueError: `tracks` does not hold one track for each frame.
        """
        if self.score_threshold is None:
            raise NotCalibratedError(NO_THRESHOLD)
        names = [None] * len(frames) if tracks is None else list(tracks)
        one_each = len(names) == len(frames)
        require(one_each, "tracks", f"{len(names)}", f"one for each of {len(frames)} frames")
        found = self.radar.predict_scores(frames, batch_size=max(1, len(frames)))
        pushed = [self._windows.push(*pair) for pair in zip(names, found["score"], strict=True)]
        window_score = np.array([np.nan if one is None else one for one in pushed])
        threshold = self.score_threshold
        is_flagged = [one is not None and not one <= threshold for one in pushed]  # NaN, too
        return {**found, "window_score": window_score, "is_adversarial": np.array(is_flagged)}

    def watch(self, frames: Iterable[npt.NDArray[np.uint8]]) -> Iterator[Verdicts]:
        """Yields the verdicts on the frames of a single track, one by one, without a batch axis."""
        for frame in frames:
            yield {name: values[0] for name, values in self.update(frame[np.newaxis]).items()}

    def forget(self, track: Hashable | None = None) -> None:
        """Forgets the frames of a track, or of all tracks, for instance before another film."""
        self._windows.forget(track)

    def calibrate(
        self, tracks: Sequence[ImageSource], target_fpr: float = 0.06, *, batch_size: int = 32
    ) -> ScoreCalibration:
        """Chooses the threshold of windows on benign tracks only.

        Only windows that share no frame are counted, since overlapping windows are nearly equal.

        Args:
            tracks: benign sequences of frames in order, each in a form of
                `TaintRadarModel.predict`.
            target_fpr: the largest share of benign windows that may be flagged, in (0, 1).
            batch_size: number of frames computed at once.

        Returns:
            The calibration, also stored as `calibration`; its images are windows.

        Raises:
            ValueError: `target_fpr` is out of range.
            CalibrationError: there are too few windows for the target.
            ImageError: a frame has the wrong shape, type or value range, or cannot be read.
        """
        scores = [self.radar.score(track, batch_size=batch_size) for track in tracks]
        self.calibration = choose_threshold(
            self._windows.apart(scores), target_fpr, variant=self.radar.variant
        )
        self.score_threshold = self.calibration.threshold
        return self.calibration
