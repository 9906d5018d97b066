"""Adversarial glasses, on a network whose answers can be worked out by hand."""

import keras
import numpy as np
import pytest

from tf_taintradar.attacks import EyeglassesAttack, Penalties
from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.classifier import open_classifier

SIZE = 64


@pytest.fixture
def colour_classifier() -> keras.Model:
    """Answers which channel of the image is the largest: logit = mean of the channel / 2."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(3, 1, use_bias=False)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(x))
    model.set_weights([np.eye(3)[None, None], np.eye(3) / 2])
    return model


def faces(*colours):
    return np.array(colours, np.uint8)[:, None, None] * np.ones((SIZE, SIZE, 1), np.uint8)


def test_a_pair_for_several_photographs_changes_nothing_but_the_frame(colour_classifier):
    photographs = faces((110, 100, 90), (112, 104, 90))
    attack = EyeglassesAttack(colour_classifier, target_class=1, stop_probability=None, steps=40)
    result = attack.universal(photographs, verbose=0)
    frame = eyeglasses_mask((SIZE, SIZE)).astype(bool)
    np.testing.assert_array_equal(result.mask, frame)
    assert result.patches.shape == (1, SIZE, SIZE, 3)
    np.testing.assert_array_equal(result.images[:, ~frame], photographs[:, ~frame])
    np.testing.assert_array_equal(result.images[:, frame], result.patches[[0, 0]][:, frame])
    np.testing.assert_array_equal(result.success, [True, True])


def test_dodging_needs_no_target(colour_classifier):
    attack = EyeglassesAttack(colour_classifier, target_class=None, steps=60)
    result = attack.partial(faces((110, 100, 90), (100, 105, 90)), verbose=0)
    np.testing.assert_array_equal(result.clean_labels, [0, 1])
    np.testing.assert_array_equal(result.success, [True, True])


def test_it_stops_at_95_per_cent(colour_classifier):
    attack = EyeglassesAttack(colour_classifier, target_class=1, penalties=Penalties())
    result = attack.partial(faces((100, 110, 90), (110, 100, 90), (250, 0, 0)), verbose=0)
    probability = keras.ops.softmax(colour_classifier(result.images.astype(np.float32)))[:, 1]
    assert 0.95 <= probability[1] < 0.99
    assert 0 < result.steps[1] < 300
    assert result.steps[2] == 300 and not result.success[2]  # reported, not hidden


def test_the_default_penalties_keep_the_frame_smooth_and_printable(colour_classifier):
    settings = {"target_class": 1, "stop_probability": None, "steps": 60}
    photographs = faces((110, 100, 90))
    wild = EyeglassesAttack(colour_classifier, penalties=Penalties(), **settings)
    tame = EyeglassesAttack(
        colour_classifier, penalties=Penalties(smoothness=300, printability=300), **settings
    )
    pure = wild.partial(photographs, verbose=0).patches
    printed = tame.partial(photographs, verbose=0).patches
    frame = eyeglasses_mask((SIZE, SIZE)).astype(bool)
    assert (pure[0][frame][:, :2] == (0, 255)).all()
    levels = np.array([20, 115, 215])
    distance = np.abs(printed[0][frame][..., None].astype(int) - levels).min(axis=-1)
    assert distance.max() <= 20


def test_an_opened_classifier_is_attacked_as_the_model_is(colour_classifier):
    opened = open_classifier(colour_classifier, preprocessor="unit")
    photographs, settings = faces((110, 100, 90)), {"target_class": 1, "steps": 9}
    model = EyeglassesAttack(colour_classifier, preprocessor="unit", **settings)
    expected = model.partial(photographs, verbose=0)
    result = EyeglassesAttack(opened, **settings).partial(photographs, verbose=0)
    np.testing.assert_array_equal(result.images, expected.images)
    np.testing.assert_array_equal(result.labels, expected.labels)
    with pytest.raises(ValueError, match="`preprocessor` must be left out"):
        EyeglassesAttack(opened, preprocessor="unit", **settings)


def test_repr_shows_the_settings(colour_classifier):
    assert repr(EyeglassesAttack(colour_classifier, target_class=None)) == (
        "EyeglassesAttack(target_class=None, eye_line=0.42, width=0.94, stop_probability=0.95, "
        "steps=300, learning_rate=8.0, seed=0)"
    )


def test_glasses_that_do_not_fit(colour_classifier):
    with pytest.raises(ValueError, match="`eye_line` and `width` must leave the glasses inside"):
        EyeglassesAttack(colour_classifier, target_class=0, eye_line=0.01)
