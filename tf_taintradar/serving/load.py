"""Runs the SavedModel of a detector in this process, with the interface of `TaintRadarModel`."""

import functools
import json
import os
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.calibration.record import Calibration
from tf_taintradar.detection.explanation import Explanation
from tf_taintradar.detection.pipeline import Arrays, over_batches
from tf_taintradar.detection.rule import Rule
from tf_taintradar.detection.rules import make_rule
from tf_taintradar.errors import ServingError
from tf_taintradar.export.savedmodel import METADATA_FILE, MODEL_FILE, versions_in
from tf_taintradar.images.files import read_image
from tf_taintradar.images.pixels import ImagesLike, as_whole_pixels
from tf_taintradar.images.sources import ImageSource, names_of, require_files
from tf_taintradar.support.progress import Verbosity

_NEEDED = {"serving_default", "serve_float"}
_USED = {*_NEEDED, "explain"}


class SavedDetector:
    """A detector's SavedModel in this process. Made by `load`.

    Attributes:
        path: the folder of the SavedModel.
        metadata: the contents of `assets/metadata.json`: `input_shape`, `n_classes`, `variant`,
            `threshold`, `calibration`, `weights`, `versions` and more.
    """

    def __init__(self, path: Path, metadata: dict[str, Any], signatures: dict[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        self._signatures = signatures

    @property
    def class_names(self) -> list[str] | None:
        """A name for each label, None if the classes have no names."""
        return self.metadata["class_names"]

    def predict(
        self,
        x: ImageSource,
        batch_size: int | None = None,
        verbose: Verbosity = 0,
        steps: int | None = None,
        *,
        return_files: bool = False,
    ) -> Arrays:
        """The classifier's predictions and the verdict on each image.

        Args:
            x: n images in the forms of `TaintRadarModel.predict`.
            batch_size: how many images are computed at once, 32 by default. No image's answer
                depends on it.
            verbose: 0 for silence, 1 or "auto" for a progress bar.
            steps: the number of batches after which to stop; by default all images are answered.
            return_files: whether to add `file` (n,) str, the path of each row's file, in the order
                of `TaintRadarModel.predict`.

        Returns:
            The dict of arrays of `TaintRadarModel.predict`, `predictions` as float32. Where the
            classifier's answers are not finite, `is_adversarial` is true, `score`, `rank_shift` and
            the labels are -1, and `predictions` 0.

        Raises:
            ImageError: an image has the wrong shape, type or value range, or cannot be read.
            ValueError: `batch_size` or `steps` is out of range, or `return_files` is true and `x`
                names no files.
        """
        files = require_files(x) if return_files else None
        shape = tuple(self.metadata["input_shape"])
        size = 32 if batch_size is None else batch_size
        answers = over_batches(
            self._ask, files or x, shape, batch_size=size, verbose=verbose, steps=steps
        )
        if files is not None:
            answers["file"] = names_of(files, len(answers["label"]))
        return answers

    @functools.cached_property
    def rule(self) -> Rule:
        """The rule that the detector was made with.

        Raises:
            ValueError: it is a custom rule that is not registered here; see `rules.register_rule`.
        """
        about = self.metadata
        rule = make_rule({"name": about["variant"], "config": about["rule"]})
        return rule if self.calibration is None else rule.calibrated(self.calibration)

    @functools.cached_property
    def calibration(self) -> Calibration | None:
        """The record of the exported calibration; None if the detector had none."""
        found = self.metadata["calibration"]
        return None if found is None else Calibration.from_json(json.dumps(found))

    def explain(self, image: ImagesLike | str | os.PathLike[str]) -> Explanation:
        """Every intermediate result for one image, as `TaintRadarModel.explain` gives it.

        Args:
            image: (H, W, c) raw pixels, whole numbers, or a file.

        Raises:
            ImageError: the image has the wrong shape, type or value range, or cannot be read.
            ServingError: the SavedModel was exported before it could explain.
        """
        if "explain" not in self._signatures:
            raise ServingError(f"{self.path} cannot explain: export the detector again.")
        shape = tuple(self.metadata["input_shape"])
        if isinstance(image, str | os.PathLike):
            image = read_image(image, shape)
        pixels = as_whole_pixels(np.asarray(image)[None], shape)
        found = self._signatures["explain"](images=tf.constant(pixels))
        flag = bool(found["is_adversarial"][0])
        scores = getattr(self.calibration, "scores", None)
        about = {"threshold": self.metadata["threshold"], "benign_scores": scores}
        answer: Any = _Answer(pixels, found)
        names = self.class_names
        return self.rule.explain(answer, is_adversarial=flag, class_names=names, **about)

    def _ask(self, pixels: npt.NDArray[np.float32]) -> Arrays:
        """The answers for checked pixels (b, H, W, c) float32; whole numbers travel as bytes."""
        whole = pixels.astype(np.uint8)
        is_whole = np.array_equal(whole, pixels)
        ask = self._signatures["serving_default" if is_whole else "serve_float"]
        answers = ask(images=tf.constant(whole if is_whole else pixels))
        return {name: values.numpy() for name, values in answers.items() if name != "valid"}


def load(path: str | os.PathLike[str]) -> SavedDetector:
    """The detector of a SavedModel that `TaintRadarModel.export` or `export_savedmodel` wrote.

    Args:
        path: the SavedModel's folder, or the folder of all versions, of which the newest is taken.

    Raises:
        ServingError: there is no SavedModel, or it is not a detector's.
    """
    folder = _version_folder(Path(path))
    metadata = _read_metadata(folder)
    try:
        model = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServingError(f"{folder} cannot be loaded as a SavedModel: {error}") from error
    if not _NEEDED <= set(model.signatures):
        raise ServingError(
            f"{folder} is no detector: it lacks the signatures {', '.join(sorted(_NEEDED))}. "
            "Write it with `export_savedmodel(radar, path)`."
        )
    used = {name: model.signatures[name] for name in _USED & set(model.signatures)}
    return SavedDetector(folder, metadata, used)


class _Answer:
    """What the signature `explain` answers for one image, where a rule expects a `Detection`."""

    def __init__(self, pixels: npt.NDArray[np.uint8], found: dict[str, tf.Tensor]) -> None:
        images = tf.cast(pixels, tf.float32)
        self.prediction = types.SimpleNamespace(images=images)
        self._fields = {"images": images, **found}

    def fields(self) -> dict[str, tf.Tensor]:
        """See `Detection.fields`."""
        return {k: v for k, v in self._fields.items() if k not in ("valid", "is_adversarial")}


def _version_folder(path: Path) -> Path:
    if (path / MODEL_FILE).is_file():
        return path
    newest = max(versions_in(path).items(), default=(0, path))[1]
    if not (newest / MODEL_FILE).is_file():
        raise ServingError(
            f"There is no SavedModel in {newest}. Expected a folder with {MODEL_FILE}, or one "
            "with a folder for each version, 1, 2, ..., as `export_savedmodel` writes them."
        )
    return newest


def _read_metadata(folder: Path) -> dict[str, Any]:
    try:
        metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
        metadata["input_shape"], metadata["class_names"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"{folder} is no SavedModel of a detector: its {METADATA_FILE} is missing or not "
            f"readable ({type(error).__name__}: {error}). Write it with "
            "`export_savedmodel(radar, path)`."
        ) from error
    return metadata
