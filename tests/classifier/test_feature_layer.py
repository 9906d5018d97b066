"""Which layer the detector looks at."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops

from tf_taintradar.classifier.feature_layer import choose, choose_all, earlier, find
from tf_taintradar.classifier.graph import flatten, forms
from tf_taintradar.classifier.opened import former_feature_layer, open_classifier
from tf_taintradar.errors import UnsupportedClassifierError

SHAPE = (12, 8, 3)


def steps_of(end):
    """The steps of a network: two convolutions (10, 6, 8), then what `end` puts on them."""
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.Conv2D(8, 3, activation="relu", name="second")(x)
    steps, _ = flatten(keras.Model(inputs, end(x)))
    return steps, forms(steps, 0, tf.TensorSpec((None, *SHAPE), tf.float32))


def pool(x):
    return layers.GlobalAveragePooling2D()(x)


def dense(x):
    return layers.Dense(5)(x)


def class_map(x):
    """SqueezeNet: the last convolution has a channel for each class, nothing lies above it."""
    x = layers.Concatenate(name="here")([x, layers.Conv2D(8, 1, name="branch")(x)])
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Conv2D(5, 1, name="class_map")(x)
    return pool(layers.ReLU()(layers.BatchNormalization()(x)))


def residual(x):
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="inside")(x))
    return dense(pool(layers.ReLU(name="here")(layers.Add()([x, y]))))


def vgg(x):
    """Max pooling, then fully connected layers: the convolution before the pooling."""
    x = layers.Conv2D(8, 3, name="here")(x)
    x = layers.Flatten()(layers.MaxPooling2D(name="pool")(x))
    return dense(layers.Dense(9, "relu")(x))


def pooled_without_stride(x):
    x = layers.Conv2D(8, 3, name="here")(x)
    return dense(layers.Flatten()(layers.MaxPooling2D(3, 1, padding="same")(x)))


def handed_on(x):
    """Dropout, padding, cropping, upsampling and identity change nothing, or only the grid."""
    x = layers.Conv2D(8, 3, name="here")(x)
    x = layers.SpatialDropout2D(0.5)(layers.Dropout(0.5)(x))
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))
    return dense(pool(layers.Identity()(layers.UpSampling2D()(x))))


def head_of_convolutions(x):
    """MobileNetV3: convolutions on the pooled features, which are a grid of one place."""
    x = layers.Activation("hard_silu", name="here")(layers.Conv2D(8, 3)(x))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(9, 1, activation="hard_silu")(x)
    return layers.Flatten()(layers.Conv2D(5, 1)(x))


def squeeze_and_excitation(x):
    gate = layers.Dense(8, "sigmoid")(layers.Dense(4, "relu")(pool(x)))
    return dense(pool(layers.Multiply(name="here")([x, layers.Reshape((1, 1, 8))(gate)])))


def pooled_twice(x):
    x = layers.Conv2D(8, 3, name="here")(x)
    return dense(layers.Concatenate()([pool(x), layers.GlobalMaxPooling2D()(x)]))


def several_scales(x):
    """All levels of a pyramid are pooled: everything flows through the first one only."""
    x = layers.Conv2D(8, 3, name="here")(x)
    y = layers.Conv2D(8, 3, name="coarser")(x)
    return dense(layers.Concatenate()([pool(x), pool(y)]))


def one_row(x):
    return dense(layers.Flatten()(layers.Conv2D(8, (10, 1), name="here")(x)))


class Scale(layers.Layer):
    """A factor for each channel: a weight of rank 4 that weighs nothing against anything."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(1, 1, 1, shape[-1]), initializer="ones")

    def call(self, x):
        return x * self.factor


def scaled_class_map(x):
    x = layers.Activation("relu", name="here")(layers.Conv2D(8, 3)(x))
    return pool(Scale()(layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(5, 1)(x))))


def scaled(x):
    return dense(pool(Scale(name="here")(layers.Conv2D(8, 3)(x))))


@pytest.mark.parametrize(
    "end",
    [
        class_map, residual, vgg, pooled_without_stride, handed_on, head_of_convolutions,
        squeeze_and_excitation, pooled_twice, several_scales, one_row, scaled_class_map, scaled,
    ],
    ids=lambda end: end.__name__,
)  # fmt: skip
def test_the_last_map_that_has_weights_above_it(end):
    steps, known = steps_of(end)
    assert choose(steps, known).layer == "here"


def test_the_cut_splits_the_steps():
    steps, known = steps_of(vgg)
    cut = choose(steps, known)
    assert cut.key in steps[cut.position - 1].outputs
    assert cut.key in steps[cut.position].inputs


def test_no_weights_above_any_map():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, pool(layers.Conv2D(5, 3)(inputs)))
    steps, _ = flatten(model)
    with pytest.raises(UnsupportedClassifierError, match="at least one layer above its last"):
        choose(steps, forms(steps, 0, tf.TensorSpec((None, *SHAPE), tf.float32)))


def test_a_map_whose_places_become_tokens():
    def end(x):
        x = layers.Dense(8, name="mixer")(layers.Reshape((60, 8))(x))
        return dense(layers.GlobalAveragePooling1D()(x))

    steps, known = steps_of(end)
    cut = choose(steps, known)
    assert (cut.layer, cut.size, cut.n_special) == ("mixer", (10, 6), 0)
    assert find(steps, known, "second").layer == "second"


def test_a_map_whose_tokens_are_no_places():
    """10 x 6 places of eight channels, cut anew into 80 tokens: no map has so many places."""

    def end(x):
        x = layers.Dense(8, name="mixer")(layers.Reshape((80, 6))(x))
        return dense(layers.Flatten()(x))

    with pytest.raises(UnsupportedClassifierError, match="layer `mixer`.*feature_layer='second'"):
        choose(*steps_of(end))


def test_tokens_that_are_only_pooled_are_harmless():
    def end(x):
        return dense(layers.GlobalAveragePooling1D()(layers.Reshape((60, 8))(x)))

    assert choose(*steps_of(end)).layer == "second"


# By name


def nested_twice(x):
    """Layers of the same name in two nested models and outside of them."""

    def block(name):
        inputs = keras.Input((None, None, 8))
        y = layers.Conv2D(8, 3, padding="same", name="twin")(inputs)
        return keras.Model(inputs, layers.ReLU(name=f"{name}_relu")(y), name=name)

    x = layers.ReLU(name="outside")(block("two")(block("one")(x)))
    return dense(pool(layers.Conv2D(8, 3, name="two_relu")(x)))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("first", "first"),
        ("one/twin", "one/twin"),
        ("one_relu", "one/one_relu"),  # only one layer ends so
        ("two/two_relu", "two/two_relu"),
        ("two_relu", "two_relu"),  # the full name of one, the end of another's
    ],
)
def test_find(name, found):
    steps, known = steps_of(nested_twice)
    cut = find(steps, known, name)
    assert cut.layer == found
    assert cut.key == next(s.outputs[0] for s in steps if s.name == found)


def test_find_a_layer_that_is_called_several_times():
    relu = layers.ReLU(name="relu")
    steps, known = steps_of(
        lambda x: dense(pool(relu(layers.Conv2D(8, 3)(relu(layers.Conv2D(8, 3)(x))))))
    )
    assert known[find(steps, known, "relu").key].shape == (None, 6, 2, 8)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no such", "'no such', which matches none.*: .* class_map, dropout, here, second, first"),
        ("lass_map", "matches none"),
        ("branch", r"shape \(None, 10, 6, 8\), which part of the network bypasses"),
        ("global_average_pooling2d", r"shape \(None, 5\)\. Possible"),
        ("keras_tensor", "matches none"),
    ],
)
def test_find_refuses(name, why):
    steps, known = steps_of(class_map)
    with pytest.raises(UnsupportedClassifierError, match=f"`feature_layer` must .*{why}"):
        find(steps, known, name)


def test_find_refuses_an_ambiguous_name():
    steps, known = steps_of(nested_twice)
    with pytest.raises(UnsupportedClassifierError, match="matches one/twin, two/twin. Possible"):
        find(steps, known, "twin")


def test_a_class_map_may_be_named():
    """That it shows nothing is for `calibrate` to say."""
    steps, known = steps_of(class_map)
    assert find(steps, known, "class_map").layer == "class_map"


# Networks with their published weights


@pytest.mark.parametrize(
    ("file", "layer", "shape"),
    [
        ("squeezenet_v1_1.keras", "fire9_concat", (14, 14, 512)),
        ("mobilenet_v2.keras", "Conv_1_relu", (7, 7, 1280)),
    ],
)
def test_published_networks(shared, file, layer, shape):
    classifier = keras.models.load_model(shared / "models" / file)
    opened = open_classifier(classifier)
    assert (opened.feature_layer, opened.feature_shape) == (layer, shape)
    x = tf.random.stateless_uniform((1, *opened.input_shape), (0, 1), -100.0, 100.0)
    answer = classifier(x, training=False).numpy()
    assert (opened.predictions(opened.logits(x)).numpy() == answer).all()
    assert abs(tf.nn.softmax(opened.logits(x)).numpy() - answer).max() < 1e-6


def test_the_class_map_of_squeezenet_may_be_named(shared):
    classifier = keras.models.load_model(shared / "models" / "squeezenet_v1_1.keras")
    opened = open_classifier(classifier, feature_layer="conv10")
    assert (opened.feature_layer, opened.feature_shape[-1]) == ("conv10", 1000)


def test_operations_have_names_too():
    steps, known = steps_of(lambda x: dense(pool(ops.relu(x + 1.0))))
    assert choose(steps, known).layer == "relu"
    assert find(steps, known, "add").layer == "add"


# Earlier maps


def squeezed(x):
    """Fire modules: a 1x1 convolution narrows the map before each 3x3 one."""
    for i in range(3):
        x = layers.Conv2D(2, 1, name=f"squeeze{i}")(x)
        x = layers.Conv2D(8, 3, padding="same", name=f"expand{i}")(x)
    return dense(pool(x))


def expanded(x):
    """Inverted residuals: a 1x1 convolution widens the map before each depthwise one."""
    for i in range(3):
        y = layers.Conv2D(32, 1, name=f"wide{i}")(x)
        y = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{i}")(y)
        y = layers.Conv2D(8, 1, name=f"narrow{i}")(y)
        x = layers.Add(name=f"sum{i}")([x, y]) if i < 2 else y
    return dense(pool(layers.Conv2D(40, 1, name="last")(x)))


def finer(x):
    """The maps before are four times as fine."""
    x = layers.Conv2D(8, 3, strides=4, padding="same", name="here")(x)
    return dense(pool(x))


def pooled_between(x):
    x = layers.Conv2D(8, 3, padding="same", name="before")(x)
    x = layers.Conv2D(8, 3, padding="same", name="here")(layers.MaxPooling2D(name="pool")(x))
    return dense(pool(x))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (squeezed, ["expand0", "expand1"]),
        (expanded, ["sum0", "wide2"]),
        (residual, ["first", "second"]),
        (finer, []),
        (pooled_between, ["second", "before"]),
        (vgg, ["first", "second"]),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_earlier_maps(end, expected):
    steps, known = steps_of(end)
    cut = choose(steps, known, is_fine=False)
    assert [one.layer for one in earlier(steps, known, cut, 2)] == expected
    assert [one.layer for one in earlier(steps, known, cut, 1)] == expected[1:]


def test_several_layers_by_name():
    steps, known = steps_of(vgg)
    found = choose_all(steps, known, ["first", "here"], 2)
    assert [cut.layer for cut in found] == ["first", "here"]
    assert [cut.layer for cut in choose_all(steps, known, "second", 2)] == ["first", "second"]
    for names in (["here", "first"], ["first", "first"], []):
        with pytest.raises(ValueError, match="`feature_layer` must be a layer, or different ones"):
            choose_all(steps, known, names, 2)


# Coarse maps


def shrunk(*strides):
    def end(x):
        for i, stride in enumerate(strides):
            x = layers.Conv2D(8, 3, strides=stride, padding="same", name=f"conv{i}")(x)
        return dense(pool(x))

    return end


@pytest.mark.parametrize(
    ("end", "layer", "instead_of"),
    [
        (shrunk(2), "conv0", None),  # 5 x 3
        (shrunk(4), "second", "conv0"),  # 3 x 2 after 10 x 6
        (shrunk(2, 2), "second", "conv1"),  # 3 x 2 after 5 x 3, which is not fine enough
        (lambda x: dense(pool(layers.Conv2D(8, 1, name="here")(x[:, :3, :3]))), "second", "here"),
    ],
)
def test_a_coarse_map_is_passed_over(end, layer, instead_of):
    steps, known = steps_of(end)
    cut = choose(steps, known)
    assert (cut.layer, cut.instead_of) == (layer, instead_of)
    assert choose(steps, known, is_fine=False).layer == (instead_of or layer)


def test_a_coarse_map_stays_where_there_is_no_finer_one():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="only")(inputs)
    model = keras.Model(inputs, dense(pool(x)))
    opened = open_classifier(model)
    assert (opened.feature_layer, opened.coarse_layer) == ("only", None)
    assert former_feature_layer(model) is None


def test_what_was_looked_at_before():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", name="fine")(inputs)
    x = layers.Conv2D(8, 3, strides=4, padding="same", name="coarse")(x)
    model = keras.Model(inputs, dense(pool(x)))
    assert open_classifier(model).feature_layer == "fine"
    assert open_classifier(model).coarse_layer == former_feature_layer(model) == "coarse"
    assert former_feature_layer((model, model)) is None
