"""A verdict for a person who has to decide: one sentence, one picture, one page."""

import base64
import dataclasses
import html
import io
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.support.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }}
th {{ text-align: left; padding-right: 2rem; font-weight: normal }}</style>
<h1>{title}</h1>
<p>{sentence}</p>
<p><img src="data:image/png;base64,{picture}" alt="{sentence}"></p>
<table>
{rows}
</table>
</html>
"""
_TITLES = {True: "Probably an attack", False: "No sign of an attack", None: "No verdict"}


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What a person needs to decide about an image; `str` gives it as one sentence.

    Attributes:
        image: (H, W, c) float32, raw pixels 0..255.
        region: (H, W) bool, the region that is removed.
        cleaned_image: (H, W, c) float32, the image without it.
        said: the label that the classifier answers, by name, and its probability in [0, 1].
        said_without: the same without the region.
        score: what the threshold is compared with; NaN if the classifier's answers are not finite.
        is_adversarial: the decision; None if the detector has no threshold.
        threshold: an image is adversarial if its score is above this; None: not known.
        benign_scores: (n,) float64, the scores of the calibration images; None: not known.
    """

    image: npt.NDArray[np.float32]
    region: npt.NDArray[np.bool_]
    cleaned_image: npt.NDArray[np.float32]
    said: tuple[str, float]
    said_without: tuple[str, float]
    score: float
    is_adversarial: bool | None
    threshold: float | None = None
    benign_scores: npt.NDArray[np.float64] | None = None

    def __str__(self) -> str:
        """The decision and the reason, in one sentence."""
        if not math.isfinite(self.score):
            return "Cannot be judged: the classifier's answer is not finite."
        sees = f"{_TITLES[self.is_adversarial]}: the classifier sees {_named(self.said)}"
        without = _named(self.said_without)
        is_same = self.said[0] == self.said_without[0]
        if self.is_adversarial and is_same:
            return f"{sees}, and depends on the outlined region more than benign images do."
        if self.is_adversarial:
            return f"{sees} because of the outlined region, and without it {without}."
        if is_same:
            return f"{sees}, with or without the outlined region."
        return f"{sees}, and without the outlined region {without}."

    @property
    def place(self) -> str:
        """Where the score lies among benign images, in words; empty if they are not known."""
        if self.benign_scores is None:
            return ""
        higher = int((self.benign_scores >= self.score).sum())
        return f"{higher:,} of {len(self.benign_scores):,} benign images score as high"

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draws the image with its region outlined, the image without it, and a ruler of scores.

        Args:
            path: file of the picture to write; None: none.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        figure = plot.verdict(
            (self.image, self.cleaned_image),
            (f"classified as\n{_named(self.said)}", f"without\n{_named(self.said_without)}"),
            region=self.region,
            score=self.score,
            threshold=self.threshold,
            benign=self.benign_scores,
            place=self.place,
            headline=str(self),
        )
        return plot.saved(figure, path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The sentence, the picture and the figures as one self-contained HTML page.

        Args:
            path: file to write the page to; None: none.

        Returns:
            The page.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=110)
        facts = {
            "Classified as": _named(self.said),
            "Without the outlined region": _named(self.said_without),
            "Score": f"{self.score:.3g}",
            "Threshold": "-" if self.threshold is None else f"{self.threshold:.3g}",
            "Beside benign images": self.place or "-",
        }
        rows = (f"<tr><th>{name}<td>{html.escape(fact)}" for name, fact in facts.items())
        page = _PAGE.format(
            title=_TITLES[self.is_adversarial],
            sentence=html.escape(str(self)),
            picture=base64.b64encode(picture.getvalue()).decode(),
            rows="\n".join(rows),
        )
        if path is not None:
            with replacing(path) as partial:
                partial.write_text(page, encoding="utf-8")
        return page


def _named(answer: tuple[str, float]) -> str:
    name, probability = answer
    return f"{name} ({probability:.0%})"
