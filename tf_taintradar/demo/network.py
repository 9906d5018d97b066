"""The demo's classifier: a small VGG that trains in minutes on two cores."""

import keras
from keras import layers


def build_classifier(classes: int = 72) -> keras.Model:
    """Builds an untrained network with VGG's layer names and without preprocessing.

    The last convolution, `block4_conv2`, outputs a feature map (b, 12, 12, 96); two fully connected
    layers follow, as in VGG.

    Args:
        classes: number of labels.

    Returns:
        A Functional model from preprocessed images (b, 96, 96, 3) float32 in [-1, 1], that is
        `pixels / 127.5 - 1`, to probabilities (b, classes) float32.
    """
    images = keras.Input((96, 96, 3), name="images")
    x = _block(images, 1, filters=16, convolutions=1)
    x = _block(x, 2, filters=32, convolutions=1)
    x = _block(x, 3, filters=48, convolutions=2)
    x = _block(x, 4, filters=96, convolutions=2)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, "relu", kernel_initializer="he_normal", name="fc1")(x)
    x = layers.Dense(128, "relu", kernel_initializer="he_normal", name="fc2")(x)
    probabilities = layers.Dense(classes, "softmax", name="predictions")(x)
    return keras.Model(images, probabilities, name="demo_classifier")


def _block(
    x: keras.KerasTensor, number: int, *, filters: int, convolutions: int
) -> keras.KerasTensor:
    """The output of 3x3 convolutions that keep the size, and a pooling that halves it."""
    for i in range(1, convolutions + 1):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"block{number}_conv{i}",
        )(x)
    return layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
