"""Verdicts over several frames."""

import numpy as np
import pytest
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.errors import CalibrationError, ImageError, NotCalibratedError
from tf_taintradar.video import VideoRadar


@pytest.fixture
def radar(small_classifier):
    return TaintRadarModel(small_classifier, score_threshold=0.1)


def test_it_says_what_the_detector_says_and_what_the_window_says(radar):
    frames = draw_images(9)
    found = VideoRadar(radar, window=3).update(frames)
    alone = radar.predict(frames, verbose=0)
    for name in ("predictions", "label", "score", "rank_shift", "recovered_label"):
        np.testing.assert_array_equal(found[name], alone[name])
    expected = [np.median(alone["score"][i - 2 : i + 1]) for i in range(2, 9)]
    assert np.isnan(found["window_score"][:2]).all()
    np.testing.assert_allclose(found["window_score"][2:], expected)
    np.testing.assert_array_equal(found["is_adversarial"][2:], np.array(expected) > 0.1)
    assert not found["is_adversarial"][:2].any()


def test_one_by_one_as_all_at_once(radar):
    frames = draw_images(8)
    at_once = VideoRadar(radar, window=3).update(frames)
    streamed = list(VideoRadar(radar, window=3).watch(frames))
    np.testing.assert_allclose(
        [seen["window_score"] for seen in streamed], at_once["window_score"], rtol=1e-5
    )


def test_every_track_for_itself(radar):
    frames = draw_images(8)
    video = VideoRadar(radar, window=2)
    mixed = video.update(frames, tracks=[1, 2] * 4)["window_score"]
    for first in (0, 1):
        alone = VideoRadar(radar, window=2).update(frames[first::2])["window_score"]
        np.testing.assert_allclose(mixed[first::2], alone, rtol=1e-5)
    video.forget(1)
    assert np.isnan(video.update(frames[:2], tracks=[1, 2])["window_score"]).tolist() == [
        True,
        False,
    ]
    with pytest.raises(ValueError, match="`tracks` must be one for each of 3 frames"):
        video.update(frames[:3], tracks=[1])


def test_calibration_counts_windows(radar):
    tracks = np.split(draw_images(80), 8)
    video = VideoRadar(radar, window=5, statistic="mean")
    calibration = video.calibrate(tracks, target_fpr=0.2)
    windows = [radar.score(track).reshape(2, 5).mean(axis=1) for track in tracks]
    assert calibration.n_images == 16
    np.testing.assert_allclose(calibration.scores, np.sort(np.ravel(windows))[::-1], rtol=1e-5)
    assert video.score_threshold == calibration.threshold == video.calibration.threshold
    assert radar.threshold == 0.1
    # the threshold is itself a score, which another batch size gives up to rounding
    flags = [VideoRadar(radar, statistic="mean", score_threshold=calibration.threshold + 1e-5)
             .update(track)["is_adversarial"][[4, 9]] for track in tracks]  # fmt: skip
    assert np.mean(flags) == calibration.fpr <= 0.2
    with pytest.raises(CalibrationError, match="At least 99"):
        video.calibrate(tracks, target_fpr=0.01)


def test_without_a_threshold_it_does_not_decide(small_classifier):
    video = VideoRadar(TaintRadarModel(small_classifier))
    with pytest.raises(NotCalibratedError):
        video.update(draw_images(2))


def test_frames_are_checked(radar):
    with pytest.raises(ImageError, match="must have shape"):
        VideoRadar(radar).update(np.zeros((2, 9, 9, 3), np.uint8))
