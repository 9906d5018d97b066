"""Runs the command line within the process of the tests."""

from typer.testing import CliRunner

from tf_taintradar.cli import app


def run(*arguments):
    """What a command answers; its arguments as text."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
