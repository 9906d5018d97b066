"""Curves that only the benchmarks draw."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from tf_taintradar import plot


def removal_curves(
    areas: npt.NDArray[np.floating],
    effects: Mapping[str, Mapping[str, npt.NDArray[np.floating]]],
    *,
    title: str = "",
) -> Figure:
    """What happens to the predicted label as more and more of an image is taken away.

    Args:
        areas: (s,) the removed shares of the image, ascending, in [0, 1].
        effects: for each quantity, which gets its own axes, and each kind of images: (n, s) floats.
            The line is the median image, the band the middle 80 % of them.
        title: of the picture.

    Source: the paper's Figure 1.
    """
    figure = plot.new_figure(5.4 * len(effects), 4.2)
    for axis, (quantity, kinds) in zip(
        figure.subplots(1, len(effects), squeeze=False)[0], effects.items(), strict=True
    ):
        for name, values in kinds.items():
            low, middle, high = np.quantile(values, (0.1, 0.5, 0.9), axis=0)
            (line,) = axis.plot(100 * areas, middle, marker=".", label=f"{name} ({len(values)})")
            axis.fill_between(100 * areas, low, high, color=line.get_color(), alpha=0.12)
        if max(values.max() for values in kinds.values()) > 100:  # ranks, not nats
            axis.set_yscale("symlog", linthresh=10)
        axis.grid(alpha=0.3)
        axis.set_xlabel("removed, % of the image")
        axis.set_ylabel(quantity)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8
    )
    figure.suptitle(title, fontsize=11)
    return figure


def overlap_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str = ""
) -> Figure:
    """Whether attackers can draw the critical region away from their patch.

    Args:
        curves: by name, the weights lambda (m,) >= 0 and the mean intersection over union (m,) of
            critical region and patch, in [0, 1].
        title: of the picture.

    Source: section VII-A of the paper, which plots IoU against lambda.
    """
    figure = plot.new_figure(6.4, 4.2)
    axis = figure.subplots()
    for name, (weights, overlaps) in curves.items():
        axis.plot(weights, overlaps, marker="o", label=name)
    axis.set_xscale("symlog", linthresh=1)
    axis.set_ylim(0, 1)
    axis.grid(alpha=0.3)
    axis.set_xlabel("lambda, the weight of misleading")
    axis.set_ylabel("IoU of critical region and patch")
    axis.set_title(title)
    axis.legend()
    return figure
