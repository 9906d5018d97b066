"""The command line: `taintradar demo | detect | calibrate | explain | attack | ...`."""

from tf_taintradar.cli import attack, commands, evaluate, faces
from tf_taintradar.cli.app import app, main

__all__ = ["app", "attack", "commands", "evaluate", "faces", "main"]
