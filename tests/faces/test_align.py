"""Photographs of any size: which are refused, and where the face comes to lie."""

import numpy as np
import pytest
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.faces.align import (
    ALIGNED_EYE_LINE,
    TEMPLATE,
    Found,
    align,
    align_face,
    one_clear_face,
    similarity,
)


def placed(scale=1.0, degrees=0.0, shift=(0.0, 0.0)):
    """The landmarks of a face that looks at the camera, turned, scaled and shifted."""
    turn = np.deg2rad(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return TEMPLATE @ matrix.T + shift


def found(*faces, areas=None):
    return Found(np.array(faces), np.array(areas or [1000.0] * len(faces)))


def test_the_similarity_is_undone():
    points = placed(2.5, 30, (40, 7))
    matrix, shift = similarity(points)
    np.testing.assert_allclose(points @ matrix.T + shift, TEMPLATE, atol=1e-9)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2) / 2.5**2, atol=1e-12)
    mirrored = placed()[[1, 0, 2, 4, 3]]  # left and right changed: no turn undoes that
    matrix, shift = similarity(mirrored)
    assert abs(mirrored @ matrix.T + shift - TEMPLATE).max() > 5


@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (1, 25), (3, -20), (7.3, 90)])
@pytest.mark.parametrize("size", [112, 160])
def test_landmarks_come_to_lie_on_the_template(scale, degrees, size):
    """Dots of one colour each, painted at the landmarks of a photograph."""
    points = placed(scale, degrees, (900, 700))
    image = np.zeros((1700, 1700, 3), np.uint8)
    rows, columns = np.indices(image.shape[:2])
    for i, (column, row) in enumerate(points[:3]):
        image[np.hypot(rows - row, columns - column) < 3 * scale, i] = 255
    face = align_face(image, points, size).astype(float)
    assert face.shape == (size, size, 3)
    rows, columns = np.indices(face.shape[:2])
    for i, (column, row) in enumerate((TEMPLATE[:3] + 0.5) * size / 112 - 0.5):
        weight = face[..., i].sum()
        assert abs((face[..., i] * columns).sum() / weight - column) < 0.5
        assert abs((face[..., i] * rows).sum() / weight - row) < 0.5


def test_one_clear_face():
    np.testing.assert_array_equal(one_clear_face(found(placed())), TEMPLATE)
    two = found(placed(shift=(300, 0)), placed(), areas=[400, 1000])  # somebody in the background
    np.testing.assert_array_equal(one_clear_face(two), TEMPLATE)


def test_what_is_refused():
    with pytest.raises(ImageError, match="no face is found"):
        one_clear_face(Found(np.empty((0, 5, 2)), np.empty(0)))
    with pytest.raises(ImageError, match="2 faces are as large"):
        one_clear_face(found(placed(), placed(), areas=[600, 1000]))
    with pytest.raises(ImageError, match="too small: 7 pixels between the eyes"):
        one_clear_face(found(placed(0.2)))
    away = placed(2)
    away[[0, 3]] += [30, 0]  # the left half of the face is narrow: a turn of the head
    away[2] += [50, 0]
    with pytest.raises(ImageError, match="turned away"):
        one_clear_face(found(away))


# With the library


@pytest.fixture(scope="module")
def clear_photograph(shared):
    pytest.importorskip("mtcnn", reason="the extra align is not installed")
    with Image.open(shared / "data/faces/Hugo_Chavez/Hugo_Chavez_0001.jpg") as picture:
        return picture.convert("RGB")


def test_photographs_of_a_folder(clear_photograph, tmp_path):
    folder = tmp_path / "people" / "ann"
    folder.mkdir(parents=True)
    clear_photograph.save(folder / "clear.png")
    clear_photograph.rotate(20).save(folder / "turned.png")
    clear_photograph.resize((1000, 1000)).save(folder / "large.png")
    clear_photograph.resize((20, 20)).save(folder / "tiny.png")
    clear_photograph.resize((60, 60)).save(folder / "small.png")
    two = Image.new("RGB", (500, 250))
    two.paste(clear_photograph, (0, 0))
    two.paste(clear_photograph, (250, 0))
    two.save(folder / "two.png")
    Image.new("RGB", (200, 200), (90, 120, 60)).save(folder / "none.png")
    (folder / "broken.png").write_bytes(b"no picture")
    settings = {"cache": tmp_path / "cache", "verbose": 0}
    refused = align(tmp_path / "people", tmp_path / "out", **settings)
    reasons = {file.name: reason for file, reason in refused.items()}
    assert reasons.keys() == {"tiny.png", "small.png", "two.png", "none.png", "broken.png"}
    assert "2 faces are as large" in reasons["two.png"]
    assert "no face is found" in reasons["none.png"]
    assert "20 x 20 pixels is too small" in reasons["tiny.png"]
    assert "pixels between the eyes" in reasons["small.png"]
    assert "Cannot read" in reasons["broken.png"]
    faces = {file.name: np.asarray(Image.open(file)) for file in tmp_path.glob("out/ann/*")}
    assert faces.keys() == {"clear.png.png", "turned.png.png", "large.png.png"}
    for face in faces.values():  # the same face in the same place
        assert face.shape == (112, 112, 3)
        both = [one[30:90, 30:80].ravel() for one in (face, faces["clear.png.png"])]
        assert np.corrcoef(both)[0, 1] > 0.9
    again = align(tmp_path / "people", tmp_path / "again", **settings)
    assert again == refused
    with pytest.raises(FileExistsError, match="is not empty"):
        align(tmp_path / "people", tmp_path / "out", **settings)


def test_the_eyes_lie_between_the_bands_edges():
    assert 0.45 < ALIGNED_EYE_LINE < 0.47
