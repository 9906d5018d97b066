"""Sigmoids: one output as a question with two answers, no and yes."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from command import run
from keras import layers, ops
from PIL import Image
from small_detector import draw_images

from tf_taintradar import TaintRadarModel, attacks, evaluate, rules
from tf_taintradar.classifier import open_classifier
from tf_taintradar.classifier.closed import close_classifier
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.opening import load_detector
from tf_taintradar.serving import load

SHAPE = (24, 16, 3)


def network(end, *, pooled=False):
    """Two convolutions, and what `end` makes of eight or 48 numbers; always the same weights."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D()(x) if pooled else layers.Flatten()(layers.MaxPooling2D()(x))
    model = keras.Model(inputs, end(x))
    kernel, bias = model.weights[-2:]  # so that both answers occur on the images
    z = keras.Model(inputs, end.bare(x)).predict(draw_images(60), verbose=0)
    bias.assign(bias - np.median(z, axis=0))
    return model, kernel, bias


class End:
    """A Dense layer of n outputs and an activation after it, in one layer or another."""

    def __init__(self, n, after=None):
        self.bare = layers.Dense(n, name="answers")
        self._after = after

    def __call__(self, x):
        return self._after(self.bare(x)) if self._after else self.bare(x)


CASES = {
    "one sigmoid": (lambda: network(End(1, layers.Activation("sigmoid"))), None),
    "one sigmoid of pooled channels": (lambda: network(End(1, ops.sigmoid), pooled=True), None),
    "tf.nn.sigmoid": (lambda: network(End(1, layers.Activation(tf.nn.sigmoid))), None),
    "one logit": (lambda: network(End(1)), 0),
    "several sigmoids": (lambda: network(End(5, layers.Activation("sigmoid"))), 2),
    "the first of them": (lambda: network(End(5, layers.Activation("sigmoid"))), 0),
    "several logits": (lambda: network(End(5)), 4),
}


@pytest.fixture(params=CASES)
def case(request):
    return two_ways(request.param)


def two_ways(name):
    """A network, the label to watch, and the network of two logits that answers the same."""
    build, label = CASES[name]
    model, kernel, bias = build()
    at = label or 0
    before = model.get_layer("answers").input
    two = layers.Dense(2, name="two")
    both = keras.Model(model.inputs, layers.Softmax()(two(before)))
    two.set_weights([np.stack([0 * kernel[:, at], kernel[:, at]], 1), np.stack([0, bias[at]])])
    return model, label, both


def own_answers(model, label, images):
    """What the network itself says of the label, (b, 1)."""
    return model.predict(images, verbose=0)[:, [label or 0]]


def test_the_logits_are_those_of_a_network_of_two(case, images):
    model, label, both = case
    ours, theirs = open_classifier(model, label=label), open_classifier(both)
    assert (ours.n_classes, ours.feature_layer) == (2, theirs.feature_layer)
    assert [stage.layer for stage in ours.stages] == [stage.layer for stage in theirs.stages]
    np.testing.assert_allclose(ours.logits(images), theirs.logits(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("rule", ["occlusion", rules.Cover(per_side=2, depths=0), "bands"], ids=str)
def test_a_rule_answers_as_on_a_network_of_two_logits(rule, images):
    model, label, both = two_ways("several sigmoids")
    ours = TaintRadarModel(model, label=label, variant=rule).predict_scores(images)
    theirs = TaintRadarModel(both, variant=rule).predict_scores(images)
    assert set(ours["label"]) == {0, 1}
    for name in ours.keys() - {"predictions"}:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-4, err_msg=name)


def test_predictions_stay_those_of_the_network(case, images):
    model, label, _ = case
    radar = TaintRadarModel(model, label=label, score_threshold=1.0)
    found = radar.predict(images, verbose=0)
    own = own_answers(model, label, images)
    np.testing.assert_allclose(found["predictions"], own, rtol=0, atol=1e-5)
    middle = 0 if label in (0, 4) and (own < 0).any() else 0.5  # of logits, of probabilities
    np.testing.assert_array_equal(found["label"], own[:, 0] > middle)
    alone = [radar.score(image[None])[0] for image in images]
    np.testing.assert_allclose(alone, found["score"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["graph", "arrays", "logits"])
def test_a_closed_network(form, images):
    model, _, _ = network(End(5, None if form == "logits" else layers.Activation("sigmoid")))
    ways = {"arrays": lambda x: np.array(model(x.copy()))}
    closed = close_classifier(ways.get(form, lambda x: model(x)), input_size=(24, 16), label=2)
    expected = open_classifier(model, label=2)
    logits = closed.logits(images)
    np.testing.assert_allclose(logits, expected.logits(images), rtol=1e-3, atol=1e-3)
    own = own_answers(model, 2, images)
    np.testing.assert_allclose(closed.predictions(logits), own, rtol=0, atol=1e-5)


def test_a_closed_sigmoid_is_never_infinite():
    closed = close_classifier(lambda x: x[:, 0, 0, :1] / 255, input_size=8)
    pixels = np.zeros((3, 8, 8, 3), np.float32) + np.reshape([0, 255, 127.5], (3, 1, 1, 1))
    z = closed.logits(pixels.astype(np.float32))[:, 1]
    np.testing.assert_allclose(z, [-87.3, 16.6, 0], atol=0.1)


# Every way to a detector


@pytest.fixture
def radar():
    model, _, _ = network(End(5, layers.Activation("sigmoid")))
    radar = TaintRadarModel(model, label=2, class_names=["no owl", "owl"])
    radar.calibrate(draw_images(60), target_fpr=0.2, verbose=0)
    return radar


def test_saved_loaded_and_copied(radar, images, tmp_path):
    radar.save(tmp_path / "radar.keras")
    expected = radar.predict(images, verbose=0)
    loaded = keras.models.load_model(tmp_path / "radar.keras")
    assert loaded.label == 2
    for name, values in loaded.predict(images, verbose=0).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert radar.replaced(variant="cover").opened.n_classes == 2
    with pytest.raises(AttributeError, match="`label` cannot be changed"):
        radar.label = 3


def test_exported(radar, images, tmp_path):
    radar.export(tmp_path / "1")
    served, expected = load(tmp_path / "1"), radar.predict(images, verbose=0)
    assert served.metadata["label"] == 2
    found = served.predict(images)
    assert found["predictions"].shape == (7, 1)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-4, err_msg=name)


def test_explained_diagnosed_evaluated_attacked(radar, images, tmp_path):
    radar.explain(images[0]).plot(tmp_path / "why.png")
    assert radar.diagnose(images).feature_layer == "last"
    many = draw_images(60)
    labels = radar.predict_scores(many)["label"]
    report = evaluate(radar, many, labels, attacks=["partial-30"], target_fprs=[0.3],
                      defences=["taintradar"], n_attacked=2, verbose=0)  # fmt: skip
    assert "taintradar" in report.to_markdown()
    attack = attacks.AdversarialPatch(radar.opened, target_class=None, diameter=0.6, steps=20)
    result = attack.partial(images, verbose=0)
    changed = radar.predict_scores(result.images)["label"] != radar.predict_scores(images)["label"]
    np.testing.assert_array_equal(changed, result.success)
    assert result.success.any()
    runner_up = attacks.likely_targets(radar, images, rank=2)
    np.testing.assert_array_equal(runner_up, 1 - radar.predict_scores(images)["label"])


def test_on_the_command_line(images, tmp_path):
    model, _, _ = network(End(5, layers.Activation("sigmoid")))
    model.save(tmp_path / "classifier.keras")
    (tmp_path / "benign").mkdir()
    for i, image in enumerate(draw_images(40)):
        Image.fromarray(image).save(tmp_path / f"benign/{i}.png")
    file = str(tmp_path / "radar.keras")
    assert load_detector(str(tmp_path / "classifier.keras"), label=2).label == 2
    run("calibrate", str(tmp_path / "classifier.keras"), str(tmp_path / "benign"),
        "--label", "2", "--target-fpr", "0.2", "--output", file)  # fmt: skip
    rows = json.loads(run("detect", file, str(tmp_path / "benign"), "--json").stdout)["images"]
    yes = own_answers(model, 2, draw_images(40))[:, 0]
    expected = {f"{i}.png": max(p, 1 - p) for i, p in enumerate(yes)}
    assert {row["label"] for row in rows} == {0, 1}
    for row in rows:
        assert row["probability"] == pytest.approx(expected[row["file"].split("/")[-1]], abs=1e-5)


# What is refused

BAD = {
    "one that is not there": (5, "sigmoid", 5, "`label` must be an integer from 0 to 4"),
    "no number": (5, "sigmoid", "cat", "`label` must be an integer from 0 to 4"),
    "negative": (5, "sigmoid", -1, "`label` must be an integer from 0 to 4"),
    "a second of one": (1, "sigmoid", 1, "`label` must be an integer from 0 to 0"),
    "of a softmax": (5, "softmax", 2, "`label` must be left out.*compete in a softmax"),
    "not there, of a softmax": (5, "softmax", 9, "`label` must be left out"),
    "none of several": (5, "sigmoid", None, "a sigmoid for each of its 5 labels.*label=0 to 4"),
    "a logit or a measure": (1, None, None, "single output without an activation.*label=0"),
    "softmax of one": (1, tf.nn.softmax, None, "softmax over a single output"),
}


@pytest.mark.parametrize("form", ["open", "closed"])
@pytest.mark.parametrize("bad", BAD)
def test_bad_labels(bad, form):
    n, activation, label, message = BAD[bad]
    if form == "closed" and bad in ("softmax of one", "a logit or a measure"):
        pytest.skip("of a function nothing is known but its numbers")
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3)(inputs)
    model = keras.Model(inputs, layers.Dense(n, activation)(layers.Flatten()(x / 1000)))
    given = {} if form == "open" else {"variant": "cover", "input_size": (24, 16)}
    with pytest.raises(ValueError, match=message):
        TaintRadarModel(model if form == "open" else lambda x: model(x), label=label, **given)


@pytest.mark.parametrize(("n", "label"), [(1, 0), (5, 3), (5, None)])
def test_a_hidden_sigmoid_is_no_logit(n, label):
    model, _, _ = network(End(n, layers.Lambda(keras.activations.sigmoid)))
    with pytest.raises(UnsupportedClassifierError, match="not a sigmoid that can be taken off"):
        open_classifier(model, label=label)


def test_what_is_opened_has_its_label(radar):
    with pytest.raises(ValueError, match="`label` must be left out: the classifier is opened"):
        open_classifier(radar.opened, label=1)
