"""A classifier that has a preprocessor of its own, as those of KerasHub have.

Kind: a network with its own preprocessing, which its `predict` applies and a call does not.
"""

import keras
import numpy as np
import pytest
from keras import layers
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.classifier import open_classifier
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.export import with_precision

SHAPE = (24, 16, 3)


@keras.saving.register_keras_serializable(package="test_own_preprocessor")
class Converter(layers.Layer):
    """As KerasHub's ImageClassifierPreprocessor: resizes and scales, labels beside the images."""

    def __init__(self, image_size=(24, 16), scale=1 / 64, offset=-2.0, **kwargs):
        super().__init__(**kwargs)
        self.image_size, self.scale, self.offset = tuple(image_size), scale, offset

    def call(self, x, y=None, sample_weight=None):
        x = keras.ops.image.resize(keras.ops.cast(x, "float32"), self.image_size)
        x = x * self.scale + self.offset
        return x if y is None else (x, y)

    def get_config(self):
        own = {"image_size": self.image_size, "scale": self.scale, "offset": self.offset}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="test_own_preprocessor")
class HubClassifier(keras.Model):
    """As KerasHub's ImageClassifier: Functional, and `predict` preprocesses."""

    def __init__(self, preprocessor=None, input_shape=SHAPE, **kwargs):
        inputs = keras.Input(input_shape)
        x = layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
        outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.preprocessor = preprocessor
        self.shape_of_input = input_shape

    def predict(self, x, **kwargs):
        return super().predict(x if self.preprocessor is None else self.preprocessor(x), **kwargs)

    def get_config(self):
        preprocessor = keras.saving.serialize_keras_object(self.preprocessor)
        return {"preprocessor": preprocessor, "input_shape": self.shape_of_input}

    @classmethod
    def from_config(cls, config):
        preprocessor = keras.saving.deserialize_keras_object(config["preprocessor"])
        return cls(preprocessor, tuple(config["input_shape"]))


def build(preprocessor="own", **settings):
    keras.utils.set_random_seed(4)
    return HubClassifier(Converter() if preprocessor == "own" else preprocessor, **settings)


def test_the_detector_predicts_what_the_classifier_predicts(tmp_path):
    classifier, images = build(), draw_images(24)
    expected = classifier.predict(images, verbose=0)
    radar = TaintRadarModel(classifier, score_threshold=0.1)
    assert radar.preprocessor is classifier.preprocessor
    radar.save(tmp_path / "radar.keras")
    for one in (radar, keras.models.load_model(tmp_path / "radar.keras"), radar.replaced()):
        found = one.replaced(score_threshold=0.1).predict(images, verbose=0)
        np.testing.assert_allclose(found["predictions"], expected, rtol=1e-4, atol=1e-5)
    opened = open_classifier(classifier)
    logits = opened.logits(images.astype("float32"))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    half = with_precision(radar, "float16").predict(images, verbose=0)
    np.testing.assert_allclose(half["predictions"], expected, atol=0.02 * np.ptp(expected))


def test_one_for_any_size_is_taken_over_at_the_size_that_is_given():
    classifier, images = build(input_shape=(None, None, 3)), draw_images(5)
    with pytest.raises(UnsupportedClassifierError, match="`input_size`"):
        TaintRadarModel(classifier)
    radar = TaintRadarModel(classifier, input_size=(24, 16), score_threshold=0.1)
    expected = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(radar.predict(images)["predictions"], expected, rtol=1e-4, atol=1e-5)


def test_what_is_given_is_taken_instead():
    images = draw_images(5)
    radar = TaintRadarModel(build(), preprocessor="unit", score_threshold=0.1)
    expected = build(None).predict(images.astype("float32") / 255, verbose=0)
    np.testing.assert_allclose(radar.predict(images)["predictions"], expected, rtol=1e-4, atol=1e-5)


def test_none_of_its_own_means_raw_pixels():
    images = draw_images(5)
    radar = TaintRadarModel(build(None), score_threshold=0.1)
    expected = build(None).predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(radar.predict(images)["predictions"], expected, rtol=1e-4, atol=1e-5)


class Tokens(layers.Layer):
    def call(self, x):
        raise TypeError("takes text")


@pytest.mark.parametrize(
    "own", [lambda: Tokens(), lambda: Converter((12, 8)), lambda: np.sqrt, lambda: {"scale": 2}]
)
def test_what_cannot_be_taken_over_is_refused(own):
    for use in (TaintRadarModel, open_classifier):
        with pytest.raises(UnsupportedClassifierError, match="Pass what it does as"):
            use(build(own()))
        use(build(own()), preprocessor=layers.Identity())
