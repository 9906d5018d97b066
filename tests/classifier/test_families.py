"""Every family of keras.applications: which layer is found, and the same answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.classifier.opened import open_classifier

# One network of every family on images of `side_of`: feature layer, shape of the feature map.
FAMILIES = {
    "VGG16": ("block5_conv3", (10, 10, 512)),
    "VGG19": ("block5_conv4", (10, 10, 512)),
    "ResNet50": ("conv5_block3_out", (5, 5, 2048)),
    "ResNet50V2": ("post_relu", (5, 5, 2048)),
    "InceptionV3": ("mixed10", (5, 5, 2048)),
    "InceptionResNetV2": ("conv_7b_ac", (5, 5, 1536)),
    "Xception": ("block14_sepconv2_act", (5, 5, 2048)),
    "MobileNet": ("conv_pw_13_relu", (5, 5, 1024)),
    "MobileNetV2": ("out_relu", (5, 5, 1280)),
    "MobileNetV3Small": ("activation_17", (5, 5, 576)),
    "DenseNet121": ("relu", (5, 5, 1024)),
    "NASNetMobile": ("activation_187", (5, 5, 1056)),
    "EfficientNetB0": ("top_activation", (5, 5, 1280)),
    "EfficientNetV2B0": ("top_activation", (5, 5, 1280)),
    "ConvNeXtTiny": ("add_17", (5, 5, 768)),
}
# The other networks of these families: the feature layer.
VARIANTS = {
    "ResNet101": "conv5_block3_out",
    "ResNet152": "conv5_block3_out",
    "ResNet101V2": "post_relu",
    "ResNet152V2": "post_relu",
    "MobileNetV3Large": "activation_19",
    "DenseNet169": "relu",
    "DenseNet201": "relu",
    "NASNetLarge": "activation_259",
    "EfficientNetB1": "top_activation",
    "EfficientNetB2": "top_activation",
    "EfficientNetB3": "top_activation",
    "EfficientNetB4": "top_activation",
    "EfficientNetB5": "top_activation",
    "EfficientNetB6": "top_activation",
    "EfficientNetB7": "top_activation",
    "EfficientNetV2B1": "top_activation",
    "EfficientNetV2B2": "top_activation",
    "EfficientNetV2B3": "top_activation",
    "EfficientNetV2S": "top_activation",
    "EfficientNetV2M": "top_activation",
    "EfficientNetV2L": "top_activation",
    "ConvNeXtSmall": "add_35",
    "ConvNeXtBase": "add_35",
    "ConvNeXtLarge": "add_35",
    "ConvNeXtXLarge": "add_35",
}
CLASSES = 7


def side_of(name):
    """A size at which the last map has five cells a side, and is not too coarse."""
    return 224 if name.startswith("Inception") else 160


DEEP = ("InceptionResNetV2", "NASNetMobile")  # long to build


def check(classifier, opened):
    x = np.random.default_rng(0).uniform(0, 255, (1, *opened.input_shape)).astype(np.float32)
    logits = opened.logits(x)
    answer = classifier(x, training=False)
    np.testing.assert_array_equal(opened.predictions(logits), answer)
    np.testing.assert_allclose(tf.nn.softmax(logits), answer, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in DEEP else ()) for name in FAMILIES],
)
def test_one_network_of_every_family(name):
    network = getattr(keras.applications, name)
    classifier = network(weights=None, classes=CLASSES, input_shape=(side_of(name),) * 2 + (3,))
    opened = open_classifier(classifier)
    assert (opened.feature_layer, opened.feature_shape) == FAMILIES[name]
    check(classifier, opened)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_other_network(name):
    network = getattr(keras.applications, name)
    classifier = network(weights=None, classes=CLASSES, input_shape=(side_of(name),) * 2 + (3,))
    opened = open_classifier(classifier)
    assert opened.feature_layer == VARIANTS[name]
    check(classifier, opened)


def test_no_network_is_missing():
    networks = {name for name in dir(keras.applications) if name[0].isupper()}
    assert networks == FAMILIES.keys() | VARIANTS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_as_a_nested_base_of_any_size(name):
    """The usual transfer model; at the size the family is trained on, logits and gradients too."""
    side = 224 if name == "NASNetMobile" else None  # Keras pads NASNet for the size it is built for
    base = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(side, side, 3), pooling="avg"
    )
    classifier = keras.Sequential([keras.Input((224, 224, 3)), base, keras.layers.Dense(CLASSES)])
    opened = open_classifier(classifier)
    assert opened.feature_layer == f"{base.name}/{FAMILIES[name][0]}"
    x = np.random.default_rng(0).uniform(0, 1, (1, 224, 224, 3)).astype(np.float32)
    features = opened.features(x)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = opened.head(features)
    np.testing.assert_array_equal(logits, classifier(x, training=False))
    gradient = tape.gradient(logits, features).numpy()
    assert np.isfinite(gradient).all()
    assert gradient.any()


STAGES = {
    "squeezenet_v1_1": ["fire7_concat", "fire8_concat", "fire9_concat"],
    "mobilenet_v2": ["b15_add", "b17_expand_relu", "Conv_1_relu"],
    "efficientnet_lite0": ["block13_add", "block15_expand_relu", "head_relu"],
    "vgg16_caltech101_fc": ["block5_conv1", "block5_conv2", "block5_conv3"],
}


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_of_real_networks(shared, name):
    classifier = keras.models.load_model(shared / f"models/{name}.keras", compile=False)
    opened = open_classifier(classifier)
    assert [stage.layer for stage in opened.stages] == STAGES[name]
    x = np.random.default_rng(0).uniform(0, 255, (2, *opened.input_shape)).astype(np.float32)
    tensor = opened.trunk(x)
    for stage in opened.stages:
        assert tuple(tensor.shape[1:]) == stage.shape
        tensor = stage.onwards(tensor)
    np.testing.assert_array_equal(tensor, opened.logits(x))
