"""Checks of arguments: what was expected, what came, in one form."""

import numbers
from typing import Any


def require(condition: bool, argument: str, received: Any, expected: str) -> None:
    """Raises ValueError unless the condition on an argument holds."""
    if not condition:
        raise ValueError(f"`{argument}` must be {expected}. Received: {received!r}.")


def check_integer(argument: str, value: Any, low: int, stop: int | None = None) -> int:
    """The value as an int; ValueError unless it is an integer from `low`, and below `stop`."""
    expected = f"an integer of at least {low}" if stop is None else f"from {low} to {stop - 1}"
    in_range = isinstance(value, numbers.Integral) and int(value) >= low
    require(in_range and (stop is None or value < stop), argument, value, expected)
    return int(value)
