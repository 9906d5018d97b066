"""Opening a classifier: it answers what it answered before, and is left as it was."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection.cam import trace_head
from tf_taintradar.errors import UnsupportedClassifierError

SHAPE = (24, 16, 3)
CLASSES = 5


def convolutions(x, name="last", activation="relu"):
    """Two convolutions, one with batch norm: (24, 16) -> (6, 4, 8)."""
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(moving_mean_initializer="random_normal")(x)
    x = layers.Activation("relu")(x)
    return layers.Conv2D(
        8, 3, strides=2, padding="same", activation=activation, name=name,
        bias_initializer="random_normal",
    )(x)  # fmt: skip


def base(shape=SHAPE, name="base"):
    inputs = keras.Input(shape)
    return keras.Model(inputs, convolutions(layers.Rescaling(1 / 255)(inputs)), name=name)


def head(x, activation="softmax", n=CLASSES):
    return layers.Dense(n, activation, name="top")(layers.GlobalAveragePooling2D()(x))


def functional():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(convolutions(layers.Rescaling(1 / 255)(inputs))))


def sequential():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu", name="last"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(CLASSES),
            layers.Softmax(),
        ]
    )


def sequential_built_by_a_call():
    model = keras.Sequential([layers.Conv2D(8, 3, name="last"), layers.Flatten(), layers.Dense(5)])
    model(np.zeros((1, *SHAPE), np.float32))
    return model


def transfer_sequential():
    return keras.Sequential([base(), layers.GlobalAveragePooling2D(), layers.Dense(5, "softmax")])


def transfer_functional():
    inputs = keras.Input(SHAPE)
    x = layers.RandomFlip()(inputs)
    x = layers.RandomRotation(0.1)(x)
    x = layers.GaussianNoise(0.1)(x)
    x = base()(x, training=False)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(x))


def base_of_any_size():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(base((None, None, 3))(inputs)))


def any_size():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, head(convolutions(layers.Rescaling(1 / 255)(inputs))))


def deep_nesting():
    inner = keras.Sequential([base(), layers.Activation("relu")], name="inner")
    inputs = keras.Input(SHAPE)
    middle = keras.Model(inputs, inner(inputs), name="middle")
    top = keras.Sequential([layers.GlobalMaxPooling2D(), layers.Dense(CLASSES, "softmax")])
    return keras.Sequential([middle, layers.BatchNormalization(name="last"), top])


def grey():
    inputs = keras.Input((24, 16, 1))
    return keras.Model(inputs, head(convolutions(layers.Rescaling(1 / 255)(inputs))))


def integer_pixels():
    inputs = keras.Input(SHAPE, dtype="uint8")
    return keras.Model(inputs, head(base()(inputs)))


def two_classes():
    return keras.Sequential([base(), layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax")])


def operations():
    """keras.ops functions and operators between the layers."""
    inputs = keras.Input(SHAPE)
    x = convolutions(inputs / 127.5 - 1.0, name="earlier", activation=None)
    x = ops.relu(x + layers.Conv2D(8, 3, padding="same")(x) * 0.5)
    x = ops.mean(x, axis=(1, 2))
    return keras.Model(inputs, ops.softmax(layers.Dense(CLASSES)(x)))


def shared_layers():
    convolution = layers.Conv2D(8, 3, padding="same", name="shared")
    relu = layers.ReLU(name="relu")
    inputs = keras.Input(SHAPE)
    x = relu(layers.Conv2D(8, 3, name="first")(layers.Rescaling(1 / 255)(inputs)))
    x = relu(layers.Add()([convolution(relu(convolution(x))), x]))
    return keras.Model(inputs, head(x))


def shared_base():
    """The same nested model twice, as siamese networks have it."""
    shared = base()
    inputs = keras.Input(SHAPE)
    both = layers.Concatenate()([shared(inputs), shared(255.0 - inputs)])
    return keras.Model(inputs, head(layers.Conv2D(8, 3, padding="same", name="fusion")(both)))


def nested_model_of_two_inputs(form):
    """The nested model takes its inputs in another order than that of their names."""
    first, second = keras.Input((6, 4, 8), name="b"), keras.Input((6, 4, 8), name="a")
    merged = layers.Subtract()([first, second * 2.0])
    last = layers.Conv2D(8, 3, padding="same", name="last")(merged)
    merge = keras.Model([first, second], last, name="merge")
    inputs = keras.Input(SHAPE)
    x = convolutions(inputs / 255.0, name="trunk")
    y = layers.Conv2D(8, 1)(x)
    return keras.Model(inputs, head(merge({"a": y, "b": x} if form == "dict" else [x, y])))


def head_of_two_inputs():
    """The softmax is in a nested model with two inputs."""
    first, second = keras.Input((8,)), keras.Input((8,))
    answer = layers.Dense(CLASSES, "softmax")(layers.Concatenate()([first, second]))
    top = keras.Model([first, second], answer, name="head")
    inputs = keras.Input(SHAPE)
    x = base()(inputs)
    means = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, top([means, layers.GlobalMaxPooling2D()(x)]))


class Block(layers.Layer):
    """Sublayers with a training mode under a `call` that has none."""

    def __init__(self):
        super().__init__(name="block")
        self.convolution = layers.Conv2D(8, 3)
        self.norm = layers.BatchNormalization()
        self.dropout = layers.Dropout(0.5)

    def build(self, shape):
        self.convolution.build(shape)
        self.norm.build((*shape[:-1], 8))

    def call(self, x):
        return self.dropout(self.norm(self.convolution(x)))


def layer_of_layers():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(Block()(layers.Rescaling(1 / 255)(inputs))))


def training_mode_written_into_the_graph():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, name="last")(layers.Rescaling(1 / 255)(inputs))
    x = layers.BatchNormalization()(layers.Dropout(0.5)(x, training=True), training=True)
    return keras.Model(inputs, head(x))


class Named(keras.Model):
    """A Functional model with a class of its own."""

    def __init__(self):
        inputs = keras.Input(SHAPE)
        super().__init__(inputs, head(convolutions(layers.Rescaling(1 / 255)(inputs))))

    def train_step(self, data):
        raise AssertionError


def lora():
    model = functional()
    model.get_layer("top").enable_lora(4, b_initializer="random_normal")
    return model


def quantized():
    model = functional()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a `quantize` method")
        model.quantize("int8")
    return model


def fixed_batch():
    inputs = keras.Input(batch_shape=(2, *SHAPE))
    return keras.Model(inputs, head(convolutions(layers.Rescaling(1 / 255)(inputs))))


def temperature():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Softmax()(head(base()(inputs), activation=None) / 3.0))


# builder -> the feature layer and its shape
OPENED = {
    functional: ("last", (6, 4, 8)),
    sequential: ("last", (22, 14, 8)),
    sequential_built_by_a_call: ("last", (22, 14, 8)),
    transfer_sequential: ("base/last", (6, 4, 8)),
    transfer_functional: ("base/last", (6, 4, 8)),
    base_of_any_size: ("base/last", (6, 4, 8)),
    any_size: ("last", (56, 56, 8)),
    deep_nesting: ("last", (6, 4, 8)),
    grey: ("last", (6, 4, 8)),
    integer_pixels: ("base/last", (6, 4, 8)),
    two_classes: ("base/last", (6, 4, 8)),
    operations: ("relu", (6, 4, 8)),
    shared_layers: ("relu", (22, 14, 8)),
    shared_base: ("fusion", (6, 4, 8)),
    layer_of_layers: ("block", (22, 14, 8)),
    training_mode_written_into_the_graph: ("batch_normalization", (22, 14, 8)),
    Named: ("last", (6, 4, 8)),
    lora: ("last", (6, 4, 8)),
    quantized: ("last", (6, 4, 8)),
    fixed_batch: ("last", (6, 4, 8)),
    temperature: ("base/last", (6, 4, 8)),
    head_of_two_inputs: ("base/last", (6, 4, 8)),
}


def pixels(shape, n=2):
    return np.random.default_rng(1).uniform(0, 255, (n, *shape)).astype(np.float32)


def check(opened, classifier, x):
    """All that must hold between an opened softmax classifier and the classifier itself."""
    answer = classifier(x, training=False)
    logits = opened.logits(x)
    predictions = opened.predictions(logits)
    assert predictions.dtype == answer.dtype
    np.testing.assert_array_equal(predictions, answer)  # the same operations in the same order
    assert logits.dtype == tf.float32
    assert logits.shape == (len(x), opened.n_classes)
    check_gradient(opened, x)


def check_gradient(opened, x):
    """The channel weights that the maps are made of, several labels at once as the maps need."""
    _, channel_weights = trace_head(opened.stages[-1], opened.features(x))
    one_hot = tf.one_hot([[0] * len(x), [1] * len(x)], opened.n_classes)
    weights = channel_weights(one_hot).numpy()
    assert np.isfinite(weights).all()
    assert (abs(weights).max(axis=-1) > 0).all()


@pytest.mark.parametrize("build", OPENED, ids=lambda build: build.__name__)
def test_answers_what_the_classifier_answers(build):
    keras.utils.set_random_seed(5)
    classifier = build()
    opened = open_classifier(classifier, input_size=224 if build is any_size else None)
    assert (opened.feature_layer, opened.feature_shape) == OPENED[build]
    x = pixels(opened.input_shape)
    check(opened, classifier, x)
    softmax = tf.nn.softmax(opened.logits(x))
    answer = classifier(x, training=False)
    if build is sequential_built_by_a_call:  # it answers logits
        answer = tf.nn.softmax(answer)
    np.testing.assert_allclose(softmax, answer, rtol=1e-6)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_nested_model_of_two_inputs(form):
    classifier = nested_model_of_two_inputs(form)
    opened = open_classifier(classifier)
    assert opened.feature_layer == {"list": "merge/last", "dict": "merge"}[form]
    check(opened, classifier, pixels(SHAPE))


@pytest.mark.parametrize(
    ("policy", "build"),
    [
        ("mixed_float16", functional),
        ("mixed_float16", transfer_sequential),
        ("mixed_float16", deep_nesting),
        ("mixed_float16", operations),
        ("mixed_float16", integer_pixels),
        ("mixed_bfloat16", functional),
        ("mixed_bfloat16", deep_nesting),
        ("mixed_bfloat16", quantized),
    ],
)
def test_mixed_precision(policy, build):
    keras.config.set_dtype_policy(policy)
    classifier = build()
    check(open_classifier(classifier), classifier, pixels(SHAPE))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_with_an_answer_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input(SHAPE)
    x = layers.Activation("linear", dtype="float32")(head(base()(inputs)))
    classifier = keras.Model(inputs, x)
    opened = open_classifier(classifier)
    check(opened, classifier, pixels(SHAPE))
    assert opened.predictions(opened.logits(pixels(SHAPE))).dtype == tf.float32


@pytest.mark.filterwarnings("ignore:(?s).*The structure of `inputs`")  # Keras 3.10, once loaded
@pytest.mark.parametrize(
    "build", [transfer_functional, operations, lora, quantized, shared_layers, deep_nesting]
)
def test_loaded_from_a_file(build, tmp_path):
    build().save(tmp_path / "classifier.keras")
    classifier = keras.models.load_model(tmp_path / "classifier.keras")
    check(open_classifier(classifier), classifier, pixels(SHAPE))


def test_preprocessor_is_applied():
    classifier = functional()
    opened = open_classifier(classifier, preprocessor="caffe")
    x = pixels(SHAPE)
    bgr = x[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    answer = classifier(bgr, training=False)
    np.testing.assert_allclose(opened.predictions(opened.logits(x)), answer, rtol=1e-5)


@pytest.mark.parametrize("build", [transfer_functional, operations])
def test_compiled_with_an_open_batch_size(build):
    classifier = build()
    opened = open_classifier(classifier)
    spec = tf.TensorSpec((None, *SHAPE), tf.float32)
    compiled = tf.function(opened.logits, input_signature=[spec], autograph=False)
    x = pixels(SHAPE, n=3)
    np.testing.assert_allclose(compiled(x), opened.logits(x), rtol=1e-5, atol=1e-6)
    assert compiled(x[:1]).shape == (1, CLASSES)


# A network given as two models


class Trunk(keras.Model):
    def __init__(self, outputs=1):
        super().__init__(name="trunk")
        self.convolution = layers.Conv2D(8, 3)
        self.norm = layers.BatchNormalization()
        self.outputs_wanted = outputs

    def build(self, shape):
        self.convolution.build(shape)
        self.norm.build((*shape[:-1], 8))

    def call(self, x, training=None):
        x = ops.relu(self.norm(self.convolution(x / 255.0), training=training))
        return x if self.outputs_wanted == 1 else (x, x)


class Head(keras.Model):
    def __init__(self, activation=None):
        super().__init__(name="head")
        self.top = layers.Dense(CLASSES, activation)

    def call(self, x):
        return self.top(ops.max(x, axis=(1, 2)))


def built(model, shape=SHAPE):
    model(np.zeros((1, *shape), np.float32))
    return model


def functional_head(shape=(22, 14, 8)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, head(layers.Conv2D(8, 3, name="second")(inputs)), name="head")


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (built(Trunk()), functional_head()),
        lambda: [built(Trunk()), built(Head(), (22, 14, 8))],
        lambda: (base(), functional_head((6, 4, 8))),
    ],
    ids=["subclassed trunk", "both subclassed", "functional"],
)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_pair_of_models(pair, policy):
    keras.config.set_dtype_policy(policy)
    trunk, head = pair()
    opened = open_classifier((trunk, head))
    assert opened.feature_layer == trunk.name
    check(opened, lambda x, training: head(trunk(x, training=False), training=False), pixels(SHAPE))


def test_pair_cut_in_its_head():
    opened = open_classifier((built(Trunk()), functional_head()), feature_layer="second")
    assert opened.feature_shape == (20, 12, 8)


# What cannot be opened


def mlp():
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs := keras.Input(SHAPE)))
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(layers.Dense(8, "relu")(x)))


def skips_its_convolutions():
    inputs = keras.Input(SHAPE)
    convolved = layers.GlobalAveragePooling2D()(convolutions(inputs))
    colours = layers.GlobalAveragePooling2D()(inputs)
    x = layers.Concatenate()([convolved, colours])
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(x))


def several_inputs():
    inputs = keras.Input(SHAPE), keras.Input((3,))
    x = layers.GlobalAveragePooling2D()(convolutions(inputs[0]))
    x = layers.Concatenate()([x, inputs[1]])
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(x))


def several_outputs():
    inputs = keras.Input(SHAPE)
    x = convolutions(inputs)
    return keras.Model(inputs, [head(x), layers.GlobalMaxPooling2D()(x)])


def channels_first():
    inputs = keras.Input((3, 24, 16))
    x = layers.Conv2D(8, 3, data_format="channels_first")(inputs)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(x))


def channels_first_trunk():
    trunk = keras.Sequential(
        [keras.Input((3, 24, 16)), layers.Conv2D(8, 3, data_format="channels_first")]
    )
    return trunk, functional_head((8, 22, 14))


def one_measure():
    return keras.Sequential([base(), layers.GlobalMaxPooling2D(), layers.Dense(1)])


def multi_label():
    return keras.Sequential([base(), layers.GlobalMaxPooling2D(), layers.Dense(5, "sigmoid")])


def segmentation():
    return keras.Sequential([base(), layers.Conv2D(5, 1, activation="softmax")])


class Subclassed(Trunk):
    def call(self, x, training=None):
        return ops.mean(super().call(x, training), axis=(1, 2))


class CallsOtherwise(Named):
    def call(self, x, training=None, mask=None):
        return super().call(255.0 - x, training)


def sequential_that_calls_otherwise():
    class Inverted(keras.Sequential):
        def call(self, x, training=None, mask=None):
            return super().call(255.0 - x, training)

    return Inverted([base(), layers.GlobalMaxPooling2D(), layers.Dense(5, "softmax")])


class Shapeless(layers.Layer):
    """A layer whose output shape Keras cannot infer."""

    def call(self, x):
        return layers.Flatten()(x) * 2.0

    def compute_output_spec(self, x):
        raise NotImplementedError


def sequential_of_unknown_shape():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3), Shapeless()])
    model(pixels(SHAPE))
    return model


def lambda_softmax():
    model = keras.Sequential([base(), layers.GlobalMaxPooling2D(), layers.Dense(5)])
    model.add(layers.Lambda(keras.activations.softmax))
    return model


class HiddenSoftmax(layers.Dense):
    """Applies its softmax by itself, so that taking `activation` off changes nothing."""

    def call(self, x):
        return keras.activations.softmax(ops.matmul(x, self.kernel) + self.bias)


def softmax_that_cannot_be_taken_off():
    top = HiddenSoftmax(CLASSES, activation="softmax")
    return keras.Sequential([base(), layers.GlobalMaxPooling2D(), top])


def mean_of_softmaxes():
    model = keras.Sequential([base(), layers.Conv2D(5, 1), layers.Softmax()])
    model.add(layers.GlobalAveragePooling2D())
    return model


def open_width():
    inputs = keras.Input((24, None, 3))
    return keras.Model(inputs, head(convolutions(inputs)))


def open_channels():
    inputs = keras.Input((24, 16, None))
    return keras.Model(inputs, head(layers.Conv2D(4, 3)(ops.mean(inputs, -1, keepdims=True))))


def vectors():
    return keras.Sequential([keras.Input((7,)), layers.Dense(CLASSES, "softmax")])


def open_number_of_classes():
    inputs = keras.Input((None, None, 3))
    x = ops.mean(layers.Conv2D(4, 3)(inputs), axis=(2, 3))
    return keras.Model(inputs, ops.concatenate([x, x], axis=-1)[:, None])


REFUSED = {
    mlp: "no spatial feature map",
    skips_its_convolutions: "through which everything flows",
    several_inputs: "one input and one output. Received: 2 inputs and 1 outputs",
    several_outputs: "one input and one output. Received: 1 inputs and 2 outputs",
    channels_first: "data_format='channels_last'",
    channels_first_trunk: "data_format='channels_last'",
    one_measure: "single output without an activation. .*pass label=0",
    multi_label: "a sigmoid for each of its 5 labels, as multi-label networks do",
    segmentation: "must answer \\(batch, classes\\). .* \\(None, 6, 4, 5\\)",
    open_number_of_classes: "must answer \\(batch, classes\\)",
    lambda: built(Subclassed()): "\\(Subclassed\\) is a subclassed model: .*two models",
    CallsOtherwise: "\\(CallsOtherwise\\) is a subclassed model",
    sequential_that_calls_otherwise: "\\(Inverted\\) is a subclassed model",
    sequential_of_unknown_shape: "give that layer a `compute_output_shape`",
    lambda: keras.Sequential([layers.Conv2D(4, 3), layers.Flatten()]): "not built yet",
    lambda_softmax: "answers probabilities",
    mean_of_softmaxes: "answers probabilities",
    softmax_that_cannot_be_taken_off: "do not give its own answer",
    open_width: "`input_size` must be .*\\(None, 24, None, 3\\). Received: None",
    open_channels: "a known number of channels. Received: an input of shape",
    vectors: "must take images of shape",
    lambda: functional: "must be a keras.Model .* Received: builtins.function",
    lambda: "VGG16": "Received: builtins.str. .*load_detector",
    lambda: 3: "Received: builtins.int\\.$",
    lambda: (base(), len): "The head of the pair",
    lambda: (Trunk(), functional_head()): "The trunk of the pair .* Call it once",
    lambda: (built(Trunk(outputs=2)), functional_head()): "`trunk` must answer 1 tensor",
    lambda: (base(), head_of_two_inputs().get_layer("head")): "The head of the pair .* 2 inputs",
    lambda: (built(Trunk()), built(Head("softmax"), (22, 14, 8))): "answers probabilities",
}


@pytest.mark.parametrize(("build", "why"), REFUSED.items(), ids=REFUSED.values())
def test_refuses_what_it_cannot_open(build, why):
    classifier = build()
    size = 24 if build is open_number_of_classes else None
    with pytest.raises(UnsupportedClassifierError, match=why):
        open_classifier(classifier, input_size=size)


def test_refuses_a_saved_model(tmp_path):
    functional().export(tmp_path / "saved", verbose=False)
    with pytest.raises(
        UnsupportedClassifierError, match=r"A SavedModel or an ONNX file keeps no layers.*\.keras"
    ):
        open_classifier(tf.saved_model.load(tmp_path / "saved"))
    wrapped = keras.Sequential(
        [keras.Input(SHAPE), layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")]
    )
    with pytest.raises(
        UnsupportedClassifierError, match=r"holds a SavedModel \(layer `tfsm_layer`"
    ):
        open_classifier(wrapped)


# Inference mode, whoever calls


class Caller(layers.Layer):
    """A layer that calls the opened classifier, in the training mode it is called in itself."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "build", [transfer_functional, layer_of_layers, training_mode_written_into_the_graph]
)
def test_inference_mode_under_a_caller_that_trains(build):
    classifier = build()
    opened = open_classifier(classifier)
    x = pixels(SHAPE, n=4)
    before = [w.numpy() for w in classifier.variables]
    answer = Caller(opened.logits)(x, training=True)
    np.testing.assert_array_equal(answer, opened.logits(x))
    for now, was in zip(classifier.variables, before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_a_model_that_trains_on_the_logits_leaves_the_classifier_alone():
    classifier = layer_of_layers()
    opened = open_classifier(classifier)
    before = [w.numpy() for w in classifier.variables]
    model = keras.Sequential([Caller(opened.logits), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(pixels(SHAPE, n=8), np.ones((8, 1)), verbose=0)
    for now, was in zip(classifier.variables, before, strict=True):
        np.testing.assert_array_equal(now, was)


# Untouched


def photograph(model):
    """Everything that could change in a model: attributes of every layer, weights, nodes."""
    seen = {}
    for layer in model._flatten_layers():
        for name, value in vars(layer).items():
            parts = tuple(map(id, value)) if isinstance(value, list | tuple | set) else None
            seen[layer.path, id(layer), name] = (id(value), parts)
        seen[id(layer), "trainable"] = layer.trainable
        seen[id(layer), "losses"] = [float(loss) for loss in layer.losses]
        seen[id(layer), "activation"] = id(getattr(layer, "activation", None))
    seen["weights"] = [v.numpy().tobytes() for v in model.variables]
    return seen


def with_losses():
    """Frozen layers, an activity loss, a dropout with its seed, a softmax to take off."""
    inputs = keras.Input(SHAPE)
    x = convolutions(layers.Rescaling(1 / 255)(inputs))
    x = layers.ActivityRegularization(l2=1.0)(layers.Dropout(0.5)(x))
    model = keras.Model(inputs, head(x))
    model.layers[2].trainable = False
    model(pixels(SHAPE))  # the losses of a call, as the user may go on to read them
    return model


@pytest.mark.parametrize("build", [with_losses, transfer_functional, deep_nesting, sequential])
def test_the_classifier_is_left_untouched(build):
    classifier = build()
    config = classifier.to_json()
    before = photograph(classifier)
    opened = open_classifier(classifier)
    with tf.GradientTape() as tape:
        features = opened.features(pixels(SHAPE))
        tape.watch(features)
        logits = opened.head(features)
    tape.gradient(logits, features)
    opened.predictions(logits)
    tf.function(opened.logits, autograph=False)(pixels(SHAPE))
    assert photograph(classifier) == before
    assert classifier.to_json() == config


@pytest.mark.parametrize("wrong", [{"feature_layer": "no such"}, {"preprocessor": len}])
def test_the_classifier_is_left_untouched_after_an_exception(wrong):
    classifier = with_losses()
    before = photograph(classifier)
    with pytest.raises((UnsupportedClassifierError, TypeError)):
        open_classifier(classifier, **wrong)
    assert photograph(classifier) == before


def test_the_classifier_is_left_untouched_after_an_exception_in_use():
    classifier = with_losses()
    opened = open_classifier(classifier)
    before = photograph(classifier)
    with pytest.raises(tf.errors.InvalidArgumentError):
        opened.logits(pixels((24, 17, 3)))
    assert photograph(classifier) == before


def test_opening_takes_no_names_from_the_layers_made_later():
    open_classifier(sequential())
    open_classifier(functional())
    assert layers.Activation("relu").name == "activation_1"  # functional() has activation


def test_the_opened_classifier_follows_the_weights():
    """They are the classifier's own weights, not copies."""
    classifier = functional()
    opened = open_classifier(classifier)
    classifier.set_weights([w + 0.1 for w in classifier.get_weights()])
    check(opened, classifier, pixels(SHAPE))
