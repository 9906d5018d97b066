"""The demo's classifier: a small VGG that two cores train in minutes."""

import keras
from keras import layers


def build_classifier(classes: int = 72) -> keras.Model:
    """An untrained network, its layers named as in VGG; it holds no preprocessing.

    The last convolution, `block4_conv2`, answers a feature map `(batch, 12, 12, 96)`; after it
    lie two fully connected layers, as in VGG.

    Args:
        classes: How many labels it tells apart.

    Returns:
        A functional model: preprocessed images `(batch, 96, 96, 3)` float32 in [-1, 1], that is
        `pixels / 127.5 - 1`, to probabilities `(batch, classes)` float32.
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
    """3x3 convolutions that keep the size, then a pooling that halves it."""
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
