"""The program itself, and how it ends; `taintradar.py` has its name, its help and its version."""

from typing import Any

import typer
from typer.core import TyperGroup

from taintradar import new_program
from tf_taintradar.cli.quiet import warnings_on_stderr
from tf_taintradar.errors import TaintRadarError
from tf_taintradar.support.extras import MissingExtraError


class Program(TyperGroup):
    """Reports what a person can mend in one line, and an interrupt not at all."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command; its exit status is 1 if a folder was not read completely."""
        with warnings_on_stderr() as echo:
            try:
                result = self._invoke(ctx)
            except typer.Exit as ended:
                if ended.exit_code or not echo.unreadable:
                    raise
        if echo.unreadable:
            raise typer.Exit(1)
        return result

    def _invoke(self, ctx: Any) -> Any:
        """Runs a command; exit status 2 after an error, 130 after an interrupt."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader has seen enough: typer ends quietly
            raise
        except (TaintRadarError, MissingExtraError, ValueError, OSError) as error:
            typer.echo(f"Error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


app = new_program(cls=Program)
