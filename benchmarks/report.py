"""What the benchmarks share: Markdown tables, the line that says what ran, JSON files."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tf_taintradar.evaluation.report import markdown_table as table
from tf_taintradar.support.files import replacing

__all__ = ["setting", "table", "write_json"]


def setting() -> str:
    """Versions and machine, for the line above a table."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    return (
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, {gpus or 'no'} GPU"
    )


def write_json(path: Path, content: Any) -> None:
    """Writes the file, whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")
