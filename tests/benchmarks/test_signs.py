"""The benchmark of small images, in small."""

import numpy as np
import pytest

from tf_taintradar.classifier import open_classifier


def test_signs_and_the_map_that_is_chosen(benchmark_script):
    signs = benchmark_script("signs")
    images, labels = signs.draw_signs(20, seed=1)
    assert images.shape == (20, 32, 32, 3)
    assert len(set(labels)) > 10
    np.testing.assert_array_equal(signs.draw_signs(20, seed=1)[0], images)
    opened = open_classifier(signs.build_network())
    assert (opened.feature_layer, opened.coarse_layer) == ("block3_conv2", "block4_conv2")
    assert opened.feature_shape[:2] == (8, 8)


@pytest.mark.slow
def test_the_shallow_cut_is_not_the_better_one(benchmark_script):
    """On signs of 32 x 32, a map of 16 x 16 cells shows no more patches than the one of 8 x 8."""
    signs = benchmark_script("signs")
    network = signs.train(*signs.draw_signs(6_000, seed=0), epochs=6, seed=0)
    known, others = signs.draw_signs(500, seed=1)[0], signs.draw_signs(500, seed=2)
    lines = signs.look(network, known, *others, attacked=200, steps=40)
    chosen, shallow = lines[:3], lines[3:6]
    assert shallow[0].network == "block2_conv2, 16 x 16"
    flagged = [one.flagged[0] / max(one.n, 1) for one in (chosen[0], chosen[2], shallow[2])]
    assert flagged[0] < 0.12
    assert flagged[1] > flagged[2]
