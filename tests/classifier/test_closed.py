"""Networks that can only be called answer as those that are opened."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_detector import draw_images

from tf_taintradar import TaintRadarModel, attacks, baselines, evaluate, rules
from tf_taintradar.classifier.closed import close_classifier, is_closed
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.opening import load_detector

ALONE = rules.Cover(per_side=2, depths=0)


@keras.saving.register_keras_serializable(package="test_closed")
class Subclassed(keras.Model):
    """A network whose layers are called in Python."""

    def __init__(self, network=None, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    def call(self, images):
        return self.network(images)

    def get_config(self):
        return {"network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["network"]))


def built(network):
    model = Subclassed(network)
    model(np.zeros((1, 24, 16, 3), np.float32))
    return model


@pytest.fixture
def saved(small_classifier, tmp_path):
    """The small classifier as a SavedModel."""
    small_classifier.export(tmp_path / "saved", verbose=False)
    return str(tmp_path / "saved")


def layer_of(saved):
    return keras.layers.TFSMLayer(saved, call_endpoint="serving_default")


FORMS = {
    "subclassed": lambda network, saved: built(network),
    "layer": lambda network, saved: layer_of(saved),
    "loaded": lambda network, saved: tf.saved_model.load(saved),
    "function": lambda network, saved: lambda images: network(images),
    "arrays": lambda network, saved: lambda images: np.array(network(images.copy())),
}
"""The small classifier in each closed form; TensorFlow's graph holds all but the last."""


@pytest.fixture(params=["loaded", "arrays"])
def closed(request, small_classifier, saved):
    """One form in the graph, one outside, and which it is."""
    return FORMS[request.param](small_classifier, saved), request.param != "arrays"


@pytest.mark.parametrize("form", FORMS)
def test_each_form_answers_as_the_open_network(form, small_classifier, saved, images):
    network = FORMS[form](small_classifier, saved)
    assert is_closed(network)
    found = close_classifier(network, input_size=(24, 16))
    opened = open_classifier(small_classifier)
    assert (found.input_shape, found.n_classes) == (opened.input_shape, opened.n_classes)
    assert found.is_in_graph == (form != "arrays")
    logits, expected = found.logits(images), opened.logits(images)
    np.testing.assert_allclose(
        tf.nn.log_softmax(logits), tf.nn.log_softmax(expected), rtol=0, atol=1e-5
    )
    answers = found.predictions(logits)
    np.testing.assert_allclose(answers, opened.predictions(expected), rtol=0, atol=1e-6)


def test_cover_answers_as_around_the_open_network(closed, small_classifier, images):
    network, _ = closed
    radar = TaintRadarModel(network, input_size=(24, 16), variant=rules.Cover(per_side=2))
    expected = TaintRadarModel(small_classifier, variant=ALONE)
    assert radar.rule == ALONE
    for way in (radar, expected):
        way.calibrate(draw_images(60), target_fpr=0.2, verbose=0)
    assert radar.threshold == pytest.approx(expected.threshold, rel=1e-3)
    ours, theirs = (way.predict(images, verbose=0) for way in (radar, expected))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_what_else_works(closed, images, tmp_path):
    """Pictures, a decision in a graph, certainty, evaluation against a rival."""
    network, _ = closed
    radar = TaintRadarModel(network, input_size=(24, 16), variant=ALONE, score_threshold=1.0)
    explained = radar.explain(images[0])
    explained.plot(tmp_path / "why.png")
    assert explained.reason
    assert "critical region" not in [title for _, title, _ in explained._critical_panel()]
    flags = tf.function(lambda x: radar(x)["is_adversarial"])(tf.constant(images))
    np.testing.assert_array_equal(flags, radar.predict(images, verbose=0)["is_adversarial"])
    assert 0 <= attacks.certainty(radar, images).any_label <= 1


def test_rules_that_look_inside_say_what_they_need(closed):
    network, _ = closed
    for settings in ({}, {"variant": "windows"}, {"top_k": 2}):
        with pytest.raises(UnsupportedClassifierError, match="variant='cover'"):
            TaintRadarModel(network, input_size=(24, 16), **settings)


def test_what_is_in_the_graph_is_exported(closed, images, tmp_path):
    network, in_graph = closed
    radar = TaintRadarModel(network, input_size=(24, 16), variant=ALONE, score_threshold=1.0)
    if not in_graph:
        with pytest.raises(UnsupportedClassifierError, match="called in Python"):
            radar.export(tmp_path / "served")
        assert not (tmp_path / "served").exists()
        return
    radar.export(tmp_path / "served")
    serve = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    answers, expected = serve(images=tf.constant(images)), radar.predict(images, verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, rtol=0, atol=1e-5, err_msg=name)


def test_a_layer_is_saved_and_loaded(small_classifier, images, tmp_path):
    model = built(small_classifier)
    radar = TaintRadarModel(model, input_size=(24, 16), variant=ALONE, score_threshold=1.0)
    radar.save(tmp_path / "radar.keras")
    loaded = keras.models.load_model(tmp_path / "radar.keras")
    expected = radar.predict(images, verbose=0)
    for name, values in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-6, err_msg=name)


def test_a_saved_model_is_saved_by_its_path(saved, images, tmp_path):
    radar = TaintRadarModel(layer_of(saved), variant=ALONE, score_threshold=1.0)
    radar.save(tmp_path / "radar.keras")
    loaded = keras.models.load_model(tmp_path / "radar.keras", safe_mode=False)
    np.testing.assert_allclose(loaded.score(images), radar.score(images), rtol=1e-6)


def test_a_function_is_not_saved(small_classifier, tmp_path):
    radar = TaintRadarModel(small_classifier.__call__, input_size=(24, 16), variant=ALONE)
    with pytest.raises(ValueError, match="`classifier` must be a Keras model or layer"):
        radar.save(tmp_path / "radar.keras")
    assert not list(tmp_path.iterdir())


def test_by_the_name_of_a_folder(saved, small_classifier, images):
    radar = load_detector(saved, variant="cover")
    assert radar.rule.depths == 0
    expected = TaintRadarModel(small_classifier, variant=rules.Cover(depths=0))
    np.testing.assert_allclose(radar.score(images), expected.score(images), rtol=1e-3, atol=1e-3)
    with pytest.raises(UnsupportedClassifierError, match="variant='cover'"):
        load_detector(saved)


def test_there_is_nothing_to_diagnose(small_classifier, images):
    radar = TaintRadarModel(small_classifier.__call__, input_size=(24, 16), variant=ALONE)
    with pytest.raises(UnsupportedClassifierError, match="cannot be opened"):
        radar.diagnose(images)


def test_a_rival_and_an_attack_are_evaluated(small_classifier, images):
    radar = TaintRadarModel(small_classifier.__call__, input_size=(24, 16), variant=ALONE)
    many = np.concatenate([images] * 6)
    labels = radar.predict_scores(many)["label"]
    report = evaluate(
        radar,
        many,
        labels,
        attacks=["partial-30"],
        defences=["taintradar-cover", "local-gradients-smoothing"],
        target_fprs=[0.3],
        n_attacked=2,
        target_class=int(labels[0]),
        verbose=0,
    )
    assert "local-gradients-smoothing" in report.to_markdown()


def test_no_attack_is_made_without_gradients(small_classifier):
    radar = TaintRadarModel(lambda x: np.array(small_classifier(x.copy())), input_size=(24, 16),
                            variant=ALONE)  # fmt: skip
    with pytest.raises(UnsupportedClassifierError, match="needs the classifier's gradients"):
        attacks.AdversarialPatch(radar.opened, target_class=1)
    with pytest.raises(UnsupportedClassifierError, match="SentiNet looks at feature maps"):
        baselines.SentiNet(radar.opened)


# What cannot be taken


def logits_of(images):
    return tf.reshape(images, (tf.shape(images)[0], -1))[:, :5]


REFUSED = {
    "no size": (logits_of, None, "`input_size` must be the size"),
    "one output": (lambda x: logits_of(x)[:, :1], 8, "single output without an activation"),
    "no output": (lambda x: logits_of(x)[:, :0], 8, "must answer.*\\(\\d+, 0\\)"),
    "a map": (lambda x: x, 8, "must answer \\(batch, classes\\)"),
    "two outputs": (lambda x: {"a": logits_of(x), "b": x}, 8, "one output. Received: 2 \\(a, b\\)"),
    "sigmoids": (lambda x: tf.sigmoid(logits_of(x) / 255), 8, "a sigmoid for each of its 5 labels"),
    "two in a list": (lambda x: [x, x], 8, "^`classifier` must have one output. Received: 2\\."),
    "two arrays": (lambda x: (x.copy(), x.copy()), 8, "one output. Received: 2"),
    "nothing": (lambda x: None, 8, "must answer \\(batch, classes\\)"),
    "text": (lambda x: "cat", 8, "fails on them.*'cat'"),
    "other rows": (lambda x: logits_of(x - tf.reduce_mean(x)), 8, "each image by itself"),
    "one row": (lambda x: logits_of(x)[:1], 8, "each image by itself|in any number"),
    "an error": (lambda x: undefined(x), 8, "fails on them.*undefined"),  # noqa: F821
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken(case):
    network, size, message = REFUSED[case]
    with pytest.raises(UnsupportedClassifierError, match=message):
        TaintRadarModel(network, input_size=size, variant="cover")


def test_rows_in_lists_are_an_answer(small_classifier, images):
    """A function that answers plain Python is called in Python."""
    radar = TaintRadarModel(lambda x: np.array(small_classifier(x.copy())).tolist(),
                            input_size=(24, 16), variant=ALONE)  # fmt: skip
    assert not radar.opened.is_in_graph
    expected = TaintRadarModel(small_classifier, variant=ALONE)
    np.testing.assert_allclose(radar.score(images), expected.score(images), rtol=1e-3, atol=1e-3)


def test_a_saved_model_without_the_signature(small_classifier, tmp_path):
    module = tf.Module()
    module.network = small_classifier
    for names in ((), ("one", "two")):
        spec = tf.TensorSpec((None, 24, 16, 3))
        ask = tf.function(lambda x: {"p": small_classifier(x)}, input_signature=[spec])
        tf.saved_model.save(module, tmp_path / "saved", signatures=dict.fromkeys(names, ask))
        loaded = tf.saved_model.load(tmp_path / "saved")
        told = "'one', 'two'" if names else "none"
        with pytest.raises(UnsupportedClassifierError, match=f"SavedModel with {told}. Pass the"):
            TaintRadarModel(loaded, variant=ALONE)
    radar = TaintRadarModel(loaded.signatures["two"], variant=ALONE)
    assert radar.opened.input_shape == (24, 16, 3)


def test_a_feature_layer_is_refused(small_classifier):
    with pytest.raises(ValueError, match="`feature_layer` must be left out"):
        TaintRadarModel(built(small_classifier), input_size=(24, 16), variant="cover",
                        feature_layer="last")  # fmt: skip


def test_whole_numbers_are_rounded():
    spec = tf.TensorSpec((None, 8, 8, 3), tf.uint8)
    network = tf.function(lambda x: logits_of(tf.cast(x, tf.float32)), input_signature=[spec])
    found = close_classifier(network.get_concrete_function())
    assert found.input_shape == (8, 8, 3)
    pixels = np.full((1, 8, 8, 3), 99.6, np.float32)
    np.testing.assert_array_equal(found.logits(pixels), np.full((1, 5), 100))


@pytest.mark.slow
def test_the_real_network_as_a_saved_model(shared, tmp_path):
    """MobileNetV2 taken back from a SavedModel answers as the opened one."""
    network = keras.models.load_model(shared / "models/mobilenet_v2.keras", compile=False)
    network.export(tmp_path / "saved", verbose=False)
    rng = np.random.default_rng(0)
    coarse = tf.image.resize(rng.uniform(0, 255, (4, 7, 7, 3)), (224, 224)).numpy()
    images = np.clip(coarse, 0, 255).astype(np.uint8)
    given = {"preprocessor": "tf", "variant": rules.Cover(depths=0)}
    ours = TaintRadarModel(layer_of(str(tmp_path / "saved")), **given).predict_scores(images)
    theirs = TaintRadarModel(network, **given).predict_scores(images)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
