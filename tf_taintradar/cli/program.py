"""The program itself: its name, its help, its version and how it ends."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tf_taintradar.cli.quiet import warnings_on_stderr
from tf_taintradar.errors import TaintRadarError
from tf_taintradar.support.extras import MissingExtraError
from tf_taintradar.support.version import __version__


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


app = typer.Typer(
    name="taintradar",
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taintradar {__version__}")
        raise typer.Exit


@app.callback()
def _taintradar(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Detects localized adversarial attacks, such as patches, on image classifiers.

    Exit status: 0 if the command ran, 1 if some file or folder could not be read, or
    `selftest` or `doctor` found something to mend, 2 after an error.
    """
