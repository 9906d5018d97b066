"""The command `taintradar doctor`."""

import os
import platform
import time

import typer

from tf_taintradar.cli import tables
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.support.extras import EXTRAS, missing_modules
from tf_taintradar.support.version import __version__

_N_SCENES, _STEPS, _SEED = 8, 40, 77


@app.command()
def doctor() -> None:
    """Checks the installation: versions, GPU, extras, and a small detector at work.

    The check attacks the demo's classifier on a few drawn scenes, which takes seconds, and needs
    neither files nor a network. The exit status is 1 if it fails; a missing extra is no failure.

    Example: `taintradar doctor`
    """
    for line in _versions():
        typer.echo(line)
    tables.print_tables({"extras": (["extra", "installed", "for"], _extras())})
    started = time.monotonic()
    try:
        found, works = _check()
    except Exception as error:  # whatever is broken is what is to be reported
        found, works = f"{type(error).__name__}: {' '.join(str(error).split())}", False
    typer.echo(f"self-check: {found} ({time.monotonic() - started:.0f} s)")
    if not works:
        typer.echo(
            "Error: The self-check failed. Reinstall the package into a fresh environment; if it "
            "still fails, report these lines.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo("The installation works.")


def _versions() -> list[str]:
    import keras
    import numpy as np
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    built = "with" if tf.test.is_built_with_cuda() else "without"
    return [
        f"tf_taintradar {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"TensorFlow {tf.__version__} (built {built} CUDA), Keras {keras.__version__}, "
        f"NumPy {np.__version__}",
        f"{os.cpu_count()} processor cores; GPU: {', '.join(map(str, names)) or 'none seen'}",
    ]


def _extras() -> list[list[str]]:
    """A row for each extra: its name, whether it is installed, what it is for."""
    rows = []
    for extra, (_, purpose) in EXTRAS.items():
        missing = missing_modules(extra)
        rows.append([extra, f"no: {', '.join(missing)}" if missing else "yes", purpose])
    return rows


def _check() -> tuple[str, bool]:
    """Attacks the demo's classifier; what was found, and whether it is as it should be."""
    from tf_taintradar.attacks import AdversarialPatch
    from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
    from tf_taintradar.demo.show import detector_file
    from tf_taintradar.opening import load_detector

    radar = load_detector(str(detector_file()))
    images, _ = draw_scenes(_N_SCENES, seed=_SEED)
    target = CLASS_NAMES.index("striped star")
    attack = AdversarialPatch(
        radar.opened, target_class=target, steps=_STEPS, seed=_SEED, diameter=0.4, place=(6, 6)
    )
    with progress_on_stderr():
        attacked = attack.partial(images, verbose=0)
        benign, answers = (
            radar.predict(images, verbose=0),
            radar.predict(attacked.images, verbose=0),
        )
    fooled = answers["label"] == target
    noticed, false = (answers["is_adversarial"] & fooled).sum(), benign["is_adversarial"].sum()
    found = (
        f"{false} of {_N_SCENES} drawn scenes flagged; patches fool the classifier on "
        f"{fooled.sum()}, {noticed} of them flagged"
    )
    return found, bool(2 * noticed > fooled.sum() > 0 and 2 * false < _N_SCENES)
