"""Checks of arguments: what was expected, what came, in one form."""

from typing import Any


def require(condition: bool, argument: str, received: Any, expected: str) -> None:
    """Raises ValueError unless the condition on an argument holds."""
    if not condition:
        raise ValueError(f"`{argument}` must be {expected}. Received: {received!r}.")
