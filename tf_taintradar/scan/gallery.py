"""The most suspicious images of a scan as one self-contained page."""

from __future__ import annotations

import base64
import heapq
import io
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import read_upright
from tf_taintradar.scan.finding import NOT_FINITE, Finding
from tf_taintradar.scan.items import Item
from tf_taintradar.scan.page import SIDE, Card, page
from tf_taintradar.scan.summary import Summary
from tf_taintradar.support.checks import require
from tf_taintradar.support.files import replacing

MOST_IMAGES = 500
"""That a page shows."""

_QUALITY = 75  # of JPEG


class Gallery:
    """Collects the most suspicious findings of a scan, and writes the page.

    Args:
        path: Where to write it; the name ends in `.html`.

    Raises:
        ValueError: The name ends in something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        require(self._path.suffix == ".html", "path", os.fspath(path), "a name that ends in .html")
        self._heap: list[tuple[float, int, Finding]] = []
        self._numbers = itertools.count(0, -1)  # of equal scores the first found

    def watch(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings as they come; those with the highest scores are remembered."""
        for finding in findings:
            if finding.is_adversarial is not None:
                entry = (_suspicion(finding), next(self._numbers), finding)
                keep = heapq.heappush if len(self._heap) < MOST_IMAGES else heapq.heappushpop
                keep(self._heap, entry)
            yield finding

    def write(self, items: Mapping[str, Item], summary: Summary) -> None:
        """Reads the images again, and writes the page.

        Args:
            items: The items of the scan, by name. Images that can no longer be read are left out.
            summary: The counts of the whole scan.
        """
        ranked = [finding for _, _, finding in sorted(self._heap, reverse=True)]
        cards = filter(None, (_card(finding, items[finding.path]) for finding in ranked))
        with replacing(self._path) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(page(list(cards), str(summary)))


def _suspicion(finding: Finding) -> float:
    """What findings are ordered by: the score; before all scores, answers that are not finite."""
    return math.inf if finding.status == NOT_FINITE or finding.score is None else finding.score


def _card(finding: Finding, item: Item) -> Card | None:
    try:
        image = read_upright(item.name, contents=item.read())
    except (ImageError, OSError):
        return None
    height, width = image.shape[:2]
    box = finding.box
    part = box and (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    return Card(finding, _thumbnail(image), (width, height), part)


def _thumbnail(image: npt.NDArray[np.uint8]) -> str:
    """An image (H, W, 3), made small, as the address of a picture within a page."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
