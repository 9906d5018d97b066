"""The VGG-Face network, with the layer names, sizes and order of the published weights."""

import os

import keras
from keras import layers

from tf_taintradar.images.sources import ImageSource
from tf_taintradar.support.checks import check_integer, check_positive, require
from tf_taintradar.vggface.release import download, weights_file
from tf_taintradar.vggface.weights import load_weights

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions
_UNITS = 4096
_SMALLEST = 48  # side of an image, for a network without its top


def VGGFace(  # noqa: N802
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    *,
    classes: int = 2622,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    width: float = 1.0,
    name: str = "vggface_vgg16",
) -> keras.Model:
    """The VGG-16 face network, from BGR pixels minus the mean color to 2,622 identities.

    Wrap it with `TaintRadarModel(network, preprocessor="vggface")`, which takes raw RGB pixels.

    Args:
        include_top: whether to include the three fully connected layers; without them the output is
            `pool5`, (b, 7, 7, 512) for images of 224 x 224.
        weights: None for random weights; "vggface" to download the published file once; or the path
            of a file, see `load_weights`.
        classes: number of identities, >= 2.
        input_shape: (H, W, 3). The published weights of the top fit 224 x 224 only.
        width: factor of the sizes of all layers but the last, > 0: 1 is the published network, a
            smaller factor makes a smaller network of the same form.
        name: name of the model.

    Returns:
        A Functional model (b, H, W, 3) float32 -> (b, classes) softmax probabilities. Layers
        `conv1_1` ... `conv5_3`, `pool1` ... `pool5`, `flatten`, `fc6`, `fc6_relu`, `fc7`,
        `fc7_relu`, `fc8`, `fc8_softmax`; 145,002,878 parameters at full size.

    Raises:
        ValueError: an argument is out of range.
        WeightsError: the weights do not fit.

    Source: Parkhi, Vedaldi, Zisserman, "Deep Face Recognition", BMVC 2015; layer names of the
    package keras-vggface, with `_` for `/`, which Keras 3 does not allow.
    """
    check_integer("classes", classes, 2)
    check_positive("width", width)
    fits = len(input_shape) == 3 and input_shape[2] == 3 and min(input_shape[:2]) >= _SMALLEST
    require(fits, "input_shape", input_shape, f"(H, W, 3), {_SMALLEST} x {_SMALLEST} at least")
    inputs = keras.Input(input_shape)
    x: ImageSource = inputs
    for block, (filters, n_convolutions) in enumerate(_BLOCKS, 1):
        for i in range(1, n_convolutions + 1):
            x = layers.Conv2D(
                _scaled(filters, width),
                3,
                padding="same",
                activation="relu",
                name=f"conv{block}_{i}",
            )(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for dense in ("fc6", "fc7"):
            x = layers.Dense(_scaled(_UNITS, width), name=dense)(x)
            x = layers.Activation("relu", name=f"{dense}_relu")(x)
        x = layers.Dense(classes, name="fc8")(x)
        x = layers.Activation("softmax", name="fc8_softmax")(x)
    model = keras.Model(inputs, x, name=name)
    if weights is not None:
        if weights == "vggface":
            weights = download(weights_file(include_top))
        load_weights(model, weights)
    return model


def _scaled(size: int, width: float) -> int:
    return max(1, round(width * size))
