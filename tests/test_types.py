"""Signatures: what users call says what it takes, and the hints resolve."""

import importlib
import inspect
import typing

import pytest

ROOMS = [
    "attacks",
    "baselines",
    "calibration",
    "classifier",
    "detection",
    "evaluation",
    "faces",
    "fills",
    "images",
    "monitor",
    "opening",
    "scan",
    "serving",
    "video",
]

UNTYPED = {
    "Detection.of.evidence",  # each rule has its own
    "Detection.without.evidence",
    "Paper.__init__.fill",  # made a `Fill` of
    "GrpcClient.__init__.credentials",  # gRPC has no types
}
"""Parameters that truly take anything, or a thing without a type."""


def public_objects(room):
    module = importlib.import_module(f"tf_taintradar.{room}")
    own = [name for name, value in vars(module).items() if is_ours(value, module.__name__)]
    names = getattr(module, "__all__", [name for name in own if name[0] != "_"])
    return {name: getattr(module, name) for name in names}


def is_ours(value, prefix="tf_taintradar"):
    return getattr(value, "__module__", "").startswith(prefix)


def functions(room):
    """The public functions and methods of a room, by name."""
    for name, value in public_objects(room).items():
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and is_ours(value):
            for key, method in vars(value).items():
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method) and (key == "__init__" or key[0] != "_"):
                    yield f"{name}.{key}", method


def bare(room):
    """The parameters that are hinted as `Any`, those of `**kwargs` aside."""
    for name, function in functions(room):
        for parameter in inspect.signature(function).parameters.values():
            is_any = parameter.annotation in (typing.Any, "Any")
            if is_any and parameter.kind is not parameter.VAR_KEYWORD:
                yield f"{name}.{parameter.name}"


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_are_found(room):
    assert len(dict(functions(room))) > 0


def test_no_other_public_parameter_is_hinted_as_any():
    assert {name for room in ROOMS for name in bare(room)} == UNTYPED


def test_the_aliases_say_what_the_detector_takes():
    from tf_taintradar import TaintRadarModel
    from tf_taintradar.classifier import ClassifierLike, PreprocessorSpec
    from tf_taintradar.images import ImageSource

    hints = typing.get_type_hints(TaintRadarModel.__init__)
    assert hints["classifier"] == ClassifierLike
    assert hints["preprocessor"] == PreprocessorSpec | None
    assert typing.get_type_hints(TaintRadarModel.predict)["x"] == ImageSource
