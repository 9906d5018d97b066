"""A network as a list of steps: the same answers, every tensor in reach."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tf_taintradar.classifier.graph import call_step, cuts, flatten, forms, inference, is_graph, run
from tf_taintradar.errors import UnsupportedClassifierError

SPEC = tf.TensorSpec((None, 6, 4, 3), tf.float32)
X = np.random.default_rng(0).uniform(0, 255, (2, 6, 4, 3)).astype(np.float32)


def answer(model, x=X):
    steps, output = flatten(model)
    return run(steps, {0: tf.constant(x)})[output]


def names(model):
    return [s.name for s in flatten(model)[0] if isinstance(s.operation, keras.Operation)]


def nested():
    inner = keras.Sequential([keras.Input((6, 4, 3)), layers.Conv2D(2, 3, name="conv")], name="in")
    inputs = keras.Input((6, 4, 3))
    x = layers.ReLU(name="relu")(inner(inputs))
    middle = keras.Model(inputs, x, name="mid")
    return keras.Sequential([middle, layers.Flatten(name="flat")])


def test_nested_models_are_inlined_in_order_with_their_names():
    model = nested()
    assert names(model) == ["mid/in/conv", "mid/relu", "flat"]
    np.testing.assert_array_equal(answer(model), model(X))


def test_layers_that_the_output_does_not_need_are_left_out():
    inputs = keras.Input((6, 4, 3))
    x = layers.Conv2D(2, 3, name="needed")(inputs)
    full = keras.Model(inputs, [x, layers.Conv2D(5, 2, name="other")(x)])
    assert names(keras.Model(full.inputs, full.outputs[0])) == ["needed"]


def test_parts_of_a_nested_model_that_the_output_does_not_need_are_left_out():
    """As of a detection network whose backbone alone is used."""
    inputs = keras.Input((6, 4, 3))
    x = layers.Conv2D(2, 3, name="used")(inputs)
    pyramid = keras.Model(inputs, [x, layers.Conv2D(5, 2, name="unused")(x)], name="pyramid")
    outer = keras.Input((6, 4, 3))
    model = keras.Model(outer, layers.Flatten(name="flat")(pyramid(outer)[0]))
    assert names(model) == ["pyramid/used", "flat"]
    np.testing.assert_array_equal(answer(model), model(X))


def test_a_layer_called_twice_makes_two_steps():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((6, 4, 3))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert names(model) == ["shared", "shared"]
    np.testing.assert_array_equal(answer(model), model(X))


def test_a_model_of_tensors_inside_another_model():
    """Cut out of the middle of a network, as feature extractors are."""
    inputs = keras.Input((6, 4, 3))
    x = layers.Conv2D(3, 3, padding="same", name="first")(inputs)
    y = layers.Conv2D(3, 3, padding="same", name="second")(x)
    model = keras.Model(x, layers.Add(name="add")([x, y]))
    assert names(model) == ["second", "add"]
    np.testing.assert_array_equal(answer(model), model(X))


def test_arguments_that_are_no_tensors_reach_their_layer():
    class Scale(layers.Layer):
        def call(self, x, other, factor=1.0, offsets=()):
            return x * factor + other + sum(offsets)

    inputs = keras.Input((6, 4, 3))
    x = Scale()(inputs, other=ops.square(inputs), factor=2.0, offsets=(1.0, 2.0))
    model = keras.Model(inputs, x)
    np.testing.assert_allclose(answer(model), X * 2 + X**2 + 3, rtol=1e-6)


def test_several_outputs_of_one_layer():
    inputs = keras.Input((6, 4, 3))
    low, high = ops.split(inputs, 2, axis=1)
    model = keras.Model(inputs, layers.Subtract()([high, low]))
    np.testing.assert_array_equal(answer(model), X[:, 3:] - X[:, :3])


def test_a_nested_model_with_several_outputs():
    inputs = keras.Input((6, 4, 3))
    pyramid = keras.Model(inputs, {"b": inputs * 2.0, "a": inputs + 1.0}, name="pyramid")
    levels = pyramid(inputs)
    model = keras.Model(inputs, layers.Subtract()([levels["b"], levels["a"]]))
    np.testing.assert_array_equal(answer(model), X * 2 - (X + 1))
    assert "pyramid/" in names(model)[0]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64"])
def test_input_is_cast_as_the_model_casts_it(dtype):
    inputs = keras.Input((6, 4, 3), dtype=dtype)
    inner = keras.Model(inputs, ops.cast(inputs, "float64") / 3, name="inner")
    outer = keras.Input((6, 4, 3))
    for model in (inner, keras.Model(outer, inner(outer))):
        np.testing.assert_array_equal(answer(model), model(X))
        assert answer(model).dtype == tf.float64


def test_masks_travel_with_the_tensors():
    inputs = keras.Input((6,))
    x = layers.Masking()(layers.Reshape((6, 1))(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(x))
    x = np.float32([[1, 2, 0, 0, 0, 3]])
    assert answer(model, x) == model(x) == 2


def test_is_graph():
    inputs = keras.Input((6, 4, 3))
    functional = keras.Model(inputs, layers.Flatten()(inputs))

    class Named(type(functional)):
        pass

    class Other(Named):
        def call(self, x):
            return super().call(x) * 2.0

    assert is_graph(functional)
    assert is_graph(nested())
    assert is_graph(Named(inputs, functional.output))
    assert not is_graph(Other(inputs, functional.output))
    assert not is_graph(keras.Sequential([layers.Flatten()]))
    assert not is_graph(layers.Flatten())
    assert not is_graph(keras.Model())
    assert not is_graph("model")


def test_a_nested_model_that_is_no_graph_is_one_step():
    class Other(keras.Sequential):
        def call(self, x, training=None, mask=None):
            return super().call(x) * 2.0

    other = Other([keras.Input((6, 4, 3)), layers.Flatten()], name="other")
    inputs = keras.Input((6, 4, 3))
    model = keras.Model(inputs, other(inputs))
    assert names(model) == ["other"]
    np.testing.assert_array_equal(answer(model), X.reshape(2, -1) * 2)


def test_a_nested_model_called_with_a_missing_axis_is_one_step():
    """Keras adds the axis itself."""
    inner = keras.Sequential([keras.Input((6, 1)), layers.Flatten()], name="inner")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, inner(inputs))
    assert names(model) == ["inner"]
    np.testing.assert_array_equal(answer(model, X[:, :, 0, 0]), X[:, :, 0, 0])


# Cuts


def keys_by_name(steps):
    return {step.name: step.outputs[0] for step in steps}


def test_cuts_are_the_tensors_through_which_everything_flows():
    inputs = keras.Input((6, 4, 3))
    stem = layers.Conv2D(3, 3, padding="same", name="stem")(inputs)
    left = layers.Conv2D(3, 3, padding="same", name="left")(stem)
    right = layers.Conv2D(3, 1, name="right")(stem)
    joined = layers.Add(name="joined")([left, right])
    model = keras.Model(inputs, layers.Flatten(name="flat")(joined))
    steps, output = flatten(model)
    found = cuts(steps, 0)
    keys = keys_by_name(steps)
    assert {name for name, key in keys.items() if key in found} >= {"stem", "joined"}
    assert keys["left"] not in found
    assert keys["right"] not in found
    for key, position in found.items():
        middle = run(steps[:position], {0: tf.constant(X)})[key]
        rest = run(steps[position:], {key: middle})
        np.testing.assert_array_equal(rest[output], model(X))


def test_a_tensor_that_is_bypassed_is_no_cut():
    inputs = keras.Input((6, 4, 3))
    inside = layers.Conv2D(3, 3, padding="same", name="inside")(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([inside, inputs]))
    steps, _ = flatten(model)
    assert keys_by_name(steps)["inside"] not in cuts(steps, 0)


def test_an_output_that_nobody_takes_hinders_no_cut():
    inputs = keras.Input((6, 4, 3))
    taken, _ = ops.split(inputs, 2, axis=1)
    model = keras.Model(inputs, layers.Flatten(name="flat")(taken))
    steps, _ = flatten(model)
    assert keys_by_name(steps)["split"] in cuts(steps, 0)


# Forms


def test_forms_of_a_network_of_any_size_at_one_size():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 3, name="conv", dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x))
    steps, output = flatten(model)
    known = forms(steps, 0, SPEC)
    keys = keys_by_name(steps)
    assert known[0] == ((None, 6, 4, 3), tf.float32)
    assert known[keys["conv"]] == ((None, 4, 2, 2), tf.float16)
    assert known[output].shape == (None, 2)


def test_form_of_a_tensor_of_unknown_rank():
    def unknown(x):
        return tf.numpy_function(lambda v: v, [x], tf.float32)

    assert forms([call_step(unknown, "unknown", 0, 1)], 0, SPEC)[1] == ((), tf.float32)


def test_a_step_with_another_number_of_answers():
    step = call_step(lambda x: (x, x), "twins", 0, 1)
    with pytest.raises(UnsupportedClassifierError, match="`twins` must answer 1 tensor.*: 2"):
        run([step], {0: tf.constant(X)})


# Inference


class Training(layers.Layer):
    """Says whether it trains; writes to a variable and adds a loss whenever it is called."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(initializer="zeros", trainable=False)
        self.built = True

    def call(self, x, training=True):
        self.calls.assign_add(1.0)
        self.add_loss(ops.sum(x))
        return x * 0.0 + float(training)


class Outer(layers.Layer):
    """Has no training mode itself; `function` is called inside."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.mark.parametrize("mode", [True, False, None])
def test_inference_is_what_every_layer_sees(mode):
    layer = Training()
    inside = Outer(inference(lambda x: Outer(layer)(x)))
    answer = inside(X) if mode is None else inside(X, training=mode)
    assert not np.any(answer)
    assert np.all(Outer(layer)(X, training=True))  # the same without it


def test_inference_writes_nothing_and_leaves_losses_alone():
    layer = Training()
    layer(X)
    before = layer.losses
    run_it = inference(lambda x: layer(x))
    run_it(X)
    tf.function(run_it, autograph=False)(X)
    assert float(layer.calls) == 1
    assert len(layer.losses) == 1
    assert layer.losses[0] is before[0]


def test_inference_after_an_exception():
    def fail(x):
        raise KeyError("no")

    with pytest.raises(KeyError):
        inference(fail)(X)
    layer = Training()
    layer(X)
    assert float(layer.calls) == 1  # variables are written again


def test_a_step_overrides_a_training_mode_written_into_the_graph():
    inputs = keras.Input((6, 4, 3))
    model = keras.Model(inputs, layers.Dropout(0.9)(inputs, training=True))
    np.testing.assert_array_equal(answer(model), X)
