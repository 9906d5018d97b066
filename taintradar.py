"""The command `taintradar`: its overview at once, everything else by `tf_taintradar.cli`.

`import tf_taintradar` imports TensorFlow, which takes seconds, since Keras loads saved detectors
only of classes that are registered already. So `taintradar --help` and `--version` are answered
here, outside the package and without it. The package does not import this module, which an editable
install copies and so may be old; a test holds this overview against the program's own.
"""

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

__all__ = ["main"]

COMMANDS = {
    "attack": "Attacks a classifier, and tells whether its detector notices.",
    "calibrate": "Chooses a detector's settings on benign images alone, and saves the detector.",
    "recalibrate": "Chooses a new threshold for a detector in use, whose network stays as it is.",
    "detect": "Tells which images attack the classifier.",
    "explain": "Draws why one image is flagged, or is not.",
    "diagnose": "Reports what a detector can see at all: its feature layer, and the regions found "
    "there.",
    "export": "Writes a detector as one SavedModel, for TensorFlow Serving.",
    "serve-config": "Writes what TensorFlow Serving needs around exported detectors, compose files "
    "among it.",
    "demo": "Attacks a small classifier with patches and shows what its detector makes of it; "
    "offline.",
    "doctor": "Checks the installation: versions, GPU, extras, and a small detector at work.",
    "evaluate": "Attacks a classifier in several ways and tells which defence holds, in one table.",
    "selftest": "Attacks the detector's own classifier on your images, and tells how well the "
    "detector holds.",
    "faces-train": "Teaches VGG-Face, or another network, your own subjects, and makes their "
    "detector.",
    "vggface-train": "The former name of faces-train.",
    "scan": "Goes through a large collection of images, one row for each file.",
}
"""The first line of each command's help, in the program's order."""

_OVERVIEW: tuple[list[str], ...] = ([], ["--help"], ["--version"])


def main() -> None:
    """Runs the command `taintradar`.

    Exit status: that of the command; 2, or 1 for `doctor`, if the package cannot be imported.
    """
    if sys.argv[1:] in _OVERVIEW and "_TAINTRADAR_COMPLETE" not in os.environ:
        try:
            program = _overview()
        except ImportError:  # without the extra `cli`, which the program itself asks for
            pass
        else:
            program(prog_name="taintradar")
    try:
        with _muted_stderr():
            from tf_taintradar import cli
    except ImportError as error:
        sys.stderr.write(f"Error: {' '.join(str(error).split())}\n")
        sys.exit(1 if sys.argv[1:2] == ["doctor"] else 2)
    cli.main()


@contextlib.contextmanager
def _muted_stderr() -> Iterator[None]:
    """Drops the notes that TensorFlow prints when it is imported, also from C++."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _overview() -> Any:
    """A program with the same help and no command that does anything."""
    import rich  # noqa: F401, without it the help looks different
    import typer

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"taintradar {importlib.metadata.version('tf_taintradar')}")
            raise typer.Exit

    def taintradar(
        version: Annotated[
            bool,
            typer.Option("--version", callback=show, is_eager=True, help="Print the version."),
        ] = False,
    ) -> None:
        """Detects localized adversarial attacks, such as patches, on image classifiers.

        Exit status: 0 if the command ran, 1 if some file or folder could not be read, or
        `selftest` or `doctor` found something to mend, 2 after an error.
        """

    app = typer.Typer(
        name="taintradar",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(taintradar)
    for name, line in COMMANDS.items():
        app.command(name, help=line)(lambda: None)
    return app


if __name__ == "__main__":
    main()
