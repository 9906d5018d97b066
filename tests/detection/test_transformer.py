"""Detection on the tokens of a vision transformer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_detector import draw_images
from small_transformer import SHAPE, build_transformer

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.attacks import AdaptivePatch
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.occlusion import go_on
from tf_taintradar.serving import load

VARIANTS = ["occlusion", "windows", "bands", "paper", "cover"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_image_depends_on_another(variant):
    radar = TaintRadarModel(build_transformer(), variant=variant)
    images = draw_images(4)
    alone = [radar.score(images[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(radar.score(images), alone, rtol=1e-3, atol=1e-4)


def listener():
    """Patches are their mean colours; the class token listens to all tokens alike.

    Its query is zero, so that it answers the mean of the values: of itself, zero, and of 24 places.
    """
    images, n = keras.Input(SHAPE), 24
    x = keras.layers.Conv2D(3, 4, strides=4, use_bias=False, name="patches")(images)
    x = keras.layers.Reshape((n, 3))(x)
    x = keras.layers.ZeroPadding1D((1, 0), name="embedded")(x)
    x = keras.layers.MultiHeadAttention(1, 3, use_bias=False, name="attention")(x, x)[:, 0]
    head = keras.layers.Dense(3, use_bias=False, name="logits")
    model = keras.Model(images, head(x))
    same = np.eye(3, dtype=np.float32)
    model.get_layer("patches").set_weights([np.tile(same / 16, (4, 4, 1, 1))])
    model.get_layer("attention").set_weights(
        [0 * same[:, None], same[:, None], same[:, None], same[None]]
    )
    head.set_weights([same])
    return model


def test_tokens_that_are_taken_out_leave_the_mean_of_the_others():
    """25 tokens: a token for each place, and the class token, which is zero and stays."""
    opened = open_classifier(listener())
    assert [stage.n_special for stage in opened.stages] == [1]
    image = np.zeros((1, *SHAPE), np.float32)
    image[0, :4, :4, 0] = 240  # one patch is red, one green
    image[0, 4:8, :4, 1] = 120
    np.testing.assert_allclose(opened.logits(image), [[240 / 25, 120 / 25, 0]], rtol=1e-5)
    removed = np.zeros((1, 6, 4), bool)
    removed[0, 0] = True  # the four patches on top
    logits = go_on(opened, [opened.trunk(image)], [tf.constant(removed)])
    np.testing.assert_allclose(logits[0, 0], [0, 120 / 20 * 24 / 25, 0], rtol=1e-5)


def test_the_region_is_where_the_label_comes_from():
    image = np.zeros((1, *SHAPE), np.float32)
    image[..., 1] = 20
    image[0, 4:12, 8:, 0] = 250
    image[0, 4:12, 8:, 1] = 0
    found = TaintRadarModel(listener(), variant="windows").explain(image[0])
    assert found.label == 0
    assert found.recovered_label == 1
    assert found.tainted_region[4:12, 8:].all()


@pytest.mark.slow
def test_saved_and_exported(tmp_path):
    images = draw_images(8)
    radar = TaintRadarModel(build_transformer(), score_threshold=0.0)
    answers = radar.predict(images, verbose=0)
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0)["score"], answers["score"])
    export_savedmodel(radar, tmp_path / "served")
    served = load(tmp_path / "served").predict(images)
    np.testing.assert_allclose(served["score"], answers["score"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("variant", ["occlusion", pytest.param("cover", marks=pytest.mark.slow)])
def test_gradients_of_an_attacker_who_knows(variant):
    radar = TaintRadarModel(build_transformer(), variant=variant, score_threshold=0.0)
    attack = AdaptivePatch(radar, target_class=1, diameter=0.5, steps=2)
    assert np.isfinite(attack.partial(draw_images(2), verbose=0).patches).all()
