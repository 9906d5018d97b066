"""The command line: `taintradar demo | detect | calibrate | explain | attack | ...`.

It needs Typer and Rich, which the extra `cli` installs; nothing of them is imported before
`main` or `app` is used.
"""

import sys
from typing import Any

from tf_taintradar.support.extras import MissingExtraError, import_extra

__all__ = ["app", "main"]


def main() -> None:
    """Runs the command `taintradar`; exit status 2 without the extra `cli`."""
    try:
        program = _program()
    except MissingExtraError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    program(prog_name="taintradar")


def __getattr__(name: str) -> Any:
    """`app`, the Typer application with all commands, imported on first use."""
    if name == "app":
        return _program()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _program() -> Any:
    for module in ("typer", "rich"):
        import_extra(module, feature="The command line", extra="cli")
    from tf_taintradar.cli import (  # noqa: F401, register
        attack,
        calibrate,
        commands,
        doctor,
        evaluate,
        faces,
        scan,
    )
    from tf_taintradar.cli.program import app

    return app
