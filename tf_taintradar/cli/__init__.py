"""The command line: `taintradar detect | calibrate | explain | diagnose | demo`."""

from tf_taintradar.cli.app import main
from tf_taintradar.cli.commands import app

__all__ = ["app", "main"]
