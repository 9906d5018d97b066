"""Checks of arguments: what was expected and what was received, in one form of error.

The form is "`argument` must be X. Received: Y.", followed by what to do where that is not obvious.
"""

import numbers
import re
from typing import Any


def require(condition: bool, argument: str, received: Any, expected: str, remedy: str = "") -> None:
    """Raises ValueError unless the condition on an argument holds.

    Args:
        condition: what must hold.
        argument: name of the argument.
        received: the argument's value, or what is wrong about it, such as its length.
        expected: what the argument must be; it completes "`argument` must be ...".
        remedy: one or two sentences on what to do.

    Raises:
        ValueError: the condition does not hold.
    """
    if not condition:
        told = f"`{argument}` must be {expected}. Received: {received!r}."
        raise ValueError(f"{told} {remedy}" if remedy else told)


def check_integer(argument: str, value: Any, low: int, stop: int | None = None) -> int:
    """The value as an int, if it is an integer from `low` on and below `stop`.

    Args:
        argument: name of the argument.
        value: its value, of any type.
        low: the smallest integer that is allowed.
        stop: the smallest integer that is too large; None: all from `low` on are allowed.

    Raises:
        ValueError: the value is something else.
    """
    is_allowed = isinstance(value, numbers.Integral) and int(value) >= low
    expected = f"an integer of at least {low}"
    if stop is not None:
        is_allowed = is_allowed and value < stop
        expected = f"an integer from {low} to {stop - 1}"
    require(is_allowed, argument, value, expected)
    return int(value)


def check_positive(argument: str, value: Any) -> None:
    """Raises ValueError unless the value of an argument is a number above 0."""
    require(isinstance(value, numbers.Real) and float(value) > 0, argument, value, "positive")


def check_not_negative(argument: str, value: Any) -> None:
    """Raises ValueError unless the value of an argument is a number of at least 0."""
    require(isinstance(value, numbers.Real) and float(value) >= 0, argument, value, "0 or more")


def check_fraction(argument: str, value: Any, *, is_one_allowed: bool = True) -> None:
    """Raises ValueError unless the value of an argument is a fraction in (0, 1] or (0, 1)."""
    expected = f"a fraction in (0, 1{']' if is_one_allowed else ')'}"
    is_fraction = is_in_unit_interval(value) and (is_one_allowed or value < 1)
    require(is_fraction, argument, value, expected)


def is_in_unit_interval(value: Any) -> bool:
    """Whether a value is a number in (0, 1]."""
    return isinstance(value, numbers.Real) and 0 < float(value) <= 1


def reason_of(error: BaseException) -> str:
    """The text of another library's error, in one line and without colors."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m", "", str(error)).split())
