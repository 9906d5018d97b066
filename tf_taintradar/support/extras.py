"""Optional dependencies: imported where they are needed, with the install command if missing."""

import importlib
import importlib.util
from typing import Any

EXTRAS = {
    "align": (["mtcnn"], "faces.align, --align: finds faces and their landmarks"),
    "baselines": (["cv2"], "SentiNet and digital watermark removal"),
    "cli": (["typer", "rich"], "the command taintradar"),
    "hub": (["keras_hub"], "classifiers of KerasHub"),
    "monitor": (["prometheus_client"], "metrics of a detector in use, for Prometheus"),
    "onnx": (["onnxruntime"], "classifiers in ONNX files"),
    "plot": (["matplotlib"], "pictures of explanations and calibrations, HTML reports"),
    "ray": (["ray"], "scans on a cluster"),
    "scan": (["pyarrow", "fsspec"], "tables in Parquet and Arrow, images in stores"),
    "serving": (
        ["tensorflow_serving", "grpc", "requests", "urllib3"],
        "clients of TensorFlow Serving, warm-up requests in an export",
    ),
    "vggface": (["keras_vggface"], "comparing with the networks of keras-vggface"),
    "video": (["cv2"], "video files and cameras"),
}
"""Each extra that features need: the modules that it installs, and what it is for."""

_PACKAGES = {
    "cv2": "OpenCV",
    "grpc": "grpcio",
    "onnxruntime": "ONNX Runtime",
    "tensorflow_serving": "tensorflow-serving-api",
}


class MissingExtraError(ImportError):
    """A package that only some features need is not installed."""


def missing_modules(extra: str) -> list[str]:
    """The modules of an extra that are not installed; none of them is imported.

    Args:
        extra: a key of `EXTRAS`.
    """
    return [name for name in EXTRAS[extra][0] if importlib.util.find_spec(name) is None]


def import_extra(module: str, *, feature: str, extra: str) -> Any:
    """Imports a module that an extra of this package installs.

    Args:
        module: dotted name of the module, for instance `"matplotlib.figure"`.
        feature: what needs the module, as the first words of the error message.
        extra: name of the extra that installs it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: the module is not installed. The message is one line and ends with the
            install command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        raise MissingExtraError(
            f'{feature} needs {_PACKAGES.get(top, top)}: pip install "tf_taintradar[{extra}]"'
        ) from error
