"""The data of an evaluation and its steps: attacks, and scores of defences."""

import functools
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.goal import check_target_class
from tf_taintradar.attacks.plain import plain_glasses
from tf_taintradar.classifier.graph import compiled
from tf_taintradar.detection.pipeline import Arrays
from tf_taintradar.evaluation.attack_specs import Attacked, AttackSpec
from tf_taintradar.evaluation.defences import Defence, ask, describe, known_scores, prepare
from tf_taintradar.evaluation.rates import PLAIN
from tf_taintradar.images.sources import ImageSource, iterate_batches
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import require
from tf_taintradar.support.progress import Progress
from tf_taintradar.support.resumable import Store, checksum

_FIT_SHARE = 0.25  # of the images that are not for testing
_TIMED, _ROUNDS = 8, 3  # images, and how often, when the cost is measured

Pixels = npt.NDArray[np.uint8]


class Experiment:
    """The images of an evaluation, divided at random, and the steps of `evaluate`.

    Args:
        radar: a detector around the classifier; it is not changed.
        images: n benign images in any form that `TaintRadarModel.predict` takes.
        labels: (n,) int, the true labels; None: the classifier's predictions.
        seed: random seed of the division, the target and the attacks.
        batch_size: number of images that are computed at once.

    Attributes:
        opened: the detector's opened classifier.
        images: (n, H, W, c) uint8 raw pixels.
        answers: (n,) int32, the classifier's predictions.
        truth: (n,) int, the true labels.
        fit: indices of the images to fit defences on.
        calibration: indices of the images to calibrate defences on.
        benign: indices of the images for testing.

    Raises:
        ImageError: an image has the wrong shape, type or value range, or cannot be read.
        ValueError: there are too few images, or `labels` does not hold one for each.
    """

    def __init__(
        self,
        radar: TaintRadarModel,
        images: ImageSource,
        labels: npt.ArrayLike | None,
        seed: int,
        batch_size: int,
    ) -> None:
        self.opened, self.seed, self.batch_size = radar.opened, seed, batch_size
        self._weights = checksum(*(weight.numpy() for weight in radar.weights))
        shape = self.opened.input_shape
        batches = [np.rint(b) for b in iterate_batches(images, shape, batch_size)]
        self.images: Pixels = np.concatenate(batches).astype(np.uint8)
        n = len(self.images)
        require(n >= 8, "images", n, "at least 8 images, better 500")
        self._labels = compiled(lambda x: tf.argmax(radar.opened.logits(x), -1, tf.int32), shape)
        self.answers = self.labels_of(self.images)
        self.truth = self.answers if labels is None else np.asarray(labels)
        require(self.truth.shape == (n,), "labels", self.truth.shape, f"of shape ({n},)")
        is_label = np.isin(self.truth, range(self.opened.n_classes))
        expected = f"integers from 0 to {self.opened.n_classes - 1}"
        require(bool(is_label.all()), "labels", self.truth[~is_label][:5].tolist(), expected)
        order = np.random.default_rng(seed).permutation(n)
        half, n_fit = n // 2, int(n // 2 * _FIT_SHARE)
        self.fit, self.calibration, self.benign = (
            np.sort(part) for part in np.split(order, [n_fit, half])
        )

    def labels_of(self, images: Pixels) -> npt.NDArray[np.int32]:
        """The classifier's predictions (n,) int32 for images (n, H, W, c) uint8."""
        starts = range(0, len(images), self.batch_size)
        parts = [self._labels(tf.cast(images[i : i + self.batch_size], tf.float32)) for i in starts]
        return np.concatenate(parts)

    def target(self, target_class: int | None) -> int:
        """The target of the attacks: the given label, or a random one for None."""
        if target_class is None:
            return int(np.random.default_rng([self.seed, 1]).integers(self.opened.n_classes))
        check_target_class(target_class, self.opened.n_classes)
        return int(target_class)

    def checked(
        self, specs: Mapping[str, AttackSpec | Attacked]
    ) -> dict[str, AttackSpec | Attacked]:
        """The attacks, ready ones checked against the images and the classifier."""
        fits = (self.opened.input_shape, len(self.images), self.opened.n_classes)
        for name, spec in specs.items():
            known = isinstance(spec, (AttackSpec, Attacked))
            kind = type(spec).__name__
            require(known, f"attacks[{name!r}]", kind, "an AttackSpec or an Attacked")
        return {
            name: spec.checked(name, *fits) if isinstance(spec, Attacked) else spec
            for name, spec in specs.items()
        }

    def about(
        self,
        specs: Mapping[str, AttackSpec | Attacked],
        rivals: Mapping[str, Defence],
        target: int,
        n_attacked: int,
    ) -> dict[str, Any]:
        """The setting of the evaluation; its `run` holds all that stored results depend on."""
        run = {
            "tf_taintradar": importlib.metadata.version("tf_taintradar"),
            "images": checksum(self.images, self.truth.astype(np.int64)),
            "classifier": self._weights,
            "answers": checksum(self.answers),
            "seed": self.seed,
            "target_class": target,
            "n_attacked": n_attacked,
        }
        return {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "run": run,
            "n_images": len(self.images),
            "n_fit": len(self.fit),
            "n_calibration": len(self.calibration),
            "n_benign": len(self.benign),
            "classifier_right": float((self.answers == self.truth).mean()),
            "attacks": {name: _describe(spec) for name, spec in specs.items()},
            "defences": {name: describe(rival) for name, rival in rivals.items()},
        }

    def attacked(
        self, store: Store, name: str, spec: AttackSpec | Attacked, target: int, n_attacked: int
    ) -> Arrays:
        """The outcome of one attack: `images` (m, H, W, c), `succeeded` (m,), `truth` (m,)."""
        if isinstance(spec, Attacked):
            return self._judged(spec)
        is_right = (self.answers == self.truth) & (self.answers != target)
        index = self.benign[is_right[self.benign]][:n_attacked]
        n_right = len(index)
        require(n_right > 0, "images", n_right, "such that the classifier gets some right")

        def make() -> Arrays:
            pixels = self.images[index].astype(np.float32)
            wanted = spec.targets(target, self.answers[index], self.opened.n_classes, self.seed)
            results = spec.run(self.opened, pixels, wanted, self.seed, verbose=0)
            images = np.concatenate([result.images for result in results])
            return self._judged(Attacked(images, index, wanted))

        return store.keep(f"attacks/{name}", str(spec), make)

    def plain_frames(self) -> dict[str, Arrays]:
        """The images for testing as `images`, plain glasses painted on, by the name `PLAIN`."""
        return {PLAIN: {"images": plain_glasses(self.images[self.benign], seed=self.seed)}}

    def _judged(self, attacked: Attacked) -> Arrays:
        labels = self.labels_of(attacked.images)
        succeeded = labels != self.answers[attacked.index]
        if attacked.target is not None:
            succeeded = labels == attacked.target
        truth = self.truth[attacked.index]
        return {"images": attacked.images, "succeeded": succeeded, "truth": truth}

    def ask(
        self,
        store: Store,
        name: str,
        defence: Defence,
        attacks: Mapping[str, Arrays],
        target_fpr: float,
        bar: Progress,
    ) -> dict[str, Arrays]:
        """The defence's scores by attack; under "" those of benign images, and its cost.

        The defence is fitted to benign images only if some of its scores are not stored yet.
        """
        fit, calibration = self.images[self.fit], self.images[self.calibration]
        prepared = functools.cache(lambda: prepare(defence, fit, calibration, target_fpr))

        def answers(images: Pixels) -> Arrays:
            prepared()
            return ask(defence, images, self.batch_size)

        def benign() -> Arrays:
            found = answers(self.images[self.benign])
            known = known_scores(defence)
            calibrated = answers(calibration)["score"] if known is None else known
            return {**found, "calibration": calibrated, "cost": np.array(self._cost(answers))}

        settings = f"{describe(defence)} {target_fpr}"
        found: dict[str, Arrays] = {"": store.keep(f"answers/{name}/benign", settings, benign)}
        bar.add(1)
        for attack, attacked in attacks.items():
            images = attacked["images"]
            made = f"{settings} {checksum(images)}"
            step = functools.partial(answers, images)
            found[attack] = store.keep(f"answers/{name}/{attack}", made, step)
            bar.add(1)
        return found

    def _cost(self, answers: Callable[[Pixels], object]) -> float:
        """The ratio of the defence's time to the classifier's, measured in turns."""
        images, seconds = self.images[self.benign[:_TIMED]], np.empty((_ROUNDS + 1, 2))
        for turn in seconds:
            for i, step in enumerate((answers, self.labels_of)):
                start = time.perf_counter()
                step(images)
                turn[i] = time.perf_counter() - start
        ours, plain = np.median(seconds[1:], axis=0)  # the first turn traces
        return float(ours / plain)


def _describe(spec: AttackSpec | Attacked) -> str:
    return str(spec) if isinstance(spec, AttackSpec) else f"{len(spec.images)} ready images"
