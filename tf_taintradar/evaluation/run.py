"""`evaluate`: runs attacks, scores them with defences, and counts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.record import check_target
from tf_taintradar.detection.rules import Bands
from tf_taintradar.evaluation.attack_specs import ATTACKS, Attacked, AttackSpec
from tf_taintradar.evaluation.defences import Defence, make_defence
from tf_taintradar.evaluation.experiment import Experiment
from tf_taintradar.evaluation.rates import count
from tf_taintradar.evaluation.result import Evaluation
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import check_integer, require
from tf_taintradar.support.progress import Progress
from tf_taintradar.support.resumable import Store

_DEFENCES = ("taintradar", "taintradar-paper", "local-gradients-smoothing", "patchcleanser")


def evaluate(
    radar: TaintRadarModel,
    images: ImageSource,
    labels: npt.ArrayLike | None = None,
    *,
    attacks: Mapping[str, AttackSpec | Attacked] | Sequence[str] = tuple(ATTACKS),
    defences: Mapping[str, Defence] | Sequence[str] = _DEFENCES,
    target_fprs: Sequence[float] = (0.06, 0.03, 0.01),
    n_attacked: int = 40,
    target_class: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    faces: bool | None = None,
    batch_size: int = 16,
    seed: int = 0,
    verbose: int = 1,
) -> Evaluation:
    """Attacks a classifier in several ways and measures which defence holds.

    The images are divided at random: one half to calibrate all defences (a quarter of it to fit
    those that compare with benign images), the other half to count false positives and to run
    attacks. Only images that the classifier gets right are attacked.

    Args:
        radar: a detector around the classifier; it is not changed, and needs no threshold.
        images: n benign images in any form that `TaintRadarModel.predict` takes; floats are
            rounded to whole pixels.
        labels: (n,) int, the true labels; by default the classifier's predictions.
        attacks: a mapping of names to attacks to run (`AttackSpec`) or attacked images
            (`Attacked`); or names of `ATTACKS`.
        defences: a mapping of names to objects with `score(images) -> (n,)`: a `TaintRadarModel`,
            which is calibrated anew, a baseline of `tf_taintradar.baselines`, or your own; or names
            of `DEFENCES`.
        target_fprs: false positive rates to calibrate to; the paper's rule chooses its K for the
            first.
        n_attacked: largest number of images to attack.
        target_class: the target of the attacks; by default a random label.
        folder: folder for intermediate results. Called again with the same arguments, an
            interrupted evaluation resumes where it stopped.
        faces: whether the images are aligned faces. If so, the defences also score benign
            photographs with plain frames painted on, as of people who simply wear glasses. None:
            true if the detector's variant is "bands".
        batch_size: number of images computed at once.
        seed: random seed of the division, the target and the attacks.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        All rates with their intervals.

    Raises:
        ValueError: an argument is out of range, the indices of a ready attack do not fit its images
            or `images`, or the folder belongs to another evaluation.
        CalibrationError: there are too few images for a target.
        ImageError: an image has the wrong shape, type or value range, or cannot be read; or a ready
            attack has no image.
    """
    several = np.ndim(target_fprs) == 1 and len(target_fprs) > 0
    require(several, "target_fprs", target_fprs, "a list of one rate or more")
    for target_fpr in target_fprs:
        check_target(target_fpr)
    check_integer("n_attacked", n_attacked, 1)
    experiment = Experiment(radar, images, labels, seed, batch_size)
    target = experiment.target(target_class)
    specs = experiment.checked(attacks if isinstance(attacks, Mapping) else _named(attacks))
    rivals = defences if isinstance(defences, Mapping) else {}
    if not rivals:
        n_fit = len(experiment.fit)
        rivals = {name: make_defence(name, radar, n_fit) for name in _listed(defences)}
    require(bool(rivals), "defences", defences, "one defence or more")
    about = experiment.about(specs, rivals, target, n_attacked)
    n_calibration = len(experiment.calibration)
    smallest_threshold(np.zeros(n_calibration), min(target_fprs))  # before the long work
    store = Store(None if folder is None else Path(folder), about["run"])
    worn = experiment.plain_frames() if looks_at_faces(radar, faces) else {}
    n_sets = 1 + len(specs) + len(worn)
    bar = Progress(len(specs) + len(rivals) * n_sets, verbose, unit="steps")
    mounted = {}
    for name, spec in specs.items():
        mounted[name] = experiment.attacked(store, name, spec, target, n_attacked)
        bar.add(1)
    answers = {
        name: experiment.ask(store, name, defence, {**mounted, **worn}, target_fprs[0], bar)
        for name, defence in rivals.items()
    }
    return count(about, mounted, answers, target_fprs)


def looks_at_faces(radar: TaintRadarModel, faces: bool | None) -> bool:
    """Whether the images are faces; see `faces` of `evaluate`."""
    is_colored = radar.opened.input_shape[2] == 3
    return radar.variant == Bands.name and is_colored if faces is None else faces


def _named(names: Sequence[str]) -> dict[str, AttackSpec]:
    for name in _listed(names):
        require(name in ATTACKS, "attacks", name, f"among {', '.join(ATTACKS)}")
    return {name: ATTACKS[name] for name in _listed(names)}


def _listed(names: Any) -> Sequence[str]:
    """The names; a single one is a list of one."""
    return [names] if isinstance(names, str) else names
