"""Attacks on disk: pictures that can be viewed, printed and loaded again."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from tf_taintradar.attacks.masks import Mask, read_rgba
from tf_taintradar.attacks.result import AttackResult
from tf_taintradar.errors import ImageError
from tf_taintradar.support.checks import check_positive
from tf_taintradar.support.files import replacing, require_new_folder

Pixels = npt.NDArray[np.uint8]
_MM_PER_INCH = 25.4


def save_attack(
    result: AttackResult,
    folder: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    width_mm: float | None = None,
) -> Path:
    """Writes the result of an attack to a new folder, either completely or not at all.

    `images/NAME.png` are the attacked images, `patches/NAME.png` the patches, transparent where
    nothing is painted (`patches/universal.png` if all images share one), and `attack.json` is the
    record: the labels of each image, the places of its patch and whether the attack succeeded.

    Args:
        result: the result of an attack.
        folder: path of the folder, which must not exist or be empty.
        names: n names of the images, without folder and suffix; by default 0000, 0001, ...
        width_mm: width of a printed patch in millimeters. It is stored as the resolution of the
            picture, so that programs print it at this size.

    Returns:
        The folder.

    Raises:
        FileExistsError: `folder` is not empty.
        ValueError: `names` does not hold a different name for each image, or `width_mm` is not
            positive.
    """
    folder = Path(folder)
    require_new_folder(folder)
    n_images = len(result.images)
    names = [f"{i:04d}" for i in range(n_images)] if names is None else list(names)
    if len(set(names)) != n_images or len(names) != n_images:
        raise ValueError(f"`names` must be {n_images} different names. Received: {names}.")
    if width_mm is not None:
        check_positive("width_mm", width_mm)
    of_patches = ["universal"] if _is_universal(result) else names
    options: dict[str, Any] = {}
    if width_mm is not None:
        options["dpi"] = 2 * (result.mask.shape[1] / width_mm * _MM_PER_INCH,)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial:
        for kind in ("images", "patches"):
            (partial / kind).mkdir(parents=True)
        for name, pixels in zip(names, result.images, strict=True):
            _picture(pixels).save(partial / "images" / f"{name}.png")
        for name, pixels in zip(of_patches, result.patches, strict=True):
            _cut_out(pixels, result.mask).save(partial / "patches" / f"{name}.png", **options)
        record = json.dumps(_record(result, names), indent=2)
        (partial / "attack.json").write_text(record + "\n", encoding="utf-8")
    return folder


def load_patch(path: str | os.PathLike[str]) -> tuple[Pixels, Mask]:
    """Loads a patch from a picture that `save_attack` wrote, or any picture with transparency.

    To paste it, make an attack with its mask, `AdversarialPatch(classifier, shape=mask, ...)`, and
    call `apply(patch[np.newaxis], images)`.

    Args:
        path: path of the picture; nothing is painted where it is transparent.

    Returns:
        The patch (h, w, 3) uint8, black where nothing is painted, and its mask (h, w) uint8, 0/1.

    Raises:
        ImageError: the file cannot be read as a picture, or is transparent everywhere.
    """
    pixels, _ = read_rgba(path)
    mask = (pixels[..., 3] > 0).astype(np.uint8)
    if not mask.any():
        raise ImageError(f"{os.fspath(path)!r} is transparent everywhere: it holds no patch.")
    return pixels[..., :3] * mask[..., np.newaxis], mask


def resize_patches(patches: npt.ArrayLike, mask: Mask, size: tuple[int, int]) -> Pixels:
    """Resizes patches, for an attack with another `diameter`.

    Args:
        patches: (k, h, w, c) raw pixels, 0..255.
        mask: (h, w) uint8, 1 where the patches are painted.
        size: (height, width) of the result in pixels, as in the other attack's `patch_shape`.

    Returns:
        (k, height, width, c) uint8: antialiased bilinear interpolation of the painted pixels only,
        which keeps black out of the edge of the mask; black far from painted pixels.

    Raises:
        ImageError: `patches` and `mask` differ in size.
    """
    pixels = np.asarray(patches, np.float32)
    if pixels.ndim != 4 or pixels.shape[1:3] != mask.shape:
        raise ImageError(
            f"`patches` must have shape (k, h, w, c) with the mask's (h, w) = {mask.shape}. "
            f"Received: {pixels.shape}."
        )
    weight = mask[np.newaxis, ..., np.newaxis].astype(np.float32)
    painted = tf.image.resize(pixels * weight, size, antialias=True)
    share = tf.image.resize(weight, size, antialias=True)
    resized = tf.math.divide_no_nan(painted, share)
    return np.rint(np.clip(resized, 0, 255)).astype(np.uint8)


def _is_universal(result: AttackResult) -> bool:
    return len(result.patches) == 1 and len(result.images) > 1


def _picture(pixels: Pixels) -> Image.Image:
    """A gray or RGB picture of pixels (h, w, 1 or 3)."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _cut_out(pixels: Pixels, mask: Mask) -> Image.Image:
    picture = _picture(pixels).convert("RGBA")
    picture.putalpha(Image.fromarray(mask * np.uint8(255)))
    return picture


def _record(result: AttackResult, names: Sequence[str]) -> dict[str, Any]:
    steps = np.broadcast_to(result.steps, len(names))
    images = [
        {
            "name": name,
            "success": bool(result.success[i]),
            "label": int(result.labels[i]),
            "clean_label": int(result.clean_labels[i]),
            "steps": int(steps[i]),
            "top_left": result.top_left[i].tolist(),
        }
        for i, name in enumerate(names)
    ]
    return {
        "target_class": np.asarray(result.target_class).tolist(),
        "success_rate": result.success_rate,
        "images": images,
    }
