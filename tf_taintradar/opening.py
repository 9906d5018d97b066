"""Opens a detector by the name of a file or of a network of keras.applications."""

import difflib
import json
import os
import textwrap
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tf_taintradar.classifier.intake import InputSize
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.onnx import OnnxLayer
from tf_taintradar.detection.rules import RuleSpec
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.export.savedmodel import METADATA_FILE, MODEL_FILE
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import reason_of
from tf_taintradar.support.keras_files import why_unreadable
from tf_taintradar.support.names import ClassNames, read_class_names

__all__ = ["PREPROCESSORS", "SIZES", "load_detector", "load_network", "read_class_names"]

PREPROCESSORS: dict[str, str | None] = {
    network: preprocessor
    for preprocessor, networks in {
        "caffe": "VGG16 VGG19 ResNet50 ResNet101 ResNet152",
        "tf": "MobileNet MobileNetV2 InceptionV3 InceptionResNetV2 Xception NASNetMobile "
        "NASNetLarge ResNet50V2 ResNet101V2 ResNet152V2",
        "torch": "DenseNet121 DenseNet169 DenseNet201",
        None: "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge "
        "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
        "EfficientNetB5 EfficientNetB6 EfficientNetB7 EfficientNetV2B0 EfficientNetV2B1 "
        "EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L "
        "MobileNetV3Small MobileNetV3Large",
    }.items()
    for network in networks.split()
}
"""The preprocessor of each network of keras.applications; None: it takes raw pixels."""

SIZES = {"MobileNetV3Small": 224, "MobileNetV3Large": 224}
"""The size that the networks of keras.applications were trained on whose input leaves it open."""

_BY_LOWER_CASE = {network.lower(): network for network in PREPROCESSORS}


def load_detector(
    spec: str,
    *,
    preprocessor: PreprocessorSpec | None = None,
    feature_layer: str | Sequence[str] | None = None,
    input_size: InputSize = None,
    label: int | None = None,
    class_names: ClassNames | None = None,
    variant: RuleSpec | None = None,
    top_k: int | None = None,
    rank_threshold: int | None = None,
    custom_objects: dict[str, Any] | None = None,
) -> TaintRadarModel:
    """The detector that a file holds, or a new one around a classifier.

    Args:
        spec: a `.keras` file of a detector or of a classifier, or the name of a network of
            `keras.applications` in any case, whose ImageNet weights Keras downloads once. For rules
            that need only the answers, also the folder of a classifier's SavedModel or an `.onnx`
            file.
        preprocessor: preprocessor of a new detector, see `TaintRadarModel`. For a network of
            `keras.applications` None means its own.
        feature_layer: feature layer of a new detector, found by default.
        input_size: size of the images of a new detector, see `TaintRadarModel`. For a network of
            `keras.applications` None means its own.
        label: label to watch of a new detector for a multi-label network; see `TaintRadarModel`.
        class_names: class names of a new detector. For a network of `keras.applications` None means
            the names of ImageNet, if Keras has downloaded them before.
        variant: rule of a new detector, see `TaintRadarModel`.
        top_k: K of a detector, a new one or that of the file.
        rank_threshold: rank threshold of a detector, a new one or that of the file.
        custom_objects: classes and functions of the file that are not registered with Keras, by
            name.

    Raises:
        UnsupportedClassifierError: `spec` is none of these, cannot be read or downloaded, or the
            classifier cannot be opened.
        ValueError: a setting is out of range, or is given although the file holds a detector.
    """
    settings: dict[str, Any] = {
        "preprocessor": preprocessor,
        "feature_layer": feature_layer,
        "input_size": input_size,
        "label": label,
        "class_names": class_names,
        "variant": variant,
    }
    ranks: dict[str, Any] = {"top_k": top_k, "rank_threshold": rank_threshold}
    if _is_closed(Path(spec)):
        return TaintRadarModel(_read_closed(Path(spec)), **settings, **ranks)
    if Path(spec).is_file():
        return _as_detector(_read(spec, custom_objects), settings, ranks)
    network = _BY_LOWER_CASE.get(spec.lower())
    if network is None:
        raise UnsupportedClassifierError(_why_unknown(spec))
    defaults: dict[str, Any] = {
        "preprocessor": PREPROCESSORS[network],
        "class_names": _imagenet_names(),
        "input_size": SIZES.get(network),
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return TaintRadarModel(_download(network), **{**defaults, **given}, **ranks)


def _is_closed(path: Path) -> bool:
    """Whether a file or folder holds a network without layers, and no detector."""
    if path.suffix.lower() == ".onnx":
        return path.is_file()
    return (path / MODEL_FILE).is_file() and not (path / METADATA_FILE).is_file()


def _read_closed(path: Path) -> keras.layers.Layer:
    if path.suffix.lower() == ".onnx":
        return OnnxLayer(path)
    try:
        return keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    except Exception as error:  # TensorFlow and Keras have many
        raise UnsupportedClassifierError(
            f"Cannot read the SavedModel {str(path)!r}: {reason_of(error)}"
        ) from error


def load_network(
    spec: str,
    *,
    preprocessor: PreprocessorSpec | None = None,
    custom_objects: dict[str, Any] | None = None,
) -> tuple[keras.Model, PreprocessorSpec | None]:
    """A network whose features are to be kept, classifier or not, and its preprocessor.

    Args:
        spec: a `.keras` file of a network, a classifier or a detector, or the name of a network of
            `keras.applications`, see `load_detector`.
        preprocessor: preprocessor of the network, see `TaintRadarModel`; None: that of the
            detector or of `keras.applications`.
        custom_objects: classes and functions of the file that are not registered with Keras, by
            name.

    Raises:
        UnsupportedClassifierError: `spec` is none of them, or cannot be read or downloaded.
    """
    if not Path(spec).is_file():
        found = load_detector(spec, preprocessor=preprocessor)
        return found.classifier, found.preprocessor
    model = _read(spec, custom_objects)
    if isinstance(model, TaintRadarModel):
        return model.classifier, model.preprocessor if preprocessor is None else preprocessor
    return model, preprocessor


def _as_detector(
    model: keras.Model, settings: dict[str, Any], ranks: dict[str, Any]
) -> TaintRadarModel:
    if not isinstance(model, TaintRadarModel):
        return TaintRadarModel(model, **settings, **ranks)
    given = [f"`{name}`" for name, value in settings.items() if value is not None]
    if given:
        raise ValueError(
            f"{' and '.join(given)} cannot be given: the file holds a finished detector. Leave "
            "out what it has already, or start from the classifier's own file."
        )
    for name, value in ranks.items():
        if value is not None:
            setattr(model, name, value)
    return model


def _read(path: str, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    is_h5 = path.lower().endswith((".h5", ".hdf5"))
    if not zipfile.is_zipfile(path) and not is_h5:
        raise UnsupportedClassifierError(
            f"{path!r} is no Keras model: a `.keras` file is a zip archive, but this is not "
            "one, or it is incomplete."
        )
    try:
        return keras.saving.load_model(path, custom_objects, compile=False)
    except Exception as error:  # on a malformed file Keras raises nearly anything
        cause: BaseException = error
        while cause.__context__ is not None:  # the outer errors only dump the whole config
            cause = cause.__context__
        reason = textwrap.shorten(reason_of(cause), 300, placeholder=" ...")
        raise UnsupportedClassifierError(why_unreadable(path, reason)) from error


def _download(network: str) -> keras.Model:
    try:
        return getattr(keras.applications, network)()
    except Exception as error:  # Keras raises a bare Exception when it cannot download
        raise UnsupportedClassifierError(
            f"Cannot get the ImageNet weights of {network}: {error}. Without a network, pass the "
            "`.keras` file of a classifier."
        ) from error


def _imagenet_names() -> list[str] | None:
    """The names that `decode_predictions` keeps, None if it was never called here."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    index = home / "models" / "imagenet_class_index.json"
    if not index.is_file():
        return None
    entries = json.loads(index.read_text(encoding="utf-8"))
    return [entries[str(label)][1] for label in range(len(entries))]


def _why_unknown(spec: str) -> str:
    path = Path(spec)
    if (path / MODEL_FILE).is_file():
        return (
            f"{spec!r} is an exported detector, which keeps no layers to look into: pass the "
            "`.keras` file of the detector, or `serving.SavedDetector` to ask this one."
        )
    if path.is_dir():
        return f"{spec!r} is a folder: pass a `.keras` file."
    if path.suffix or len(path.parts) > 1:
        return f"There is no file {spec!r}."
    close = difflib.get_close_matches(spec.lower(), _BY_LOWER_CASE, n=3)
    hint = f"Did you mean {' or '.join(_BY_LOWER_CASE[name] for name in close)}? " if close else ""
    return (
        f"{spec!r} is neither a file nor a network of keras.applications. {hint}Possible: a "
        f"`.keras` file, {', '.join(PREPROCESSORS)}."
    )
