"""What the commands begin with: the detector, and room for what they write."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_taintradar.cli import options
from tf_taintradar.cli.quiet import downloads_on_stderr
from tf_taintradar.errors import NotCalibratedError
from tf_taintradar.support.checks import require

if TYPE_CHECKING:
    from tf_taintradar.model import TaintRadarModel

Command = Callable[..., None]


def with_detector(*names: str) -> Callable[[Command], Command]:
    """Adds the options that describe a detector to a command, and passes it the opened detector.

    The command takes `model`, an argument of the command line, and `radar`, the detector opened
    from it. The added options follow the command's own.

    Args:
        names: keys of `options.DETECTOR`, in the order of the help text.
    """
    names = (*names, *options.EVERY_DETECTOR)

    def decorate(command: Command) -> Command:
        def run(**given: Any) -> None:
            settings = {name: given.pop(name) for name in names}
            command(radar=open_detector(given["model"], **settings), **given)

        own = dict(inspect.signature(command).parameters)
        del own["radar"]
        parameters = [*own.values(), *map(_option, names)]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorate


def _option(name: str) -> inspect.Parameter:
    kind, annotation = (
        inspect.Parameter.KEYWORD_ONLY,
        (options.DETECTOR | options.EVERY_DETECTOR)[name],
    )
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


def open_detector(
    model: str,
    *,
    feature_layer: list[str] | None = None,
    class_names: Path | None = None,
    input_size: str | None = None,
    custom: list[str] | None = None,
    **settings: Any,
) -> "TaintRadarModel":
    """The detector that the arguments of a command mean; see `opening.load_detector`."""
    from tf_taintradar.opening import load_detector, read_class_names

    if feature_layer:
        settings["feature_layer"] = feature_layer if len(feature_layer) > 1 else feature_layer[0]
    settings["class_names"] = None if class_names is None else read_class_names(class_names)
    settings["input_size"] = None if input_size is None else read_size(input_size)
    settings["custom_objects"] = import_custom(custom or [])
    with downloads_on_stderr():
        return load_detector(model, **settings)


def read_size(text: str) -> int | tuple[int, int]:
    """The numbers of "224" as 224, of "224x160" as (224, 160)."""
    sides = text.lower().split("x")
    is_size = len(sides) in (1, 2) and all(side.strip().isdecimal() for side in sides)
    require(is_size, "--input-size", text, "a number such as 224, or height x width as 224x160")
    height, *width = map(int, sides)
    return (height, width[0]) if width else height


def import_custom(names: Iterable[str]) -> dict[str, Any]:
    """Imports modules, which may register classes with Keras, and the classes that are named.

    Args:
        names: "module:Class" each, or "module" alone. Modules in the working folder are found.

    Returns:
        The classes by name.

    Raises:
        ValueError: there is no such module or class.
    """
    found: dict[str, Any] = {}
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in names:
        module, _, attribute = name.partition(":")
        expected = "module:Class, both of which can be imported from here"
        try:
            imported = importlib.import_module(module)
            if attribute:
                found[attribute] = getattr(imported, attribute)
        except (ImportError, AttributeError, ValueError) as error:
            remedy = f"{str(error).rstrip('.')}."
            raise ValueError(
                f"`--custom` must be {expected}. Received: {name!r}. {remedy}"
            ) from error
    return found


def require_threshold(radar: "TaintRadarModel", model: str) -> None:
    """Raises NotCalibratedError if the detector cannot decide yet."""
    if radar.threshold is None:
        raise NotCalibratedError(
            f"{model} has no threshold yet: run `taintradar calibrate` on benign images, or, for "
            "the paper's rule, give --rank-threshold (its scene setting: --top-k 9 "
            "--rank-threshold 2)."
        )


def make_folders(*files: Path | None) -> None:
    """Makes the folders of files that are to be written."""
    for file in files:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
