"""What a person sees who has to decide."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from tf_taintradar import TaintRadarModel
from tf_taintradar.detection.verdict import Verdict


@pytest.fixture
def attack():
    """A flagged image of 8 x 6 pixels, whose lower half is removed."""
    image = np.full((8, 6, 3), 200, np.float32)
    region = np.zeros((8, 6), bool)
    region[4:] = True
    return Verdict(
        image=image,
        region=region,
        cleaned_image=np.where(region[..., None], 90, image),
        said=("<b>owl", 0.987),
        said_without=("fox", 0.5),
        score=1.5,
        is_adversarial=True,
        threshold=1.0,
        benign_scores=np.array([2.0, 1.5, 0.5, 0.25]),
    )


def test_the_sentence(attack):
    replaced = lambda **fields: str(dataclasses.replace(attack, **fields))  # noqa: E731
    same = {"said_without": ("<b>owl", 0.9)}
    assert str(attack) == (
        "Probably an attack: the classifier sees <b>owl (99%) because of the outlined region, and "
        "without it fox (50%)."
    )
    assert replaced(**same).endswith("depends on the outlined region more than benign images do.")
    assert replaced(is_adversarial=False) == (
        "No sign of an attack: the classifier sees <b>owl (99%), and without the outlined region "
        "fox (50%)."
    )
    assert replaced(is_adversarial=False, **same).endswith("with or without the outlined region.")
    assert replaced(is_adversarial=None).startswith("No verdict: the classifier sees")
    assert replaced(score=float("nan")).startswith("Cannot be judged")


def test_the_place_among_benign_images(attack):
    assert attack.place == "2 of 4 benign images score as high"  # 2.0 and 1.5
    assert dataclasses.replace(attack, benign_scores=None).place == ""


def test_the_picture(attack, tmp_path):
    figure = attack.plot(tmp_path / "verdict.png")
    with Image.open(tmp_path / "verdict.png") as picture:
        assert picture.size == (704, 594)
    before, without, ruler = figure.axes
    assert before.get_title() == "classified as\n<b>owl (99%)"
    assert without.get_title() == "without\nfox (50%)"
    assert ruler.get_xlabel() == "score; 2 of 4 benign images score as high"
    names = [text.get_text() for text in ruler.get_legend().get_texts()]
    assert names == ["benign images", "threshold", "this image"]
    assert len(dataclasses.replace(attack, score=float("nan")).plot().axes) == 2  # no ruler
    bare = dataclasses.replace(attack, threshold=None, benign_scores=None).plot().axes[2]
    assert [text.get_text() for text in bare.get_legend().get_texts()] == ["this image"]


def test_the_page(attack, tmp_path):
    page = attack.to_html(tmp_path / "verdict.html")
    assert (tmp_path / "verdict.html").read_text() == page
    assert "<h1>Probably an attack</h1>" in page
    assert "&lt;b&gt;owl (99%) because" in page
    assert "<b>" not in page
    assert "<tr><th>Threshold<td>1" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # nothing is fetched


def test_a_detector_gives_it(small_classifier):
    images = np.random.default_rng(0).integers(0, 256, (40, *small_classifier.input_shape[1:]))
    radar = TaintRadarModel(small_classifier, preprocessor="unit")
    assert radar.explain(np.uint8(images[0])).verdict.threshold is None
    radar.calibrate(np.uint8(images), target_fpr=0.1, verbose=0)
    explanation = radar.explain(np.uint8(images[0]))
    verdict = explanation.verdict
    assert (verdict.threshold, verdict.score) == (radar.threshold, explanation.score)
    np.testing.assert_array_equal(verdict.benign_scores, radar.calibration.scores)
    assert verdict.said[0] == explanation.name_of(explanation.label)
    odds = np.exp(explanation.logits - explanation.logits.max())
    assert verdict.said[1] == pytest.approx(odds.max() / odds.sum(), rel=1e-5)
    assert verdict.is_adversarial is (explanation.score > radar.threshold)
