"""The names of classes, in the forms in which people hold them."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

ClassNames: TypeAlias = Iterable[str] | Mapping[int, str] | Mapping[str, int] | os.PathLike[str]
"""The names of the labels: in order, `{index: name}`, `{name: index}`, or the path of a file."""

_FORMS = (
    "a list of names, {index: name}, {name: index} as Keras's `class_indices`, or the pathlib.Path "
    "of a text file of one name a line or of a JSON file"
)

_NO_LISTS = {
    (str, bytes): " A string is not a list: pass pathlib.Path(...) for a file.",
    (set, frozenset): " A set has no order: sort it as the labels are.",
}


def as_class_names(value: ClassNames, argument: str = "class_names") -> list[str]:
    """The name of each label, in the order of the labels.

    Args:
        value: names in order; a dict of an index to a name, or of a name to an index; or the
            `pathlib.Path` of a file of them, see `read_class_names`.
        argument: what to call the names in an error.

    Raises:
        OSError: the file cannot be read.
        ValueError: `value` is something else, a text among it, or a name is missing.
    """
    if isinstance(value, os.PathLike):
        return read_class_names(value)
    if isinstance(value, Mapping):
        return _in_order(value, argument)
    remedy = next((text for kind, text in _NO_LISTS.items() if isinstance(value, kind)), "")
    names = [] if remedy or not isinstance(value, Iterable) else list(value)
    if _are_numbered(names):
        remedy = " Its names begin with their indices: take these off, or give a JSON file."
    if remedy or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"`{argument}` must be {_FORMS}. Received: {_shown(value)}.{remedy}")
    return [str(name) for name in names]


def read_class_names(path: str | os.PathLike[str]) -> list[str]:
    """The class names in a file: JSON if its name ends in .json, else UTF-8 text, one a line.

    Args:
        path: the file. JSON holds a list of names, or a dict of either kind of `as_class_names`. A
            byte order mark, as Windows writes it, is no part of the first name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file.
    """
    file = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        is_json = Path(path).suffix.lower() == ".json"
        names = json.loads(text) if is_json else _lines(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file!r} must be a text file in UTF-8. Received: {error}.") from error
    except ValueError as error:
        raise ValueError(f"{file!r} is not JSON: {error}.") from error
    return as_class_names(names, argument=file)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _are_numbered(names: list[Any]) -> bool:
    """Whether these are lines such as "0,cat", "1,dog", an index before each name."""
    return len(names) > 1 and all(
        isinstance(name, str) and re.match(rf"{i}(\W+\w|$)", name) for i, name in enumerate(names)
    )


def _in_order(value: Mapping[Any, Any], argument: str) -> list[str]:
    """The names of a dict in the order of their indices, which must be 0, 1, ... n - 1."""
    if all(map(_is_index, value.values())) and all(isinstance(name, str) for name in value):
        by_index = {int(index): name for name, index in value.items()}
    else:  # JSON has no numbers as keys
        by_index = {int(i): name for i, name in value.items() if _is_index(i) or _is_digits(i)}
    names = [by_index.get(index) for index in range(len(value))]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"`{argument}` must give one name to each index from 0 to {len(value) - 1}. Received: "
            f"{_shown(value)}."
        )
    return [str(name) for name in names]


def _is_index(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]} ..."
