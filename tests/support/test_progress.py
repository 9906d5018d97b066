"""Progress on a terminal and elsewhere. Kind: progress bars in a log file."""

import io
import os
import pathlib
import pty
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LONG_RUN = """
import keras, numpy as np
from tf_taintradar.detection.pipeline import over_batches

def step(batch):
    return {{"n": np.arange(len(batch))}}

images = np.full((600, 2, 2, 1), 9, np.uint8)
x = {x}
over_batches(step, x, (2, 2, 1), batch_size=1, verbose=1)
"""
ATTACK = """
import numpy as np, keras
from tf_taintradar.attacks import AdversarialPatch
from small_detector import build_small_classifier, draw_images

attack = AdversarialPatch(build_small_classifier(), target_class=1, diameter=0.3, steps=200)
attack.universal(draw_images(2), verbose=1)
"""


def run(program, output, **environment):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        stdout=output,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def to_pipe(program):
    """The lines of a pipe, which are also the redraws."""
    read, write = os.pipe()
    with open(write, "wb") as output:
        run(program, output)
    with open(read, "rb") as content:
        return content.read().decode().splitlines()


def to_terminal(program, term):
    """What a terminal of this kind gets, up to 64 kB."""
    ours, theirs = pty.openpty()
    run(program, theirs, TERM=term)
    os.close(theirs)
    content = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while part := terminal.read(4096):
                content += part
        except OSError:  # the other side is closed
            pass
    return content.decode()


def test_a_pipe_gets_a_line_now_and_then():
    lines = to_pipe(LONG_RUN.format(x="images"))
    assert 10 <= len(lines) <= 22
    assert lines[0] == "1/600 images"
    assert lines[-1] == "600/600 images"


@pytest.mark.parametrize("x", ["(images[i : i + 1] for i in range(600))"])
def test_without_a_known_number_lines_become_rarer(x):
    lines = to_pipe(LONG_RUN.format(x=x))
    numbers = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]
    assert lines == [f"{n} images" for n in numbers]


def test_a_dumb_terminal_gets_lines_and_another_one_a_bar():
    dumb = to_terminal(LONG_RUN.format(x="images[:40]"), "dumb")
    assert "\b" not in dumb
    assert "\r" not in dumb.replace("\r\n", "\n")
    assert dumb.splitlines()[-1] == "40/40 images"
    assert "━" in to_terminal(LONG_RUN.format(x="images[:40]"), "xterm")


def test_an_attack_shows_its_loss_in_lines():
    lines = to_pipe(ATTACK)
    assert 10 <= len(lines) <= 22
    assert lines[-1].startswith("200/200 steps, loss ")


def test_only_what_takes_long_writes_lines_to_a_patient_log(monkeypatch):
    from tf_taintradar.support.progress import Progress, patience

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with patience(60):
        Progress(1).add(1)
    assert sys.stdout.getvalue() == ""
    with patience(-1):
        Progress(1).add(1)
    Progress(1, verbose=0).add(1)
    assert sys.stdout.getvalue() == "1/1 images\n"
