"""Photographs with their labels, and parts of them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs and their labels.

    Attributes:
        files: n paths.
        labels: (n,) int64, index of the subject in the order of names.
        hashes: n SHA-256 sums of the files.
    """

    files: list[Path]
    labels: npt.NDArray[np.int64]
    hashes: list[str]

    def take(self, index: npt.NDArray[np.integer]) -> "Photographs":
        """The photographs with these indices."""
        return Photographs(
            [self.files[i] for i in index], self.labels[index], [self.hashes[i] for i in index]
        )

    def find(self, some: "Photographs") -> npt.NDArray[np.int64]:
        """The indices of the photographs `some` among these, in the order of `some`."""
        numbers = {content: i for i, content in enumerate(self.hashes)}
        return np.array([numbers[content] for content in some.hashes], np.int64)

    def folds(self, n: int, seed: int) -> Iterator[tuple["Photographs", "Photographs"]]:
        """Divides the photographs into parts, and yields all but one part, and that part.

        The parts have the same number of photographs of each subject, give or take one.

        Args:
            n: number of parts, at least 2.
            seed: random seed of the division.
        """
        order = np.random.default_rng(seed).permutation(len(self.files))
        order = order[np.argsort(self.labels[order], kind="stable")]
        part_of = np.empty(len(order), np.int64)
        part_of[order] = np.arange(len(order)) % n
        for part in range(n):
            kept, left_out = np.flatnonzero(part_of != part), np.flatnonzero(part_of == part)
            yield self.take(kept), self.take(left_out)
