"""Keras on another backend than TensorFlow."""

import os
import subprocess
import sys

import pytest


def imported(backend, home=None):
    """What a fresh process says that imports the package."""
    env = {**os.environ, "KERAS_BACKEND": backend, **({"KERAS_HOME": str(home)} if home else {})}
    code = "import tf_taintradar, sys; sys.exit('imported')"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_refused_in_one_line(backend):
    line = imported(backend)
    assert line.startswith("ImportError: tf_taintradar needs Keras on TensorFlow. Received: the")
    assert f"backend '{backend}'" in line
    assert line.endswith(
        "Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
    )


def test_the_backend_of_the_settings_file(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert "backend 'jax'" in imported("", tmp_path)


def test_tensorflow_may_be_named():
    assert imported("tensorflow") == "imported"
