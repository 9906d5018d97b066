"""The benchmark of a vision transformer, in small."""

import keras
import numpy as np
import pytest

from tf_taintradar.classifier import open_classifier
from tf_taintradar.demo.scenes import draw_scenes
from tf_taintradar.demo.show import detector_file


def test_a_vit_is_not_shown_covered_patches(benchmark_script):
    transformer = benchmark_script("transformer")
    opened = open_classifier(transformer.build_vit(classes=3))
    assert opened.feature_shape == (14, 14, 192)
    assert opened.patches is not None


@pytest.mark.slow
def test_a_transformer_learns_and_is_looked_at(benchmark_script):
    transformer = benchmark_script("transformer")
    demo = keras.models.load_model(detector_file()).classifier
    network = transformer.train(demo, *draw_scenes(64, seed=0), epochs=1, seed=0)
    assert open_classifier(network).feature_shape == (8, 8, 64)
    known, others = draw_scenes(120, seed=1)[0], draw_scenes(120, seed=2)
    lines = transformer.look(("transformer", network), known, *others, attacked=2, steps=2)
    assert [line.variant for line in lines[::4]] == ["occlusion", "cover"]
    benign = lines[0]
    assert benign.n == 120
    assert np.all(np.diff(benign.flagged) <= 0)
    assert len(transformer.cells(lines[0])) == len(transformer.HEADER)
