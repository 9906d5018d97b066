"""What a classifier takes: the calls of its layers, and the shape of one image."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_taintradar.classifier.graph import Form, Step, call_step, flatten, forms, is_graph
from tf_taintradar.classifier.kinds import UnopenedClassifier
from tf_taintradar.classifier.unrolling import unroll
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import check_integer, reason_of, require

PIXELS = 0
"""The key of the classifier's input among the tensors of its steps."""

BY_PASSES = "Choose a rule that needs the network's answers alone, such as variant='cover'."
"""What else to do with a network that cannot be opened."""

InputSize = int | tuple[int, int] | None


class Network(NamedTuple):
    """A classifier as the calls of its layers.

    Attributes:
        steps: the calls.
        output: the key of what it answers.
        shape: (H, W, c) of one image.
        forms: the form of every tensor, for images in any number.
    """

    steps: list[Step]
    output: int
    shape: tuple[int, int, int]
    forms: dict[int, Form]


def read(classifier: UnopenedClassifier, input_size: InputSize) -> Network:
    """The classifier as the calls of its layers; those of blocks in place of what holds them.

    Args:
        classifier: see `open_classifier`.
        input_size: the size of the images, for a classifier that takes any.

    Raises:
        UnsupportedClassifierError: it is no classifier of images whose layers can be called, or a
            layer fails, or works for one number of images alone.
        ValueError: `input_size` is missing, or does not fit the classifier.
    """
    steps, output, shape = _read_steps(classifier, input_size)
    known = _trace(steps, shape)
    unrolled = unroll(steps, output, known)
    if len(unrolled) == len(steps):
        return Network(steps, output, shape, known)
    return Network(unrolled, output, shape, _trace(unrolled, shape))


def _read_steps(
    classifier: UnopenedClassifier, input_size: InputSize
) -> tuple[list[Step], int, tuple[int, int, int]]:
    """The classifier's steps, the key of its output and the shape (H, W, c) of one image."""
    if isinstance(classifier, Sequence) and len(classifier) == 2:
        trunk, head = classifier
        return _pair_steps(trunk, head, input_size)
    if not isinstance(classifier, keras.Model):
        raise UnsupportedClassifierError(_why_no_model(classifier))
    if not is_graph(classifier):
        raise UnsupportedClassifierError(_why_closed(classifier))
    _check_single("`classifier`", classifier)
    steps, output = flatten(classifier, PIXELS)
    return steps, output, _image_shape(classifier.inputs[0].shape, steps, input_size)


def _trace(steps: Sequence[Step], shape: tuple[int, int, int]) -> dict[int, Form]:
    """The forms of all tensors of a classifier's steps, for images (H, W, c) in any number."""
    try:
        known = forms(steps, PIXELS, tf.TensorSpec((None, *shape), tf.float32))
    except UnsupportedClassifierError:
        raise
    except Exception as error:  # what a layer raises
        raise UnsupportedClassifierError(
            f"`classifier` must work on images {shape} in any number. Received: one that fails on "
            f"them: {reason_of(error)}"
        ) from error
    used = {key for step in steps for key in step.inputs}.union(steps[-1].outputs)
    for step in steps:
        for key in used.intersection(step.outputs):
            _check_rows(step, known[key].shape, [known[source].shape for source in step.inputs])
    return known


def _check_rows(step: Step, shape: tuple[Any, ...], sources: list[tuple[Any, ...]]) -> None:
    """Refuses a step that answers a fixed number of rows to any number of them."""
    is_fixed = len(shape) > 1 and None not in shape
    if is_fixed and any(len(source) > 1 and source[0] is None for source in sources):
        raise UnsupportedClassifierError(
            f"`classifier` must take images in any number. Received: a network whose layer "
            f"`{step.name}` answers {shape}, a batch of {shape[0]}, to any. Write -1 for the batch "
            "in its reshape, or use `keras.layers.Reshape`, and load the same weights."
        )


def _pair_steps(
    trunk: keras.layers.Layer, head: keras.layers.Layer, input_size: InputSize
) -> tuple[list[Step], int, tuple[int, int, int]]:
    for role, part in (("trunk", trunk), ("head", head)):
        if not isinstance(part, keras.layers.Layer) or not part.built:
            raise UnsupportedClassifierError(
                f"The {role} of the pair `classifier` must be a built Keras model. Received: "
                f"{part!r}. Call it once on a batch before."
            )
        if is_graph(part):
            _check_single(f"The {role} of the pair `classifier`", part)
    features = PIXELS + 1
    first = call_step(trunk, trunk.name, PIXELS, features)
    if is_graph(head):
        rest, output = flatten(head, features)
    else:
        output = features + 1
        rest = [call_step(head, head.name, features, output)]
    shape = _image_shape(_input_shape_of(trunk), [first, *rest], input_size)
    _check_fit(_trace([first], shape)[features].shape, _input_shape_of(head))
    return [first, *rest], output, shape


def _input_shape_of(part: keras.layers.Layer) -> Any:
    """The shape that a model takes, as far as it is known; else None."""
    if is_graph(part):
        return part.inputs[0].shape
    return (part.get_build_config() or {}).get("input_shape")


def _check_fit(given: tuple[Any, ...], taken: Any) -> None:
    """Refuses a pair whose trunk answers another shape than its head takes; None is any size."""
    if not given or not isinstance(taken, list | tuple) or not all(map(_is_size, taken)):
        return
    pairs = zip(given[1:], taken[1:], strict=False)
    if len(given) != len(taken) or any(None not in pair and len(set(pair)) > 1 for pair in pairs):
        raise UnsupportedClassifierError(
            f"The head of the pair `classifier` must take what the trunk answers, {given}. "
            f"Received: a head for {tuple(taken)}. Build it with "
            f"`keras.Input({tuple(given[1:])})`, or give the trunk that it was built for."
        )


def _is_size(size: Any) -> bool:
    return size is None or isinstance(size, int)


def _check_single(what: str, model: keras.Model) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedClassifierError(
            f"{what} must have one input and one output. Received: {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs. Make a keras.Model of only the image input and the "
            "class output. If it is a face network that also takes the labels, to train with a "
            "margin, pass the part up to the embedding to faces.transfer, head='prototypes'."
        )


def _image_shape(shape: Any, steps: Sequence[Step], input_size: InputSize) -> tuple[int, int, int]:
    if shape is None or len(shape) != 4:
        known = "of unknown shape" if shape is None else f"of shape {tuple(shape)}"
        raise UnsupportedClassifierError(
            "`classifier` must take images of shape (batch, height, width, channels). Received: an "
            f"input {known}."
        )
    operations = (operation for step in steps for operation in _with_layers(step.operation))
    if any(getattr(o, "data_format", None) == "channels_first" for o in operations):
        raise UnsupportedClassifierError(
            "`classifier` holds its channels first; only channels-last networks are supported. "
            "Rebuild it with data_format='channels_last' and load the same weights."
        )
    if shape[3] is None:
        raise UnsupportedClassifierError(
            f"`classifier` must take a known number of channels. Received: an input of shape "
            f"{tuple(shape)}. Fix it first: `inputs = keras.Input((None, None, 3)); "
            "keras.Model(inputs, classifier(inputs))`."
        )
    return (*image_size(tuple(shape), input_size), shape[3])


def image_size(shape: Any, input_size: InputSize) -> tuple[int, int]:
    """(H, W) of the images: what the classifier's input says, else what `input_size` says.

    Args:
        shape: (b, H, W, c) of the input; None where it is open.
        input_size: see `read_steps`.

    Raises:
        UnsupportedClassifierError: neither says it.
        ValueError: `input_size` is no size, or another than the input's.
    """
    if input_size is None:
        if None in shape[1:3]:
            raise UnsupportedClassifierError(
                "`input_size` must be the size of the images that `classifier` was trained on: its "
                f"input leaves it open, {shape}. Received: None. Pass input_size=224, or "
                "input_size=(height, width), to TaintRadarModel or to open_classifier, whose "
                "result attacks and baselines accept."
            )
        return shape[1], shape[2]
    sides = input_size if isinstance(input_size, list | tuple) else (input_size, input_size)
    is_size = len(sides) == 2 and True not in [isinstance(side, bool) for side in sides]
    require(is_size, "input_size", input_size, "a number of pixels, or (height, width)")
    height, width = (check_integer("input_size", side, 1) for side in sides)
    fits = shape[1] in (None, height) and shape[2] in (None, width)
    require(fits, "input_size", input_size, f"left out, or one that the input {shape} takes")
    return height, width


def leaves_size_open(classifier: UnopenedClassifier) -> bool:
    """Whether a classifier takes images of any height and width."""
    first = classifier[0] if isinstance(classifier, Sequence) else classifier
    shape = _input_shape_of(first) if isinstance(first, keras.layers.Layer) else None
    return shape is not None and len(shape) == 4 and shape[1] is None


def _with_layers(operation: Any) -> Iterator[Any]:
    yield operation
    if isinstance(operation, keras.Model):
        for layer in operation.layers:
            yield from _with_layers(layer)


def _why_no_model(classifier: Any) -> str:
    kind = type(classifier)
    text = (
        "`classifier` must be a keras.Model (Keras 3) whose layers can be opened, or a pair "
        f"(trunk, head) of two. Received: {kind.__module__}.{kind.__qualname__}."
    )
    if isinstance(classifier, str | os.PathLike):
        return (
            f"{text} Load the file with keras.models.load_model, or pass it to "
            "`tf_taintradar.opening.load_detector`, which takes files and names."
        )
    if not callable(classifier) and not hasattr(classifier, "signatures"):
        return text
    return (
        f"{text} A SavedModel or an ONNX file keeps no layers: load the network from its .keras "
        f"file, or rebuild it and load its weights. {BY_PASSES}"
    )


def _why_closed(classifier: keras.Model) -> str:
    name = type(classifier).__name__
    if type(classifier).call is keras.Sequential.call:
        return (
            f"`classifier` ({name}) is not built yet, so its input shape is unknown: start it with "
            "`keras.Input(shape)`, or call it once on a batch. If it is, Keras cannot infer the "
            "shapes of one of its layers: give that layer a `compute_output_shape`."
        )
    return (
        f"`classifier` ({name}) is a subclassed model: its layers are called in Python code, which "
        "cannot be cut at a feature map. Give it as two models instead, "
        "`TaintRadarModel((trunk, head))`: images -> last feature map, feature map -> logits. "
        f"{BY_PASSES}"
    )
