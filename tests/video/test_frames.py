"""Frames from folders and files, and what is painted into them."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.video import draw_verdict, read_frames


def film(n=6, height=48, width=64):
    frames = np.zeros((n, height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        frame[:] = (40 * i, 200, 255 - 40 * i)
    return frames


@pytest.fixture
def video_file(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for frame in film():
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def test_a_video_file_in_rgb(video_file):
    frames = list(read_frames(video_file))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 6
    np.testing.assert_allclose(np.mean(frames, axis=(1, 2)), film().mean(axis=(1, 2)), atol=8)


def test_frames_are_cropped_and_resized(video_file):
    frames = list(read_frames(str(video_file), (24, 16, 3)))
    assert [frame.shape for frame in frames] == [(24, 16, 3)] * 6
    assert frames[0].dtype == np.uint8


def test_a_folder_in_the_order_of_its_names(tmp_path):
    for i, frame in enumerate(film()):
        Image.fromarray(frame).save(tmp_path / f"{i:03d}.png")
    frames = np.array(list(read_frames(tmp_path, (48, 64, 3))))
    np.testing.assert_array_equal(frames, film())
    with pytest.raises(ValueError, match="`input_shape` must be given"):
        read_frames(tmp_path)


def test_frames_are_read_when_they_are_needed(video_file):
    stream = read_frames(video_file)
    next(stream)
    stream.close()


def test_errors(tmp_path, monkeypatch):
    pytest.importorskip("cv2")
    (tmp_path / "text.mp4").write_text("no video")
    for source in (tmp_path / "text.mp4", tmp_path / "nothing.mp4"):
        with pytest.raises(ImageError, match="Cannot open"):
            next(read_frames(source))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r'pip install "tf_taintradar\[video\]"'):
        next(read_frames(tmp_path / "text.mp4"))


@pytest.mark.parametrize(
    ("flag", "colour"), [(True, (255, 45, 85)), (False, (52, 199, 89)), (None, (142, 142, 147))]
)
def test_the_border_shows_the_verdict(flag, colour):
    frame = film(1)[0]
    drawn = draw_verdict(frame, "owl", is_adversarial=flag)
    assert drawn.shape == frame.shape
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert tuple(drawn[corner]) == colour
    np.testing.assert_array_equal(frame, film(1)[0])


def test_a_region_is_outlined_at_the_size_of_the_frame():
    region = np.zeros((12, 16), bool)
    region[3:6, 4:8] = True
    drawn = draw_verdict(film(1)[0], "", is_adversarial=True, region=region)
    red = (drawn == (255, 45, 85)).all(axis=-1)
    assert red[12, 16:32].all()
    assert red[23, 16:32].all()
    assert not red[14:22, 18:30].any()
