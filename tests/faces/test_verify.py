"""Is this the person on the badge?"""

import keras
import numpy as np
import pytest
from drawn_people import draw_people
from PIL import Image

from tf_taintradar import TaintRadarModel, faces

SIZE = 32


@pytest.fixture
def network():
    """The mean color as an embedding, after a convolution that changes nothing."""
    images = keras.Input((SIZE, SIZE, 3))
    same = keras.layers.Conv2D(3, 1, use_bias=False)
    x = keras.layers.GlobalAveragePooling2D()(same(images))
    same.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    linear = keras.layers.Dense(3, use_bias=False)
    answer = linear(x)
    linear.set_weights([np.eye(3, dtype=np.float32)])
    return keras.Model(images, answer)


def colored(*colors):
    return np.stack([np.full((SIZE, SIZE, 3), color, np.uint8) for color in colors])


def test_worked_out_on_paper(network):
    """The badge is red; a color at 60 degrees of it has the cosine 0.5."""
    door = faces.verify(network, colored((100, 0, 0)), 0.3, scale=10, preprocessor="unit")
    probes = colored((200, 0, 0), (100, 173, 0), (0, 0, 50))  # cosines of 1, 0.5 and 0
    logits = np.array([10 * (1 - 0.3), 10 * (0.5 - 0.3), 10 * (0 - 0.3)])
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(door(probes / 255.0)[:, 0], expected, atol=2e-3)


def test_several_photographs_are_averaged_as_units(network, tmp_path):
    """A dark and a bright one count alike: red and green are at 45 degrees of their mean."""
    for i, image in enumerate(colored((10, 0, 0), (0, 200, 0))):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    door = faces.verify(network, tmp_path, 0.0, scale=1, preprocessor="unit")
    probability = door(colored((77, 77, 0)) / 255.0)[0, 0]
    assert float(probability) == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-3)


def test_doors_share_a_threshold(network, tmp_path):
    people = draw_people(tmp_path / "people", [7] * 3, size=SIZE)

    def wrap(person):
        first, *others = sorted(person.iterdir())
        model = faces.verify(network, first, 0.9, preprocessor="unit")
        return TaintRadarModel(model, preprocessor="unit", variant="bands"), others

    doors = [wrap(person) for person in sorted(people.iterdir())]
    radar = doors[0][0]
    radar.calibrate_across(doors, 0.2, verbose=0)
    assert radar.calibration.n_images == 18
    assert radar.predict(doors[0][1], verbose=0)["predictions"].shape == (6, 2)


def test_what_is_refused(network):
    with pytest.raises(ValueError, match=r"`threshold` must be a cosine in \(-1, 1\)"):
        faces.verify(network, colored((1, 2, 3)), 1.5)
    with pytest.raises(ValueError, match="`scale` must be positive"):
        faces.verify(network, colored((1, 2, 3)), 0.5, scale=0)
