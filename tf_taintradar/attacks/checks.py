"""Checks of settings."""

import numbers
from typing import Any


def check_integer(argument: str, value: Any, low: int, stop: int | None = None) -> int:
    """The value as an int, if it is an integer from `low`, and below `stop` if there is one.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, numbers.Integral) or value < low or not (stop is None or value < stop):
        expected = f"of at least {low}" if stop is None else f"from {low} to {stop - 1}"
        raise ValueError(f"`{argument}` must be an integer {expected}; received {value!r}.")
    return int(value)


def check_probability(value: Any) -> float | None:
    """The value, if it is a probability above 0 at which an attack stops, or None.

    Raises:
        ValueError: it is neither.
    """
    if value is None or (isinstance(value, (int, float)) and 0 < value <= 1):
        return value
    raise ValueError(
        f"`stop_probability` must be above 0 and at most 1, or None; received {value!r}."
    )
