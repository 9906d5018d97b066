"""The explanation of one image, and its picture."""

import numpy as np
import pytest
from PIL import Image

from tf_taintradar import TaintRadarModel

NAMES = ["ant", "bee", "cat", "dog", "elk"]


@pytest.fixture
def radar(small_classifier):
    return TaintRadarModel(small_classifier, top_k=3, rank_threshold=0, class_names=NAMES)


def test_the_intermediates_belong_together(radar, images):
    e = radar.explain(images[0])
    out = {name: values[0] for name, values in radar.predict(images[:1], verbose=0).items()}
    assert (e.label, e.rank_shift, e.recovered_label) == tuple(
        int(out[name]) for name in ("label", "rank_shift", "recovered_label")
    )
    assert e.is_adversarial == out["is_adversarial"]
    np.testing.assert_array_equal(e.image, images[0])
    np.testing.assert_array_equal(e.tainted_region, e.negative_regions.all(axis=0))
    outside = ~e.critical_region
    np.testing.assert_array_equal(e.filled_image[outside], e.image[outside])
    assert (e.filled_image[e.critical_region] != e.image[e.critical_region]).any()
    gains = e.filled_logits - e.logits
    np.testing.assert_array_equal(e.top_labels, np.argsort(-gains)[:3])
    np.testing.assert_allclose(e.logit_increases, np.sort(gains)[:-4:-1], rtol=1e-6)
    assert e.rank_shift == (e.cleaned_logits > e.cleaned_logits[e.label]).sum()
    assert e.critical_map.shape == (6, 4)
    assert e.negative_maps.shape == (3, 6, 4)


def test_the_picture_is_the_row_of_figure_4(radar, images, tmp_path):
    e = radar.explain(images[0])
    figure = e.plot(tmp_path / "why.png")
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split("\n")[0] for title in titles] == [
        "input",
        "critical region",
        "filled",
        "holds down",
        "holds down",
        "holds down",
        "intersection of 3",
        "final input",
    ]
    assert NAMES[e.label] in titles[0]
    assert NAMES[e.top_labels[0]] in titles[3]
    assert f"{e.tainted_region.mean():.1%}" in titles[6]
    drawn = figure.axes[7].images[0].get_array()
    np.testing.assert_array_equal(drawn, np.round(e.cleaned_image))
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width > 4 * picture.height
    assert [path.name for path in tmp_path.iterdir()] == ["why.png"]


def test_labels_without_names_have_numbers(small_classifier, images):
    e = TaintRadarModel(small_classifier).explain(images[0])
    title = " ".join(e.plot().get_suptitle().split())
    assert f"label {e.label}: no threshold set" in title


def test_a_file_is_explained_like_its_pixels(radar, images, tmp_path):
    Image.fromarray(images[1]).save(tmp_path / "image.png")
    from_file = radar.explain(tmp_path / "image.png")
    np.testing.assert_array_equal(from_file.cleaned_logits, radar.explain(images[1]).cleaned_logits)


def test_one_image_is_expected(radar, images):
    with pytest.raises(ValueError, match="`image`"):
        radar.explain(images)
