"""Run as a program: builds a network with the package keras-vggface on Keras 2 and writes it.

Arguments: which network, a size, a number of classes, a folder. The package imports modules that
are long gone; stand-ins for them are put into this process, and nothing else is touched.
"""

import pathlib
import sys
import types

import numpy as np
import tensorflow as tf
import tf_keras


def stand_in(name: str, **members: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module


def obtain_input_shape(shape, default_size, **_):
    return shape or (default_size, default_size, 3)


sys.modules["keras"] = tf_keras
for part in ("layers", "backend", "models", "utils"):
    sys.modules[f"keras.{part}"] = getattr(tf_keras, part)
stand_in("keras_applications")
stand_in("keras_applications.imagenet_utils", _obtain_input_shape=obtain_input_shape)
stand_in("keras.utils.layer_utils")
tf_keras.utils.layer_utils = sys.modules["keras.utils.layer_utils"]
stand_in("keras.utils.data_utils", get_file=None)
stand_in("keras.engine")
stand_in("keras.engine.topology", get_source_inputs=None)

from keras_vggface import models, utils  # noqa: E402


def main(kind: str, size: int, classes: int, folder: pathlib.Path) -> None:
    tf_keras.utils.set_random_seed(3)
    build = {"vgg16": models.VGG16, "resnet50": models.RESNET50, "senet50": models.SENET50}[kind]
    network = build(weights=None, input_shape=(size, size, 3), classes=classes)
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:  # biases and scales, too, tell layers apart
        if weight.shape.rank == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) * 0.1)
    pixels = rng.uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    version = 1 if kind == "vgg16" else 2
    inputs = utils.preprocess_input(pixels, data_format="channels_last", version=version)
    layers = [layer for layer in network.layers[1:] if len(layer.output.shape) in (2, 4)]
    outputs = tf_keras.Model(network.input, [layer.output for layer in layers])(inputs)
    found = {layer.name.replace("/", "_"): out for layer, out in zip(layers, outputs, strict=True)}
    np.savez(folder / f"{kind}.npz", pixels=pixels, **{f"out_{k}": v for k, v in found.items()})
    network.save_weights(folder / f"{kind}-weights.h5")
    network.save(folder / f"{kind}-model.h5")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]))
