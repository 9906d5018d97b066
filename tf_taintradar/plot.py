"""Pictures from plain arrays. Every function returns a matplotlib Figure; pyplot is left alone.

Drawing needs matplotlib, which the extra `plot` installs.
"""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tf_taintradar.support.extras import import_extra
from tf_taintradar.support.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OUTLINE = "#ff2d55"
_CHARACTERS = 30  # of a headline, above one picture


def require_matplotlib() -> None:
    """Raises MissingExtraError if matplotlib is not installed; call it before long work."""
    new_figure(1, 1)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = import_extra("matplotlib.figure", feature="Drawing", extra="plot")
    return figure.Figure(figsize=(width, height), layout="constrained")


def panels(
    images: Sequence[npt.NDArray],
    titles: Sequence[str],
    *,
    overlays: Sequence[npt.NDArray | None],
    headline: str = "",
) -> "Figure":
    """One row of pictures.

    Args:
        images: the pictures, each (H, W, 3) or (H, W, 1), pixels 0..255.
        titles: a title for each.
        overlays: for each picture a bool region (H, W), which is outlined, a float map (H, W) >= 0,
            which is laid over it as a heat map, or None.
        headline: a title for the whole row.
    """
    figure = new_figure(2.6 * len(images), 3.6)
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for axis, image, title, overlay in zip(axes, images, titles, overlays, strict=True):
        axis.imshow(_displayable(image))
        if overlay is not None:
            _lay_over(axis, overlay)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.suptitle(textwrap.fill(headline, _CHARACTERS * len(images)), fontsize=11)
    return figure


def verdict(
    images: tuple[npt.NDArray, npt.NDArray],
    titles: tuple[str, str],
    *,
    region: npt.NDArray[np.bool_],
    score: float,
    threshold: float | None,
    benign: npt.NDArray[np.floating] | None,
    place: str,
    headline: str,
) -> "Figure":
    """An image beside itself without a region, above a ruler of scores.

    Args:
        images: the image and the image without the region, (H, W, 3) or (H, W, 1), pixels 0..255.
        titles: a title for each.
        region: (H, W), which is outlined on the first.
        score: of the image; the ruler is left out if it is not finite.
        threshold: a line on the ruler, if given.
        benign: (n,) scores of benign images, strokes on the ruler, if given.
        place: where the score lies among them, in words.
        headline: a title for the whole picture.
    """
    figure = new_figure(6.4, 5.4)
    parts: Any = figure.subfigures(2, 1, height_ratios=[3.4, 1])
    upper, ruler = parts
    for axis, image, title in zip(upper.subplots(1, 2), images, titles, strict=True):
        axis.imshow(_displayable(image))
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    if region.any() and not region.all():
        outline = {"colors": _OUTLINE, "linewidths": 2}
        upper.axes[0].contour(region.astype(float), levels=[0.5], **outline)
    if np.isfinite(score):
        _draw_ruler(ruler.subplots(), score, threshold, benign, place)
    figure.suptitle(textwrap.fill(headline, 70), fontsize=12)
    return figure


def _draw_ruler(
    axis: "Axes",
    score: float,
    threshold: float | None,
    benign: npt.NDArray[np.floating] | None,
    place: str,
) -> None:
    if benign is not None:
        axis.vlines(benign, 0, 1, color="#1f4e9c", alpha=0.15, linewidth=1, label="benign images")
    if threshold is not None:
        axis.axvline(threshold, color="black", linewidth=2, label="threshold")
    axis.plot(score, 0.5, "D", color=_OUTLINE, markeredgecolor="white", label="this image")
    axis.set_yticks([])
    axis.set_xlabel(f"score; {place}" if place else "score")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize=9)


def rate_surface(
    grid: npt.NDArray[np.float64],
    target: float | None,
    *,
    chosen: tuple[int, int],
    title: str,
) -> "Figure":
    """The share of images that are flagged over K and rank threshold.

    Args:
        grid: (k_max, thresholds) float in [0, 1]: row K - 1, column rank threshold.
        target: drawn as a contour line, if given.
        chosen: the (K, rank threshold) that is marked.
        title: of the picture.

    Source: the paper's Figure 3.
    """
    figure = new_figure(6.4, 4.2)
    from matplotlib.ticker import MaxNLocator

    axis = figure.subplots()
    k_max, n_thresholds = grid.shape
    ks, thresholds = np.arange(1, k_max + 1), np.arange(n_thresholds)
    surface = axis.pcolormesh(ks, thresholds, grid.T, shading="nearest", cmap="viridis")
    if target is not None and min(grid.shape) > 1 and grid.min() < target < grid.max():
        axis.contour(ks, thresholds, grid.T, levels=[target], colors="white")
    label = f"chosen: K = {chosen[0]}, threshold {chosen[1]}"
    axis.plot(*chosen, "o", color=_OUTLINE, markeredgecolor="white", label=label)
    if n_thresholds > 40:
        axis.set_yscale("symlog", linthresh=10)
    axis.set_ylim(-0.5, n_thresholds - 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("K, labels that take part")
    axis.set_ylabel("rank threshold")
    axis.set_title(title)
    axis.legend(loc="upper right")
    figure.colorbar(surface, ax=axis, label="share flagged")
    return figure


def fpr_curve(scores: npt.NDArray[np.float64], target_fpr: float, *, chosen: float) -> "Figure":
    """The false positive rate over the threshold.

    Args:
        scores: (n,) floats, the scores of benign images, largest first.
        target_fpr: drawn as a horizontal line.
        chosen: the threshold that is marked.
    """
    figure = new_figure(6.4, 4.2)
    axis = figure.subplots()
    rates = np.arange(len(scores)) / len(scores)
    axis.step(scores, rates, where="pre", color="#1f4e9c")
    axis.axhline(target_fpr, color="grey", linewidth=1, linestyle="--")
    label = f"chosen: {chosen:.3g}"
    axis.plot(chosen, (scores > chosen).mean(), "o", color=_OUTLINE, label=label)
    axis.set_xlabel("score threshold")
    axis.set_ylabel("false positive rate")
    axis.set_title(f"False positive rate on benign images (dashed: the target, {target_fpr:g})")
    axis.legend(loc="upper right")
    return figure


def roc_curves(
    curves: Mapping[str, tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]],
    *,
    title: str = "",
) -> "Figure":
    """The share of attacks detected over the false positive rate, which is drawn logarithmically.

    Args:
        curves: by name, the scores (n,) of benign images and (m,) of attacked ones.
        title: of the picture.
    """
    figure = new_figure(6.4, 4.8)
    axis = figure.subplots()
    for name, (benign, attacked) in curves.items():
        thresholds = np.append(np.sort(benign)[::-1], -np.inf)
        fpr = [(benign > t).mean() for t in thresholds]
        tpr = [(attacked > t).mean() for t in thresholds]
        axis.step(fpr, tpr, where="post", label=name)
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set_xticks(
        [0, 0.01, 0.03, 0.06, 0.1, 0.3, 1], ["0", "0.01", "0.03", "0.06", "0.1", "0.3", "1"]
    )
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3)
    axis.set_xlabel("false positive rate")
    axis.set_ylabel("detected attacks")
    axis.set_title(title)
    axis.legend(loc="lower right")
    return figure


def saved(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    """Writes the figure to `path` (PNG, PDF, ... by suffix), whole or not at all; returns it."""
    if path is not None:
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format=None if partial.suffix else "png")
    return figure


def _displayable(image: npt.NDArray) -> npt.NDArray[np.uint8]:
    pixels = np.clip(np.round(image), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _lay_over(axis: "Axes", overlay: npt.NDArray) -> None:
    if overlay.dtype != bool:
        axis.imshow(overlay, cmap="inferno", alpha=0.65)
        return
    dimmed = np.zeros((*overlay.shape, 4))
    dimmed[~overlay, 3] = 0.55
    axis.imshow(dimmed)
    if overlay.any() and not overlay.all():
        axis.contour(overlay.astype(float), levels=[0.5], colors=_OUTLINE, linewidths=1.2)
