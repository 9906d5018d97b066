"""The benchmark of sigmoids, in small."""

import keras
import numpy as np
import pytest

from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
from tf_taintradar.demo.show import detector_file


def test_what_is_right_of_a_scene(benchmark_script):
    sigmoids = benchmark_script("sigmoids")
    labels = np.array([CLASS_NAMES.index("striped star"), CLASS_NAMES.index("zigzag disk")])
    np.testing.assert_array_equal(sigmoids.first(labels), [1, 0])
    names = np.array(sigmoids.SHAPES + sigmoids.TEXTURES)
    found = [set(names[row == 1]) for row in sigmoids.every(labels)]
    assert found == [{"star", "striped"}, {"disk", "zigzag"}]


@pytest.mark.slow
def test_it_learns_and_looks(benchmark_script, tmp_path):
    sigmoids = benchmark_script("sigmoids")
    demo = keras.models.load_model(detector_file()).classifier
    one, several = sigmoids.networks(demo, tmp_path, images=64, epochs=1, seed=0)
    assert (one.output_shape, several.output_shape) == ((None, 1), (None, 18))
    again = sigmoids.networks(demo, tmp_path, images=64, epochs=1, seed=0)[1]
    known, (scenes, labels) = draw_scenes(120, seed=1)[0], draw_scenes(120, seed=2)
    case = sigmoids.Case("star", again, 5, sigmoids.every(labels)[:, 5])
    lines = sigmoids.look(case, known, scenes, attacked=4, steps=2)
    assert len(lines) == 3 * 4
    assert lines[0].n == 120
