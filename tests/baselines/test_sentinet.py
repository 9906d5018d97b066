"""SentiNet, by hand."""

import numpy as np
import pytest
from small_detector import plain

from tf_taintradar.baselines import Curve, SentiNet
from tf_taintradar.baselines.proposals import SelectiveSearch, likeliest_others


def spot(image, top, left, colour):
    marked = image.copy()
    marked[top : top + 3, left : left + 3] = colour
    return marked


@pytest.fixture
def benign():
    colours = [(10, 90, 20), (10, 20, 90), (15, 95, 25), (5, 30, 80)]
    return np.array([plain(*colours[i % 4]) for i in range(16)])


def test_the_curve_goes_through_the_highest_points_of_the_bins():
    points = [(x, 2 * x * x + 0.1 - low) for x in np.linspace(0.1, 0.6, 6) for low in (0, 0.05)]
    curve = Curve.around(np.array(points))
    np.testing.assert_allclose((curve.a, curve.b, curve.c), (2, 0, 0.1), atol=1e-8)
    assert curve.above(0.5, 0.7) == pytest.approx(0.1)


def test_one_bin_gives_a_level_two_a_line():
    assert Curve.around(np.array([[0.51, 0.2], [0.52, 0.3]])) == Curve(0.0, 0.0, 0.3)
    line = Curve.around(np.array([[0.2, 0.1], [0.6, 0.5]]))
    np.testing.assert_allclose((line.a, line.b, line.c), (0, 1, -0.1), atol=1e-9)


def test_what_a_region_does_to_other_images(brightest_colour, benign):
    rival = SentiNet(brightest_colour, n_overlays=4, n_proposals=0).fit(benign)
    attacked = spot(plain(10, 90, 20), 4, 4, (250, 0, 0))
    region = np.zeros((24, 16), bool)
    region[4:7, 4:7] = True
    confidence, fooled = rival.test(attacked, region, label=0)
    assert fooled == 1  # the spot is the reddest thing on all four
    noise = np.random.RandomState(0).randint(0, 255, (24, 16, 3))[region]
    expected = []
    for image in benign[:4]:
        filled = image.copy()
        filled[region] = noise
        logits = filled.max(axis=(0, 1)) / 10
        expected.append((np.exp(logits) / np.exp(logits).sum()).max())
    assert confidence == pytest.approx(np.mean(expected), rel=1e-4)
    assert rival.test(plain(10, 90, 20), ~region, label=1)[1] == 1
    assert rival.test(plain(0, 0, 0), region, label=0)[1] == 0


def test_the_region_is_where_the_label_comes_from(mean_colour, benign):
    rival = SentiNet(mean_colour, n_overlays=4, n_proposals=0).fit(benign)
    image = plain(0, 90, 20)
    image[4:10, 4:10] = (255, 0, 0)  # red only here
    (region,) = rival.regions(image, label=0)
    expected = np.zeros((24, 16), bool)
    expected[4:10, 4:10] = True
    np.testing.assert_array_equal(region, expected)
    assert rival.regions(plain(0, 90, 20), label=0) == []  # no red at all: no region


def test_regions_of_proposed_labels_are_taken_out(mean_colour):
    rival = SentiNet(mean_colour, n_overlays=4, n_proposals=2)
    image = plain(120, 0, 0)
    image[:12, :, 2] = 255  # the upper half shows blue, all of it red
    whole, rest = rival.regions(image, label=0)
    assert whole.all()
    assert not rest[:12].any()
    assert rest[12:].all()


def test_the_score_is_the_height_above_the_curve(brightest_colour, benign):
    rival = SentiNet(brightest_colour, n_overlays=4, n_proposals=0).fit(benign)
    attacked = spot(plain(10, 90, 20), 4, 4, (250, 0, 0))
    (region,) = rival.regions(attacked, label=0)
    expected = rival.curve.above(*rival.test(attacked, region, label=0))
    np.testing.assert_allclose(rival.score(attacked[None]), [expected], rtol=1e-5)


def test_proposals_are_what_segments_show_but_the_label():
    rows = np.array([[0.9, 0.1, 0, 0], [0.2, 0.5, 0.3, 0], [0.1, 0.1, 0.8, 0], [0, 0.6, 0.4, 0]])
    assert likeliest_others(rows, label=0, n_labels=2) == [2, 1]
    assert likeliest_others(rows, label=2, n_labels=1) == [0]
    assert likeliest_others(rows[:1], label=0, n_labels=2) == []


def test_segments_are_found_and_the_same_ones_each_time():
    image = np.full((64, 48, 3), 30, np.float32)
    image[10:40, 8:30] = (220, 40, 40)
    image[45:60, 20:44] = (40, 40, 220)
    search = SelectiveSearch(5)
    first = search.crops(image)
    assert 1 <= len(first) <= 5
    np.testing.assert_array_equal(search.crops(image), first)
    assert search.crops(image[..., :1]).shape[1:] == (64, 48, 1)
