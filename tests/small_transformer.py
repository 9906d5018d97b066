"""Small vision transformers, written by hand, on images (24, 16, 3)."""

import keras
from keras import layers, ops

SHAPE = (24, 16, 3)
CLASSES = 5


@keras.saving.register_keras_serializable("tests")
class Special(layers.Layer):
    """Puts special tokens before those of places, and adds a position to each."""

    def __init__(self, n=1, **kwargs):
        super().__init__(**kwargs)
        self.n = n

    def build(self, shape):
        new = {"initializer": "random_normal"}
        self.special = self.add_weight(shape=(1, self.n, shape[-1]), name="special", **new)
        self.places = self.add_weight(shape=(1, self.n + shape[1], shape[-1]), name="places", **new)

    def call(self, tokens):
        special = ops.tile(self.special, (ops.shape(tokens)[0], 1, 1))
        return ops.concatenate([special, tokens], axis=1) + self.places

    def get_config(self):
        return {**super().get_config(), "n": self.n}


def tokens_of(images, channels=8, patch=4):
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(channels, patch, strides=patch, name="patches")(x)
    return layers.Reshape((-1, channels))(x)


def block(x, i, channels=8):
    y = layers.LayerNormalization()(x)
    attention = layers.MultiHeadAttention(2, channels // 2, name=f"attention{i}")
    x = layers.Add(name=f"attended{i}")([x, attention(y, y)])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(channels)(layers.Dense(2 * channels, "gelu")(y))
    return layers.Add(name=f"block{i}")([x, y])


def build_transformer(n_special=1, blocks=3):
    """The first special token is classified; without any, the mean of all tokens is."""
    keras.utils.set_random_seed(5)
    images = keras.Input(SHAPE)
    x = tokens_of(images)
    x = Special(n_special, name="embedded")(x) if n_special else x
    for i in range(1, blocks + 1):
        x = block(x, i)
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if n_special else layers.GlobalAveragePooling1D()(x)
    return keras.Model(images, layers.Dense(CLASSES, "softmax", name="predictions")(x))
