"""Optional dependencies: imported where they are needed, with the install command if missing."""

import importlib
from typing import Any

_PACKAGES = {
    "cv2": "OpenCV",
    "grpc": "grpcio",
    "onnxruntime": "ONNX Runtime",
    "tensorflow_serving": "tensorflow-serving-api",
}


class MissingExtraError(ImportError):
    """A package that only some features need is not installed."""


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
