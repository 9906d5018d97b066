"""Keeps standard output for answers: notes, warnings and progress bars go elsewhere."""

import contextlib
import logging
import sys
from collections.abc import Iterator

import typer

_PATIENCE = 30.0  # seconds


@contextlib.contextmanager
def progress_on_stderr() -> Iterator[int]:
    """Moves what Keras prints to standard error; answers `verbose`, 1.

    In a log file, what is done within half a minute writes nothing, all else a line now and then.
    """
    from tf_taintradar.support.progress import is_live, patience

    seconds = 0.0 if is_live(sys.stderr) else _PATIENCE
    with contextlib.redirect_stdout(sys.stderr), patience(seconds):
        yield 1


@contextlib.contextmanager
def downloads_on_stderr() -> Iterator[None]:
    """Moves Keras's bar of a download to standard error, and drops it if that is a log file."""
    import keras

    from tf_taintradar.support.progress import is_live

    with contextlib.redirect_stdout(sys.stderr):
        if is_live(sys.stderr):
            yield
            return
        keras.utils.disable_interactive_logging()
        try:
            yield
        finally:
            keras.utils.enable_interactive_logging()


@contextlib.contextmanager
def warnings_on_stderr() -> Iterator["Echo"]:
    """Prints what the package warns of, once: other handlers do not see it."""
    logger, echo = logging.getLogger("tf_taintradar"), Echo(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(echo)
    try:
        yield echo
    finally:
        logger.removeHandler(echo)
        logger.propagate = propagated


class Echo(logging.Handler):
    """Prints each message on a line of standard error.

    Attributes:
        unreadable: number of files and folders that the messages named as unreadable.
    """

    unreadable = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the message of a record."""
        self.unreadable += getattr(record, "unreadable", 0)
        typer.echo(f"Warning: {record.getMessage()}", err=True)
