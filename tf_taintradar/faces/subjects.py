"""Photographs of people: one sub-folder for each, checked, divided by seed."""

import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import existing_folder, find_images, read_image
from tf_taintradar.images.pixels import Shape
from tf_taintradar.support.checks import check_integer
from tf_taintradar.support.files import sha256_of

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Photographs:
    """Some photographs and whom they show.

    Attributes:
        files: n paths.
        labels: (n,) int64, the number of the subject, in the order of their names.
        hashes: n SHA-256 sums of the files.
    """

    files: list[Path]
    labels: npt.NDArray[np.int64]
    hashes: list[str]

    def take(self, index: npt.NDArray[np.integer]) -> "Photographs":
        """Those with these numbers."""
        return Photographs(
            [self.files[i] for i in index], self.labels[index], [self.hashes[i] for i in index]
        )

    def find(self, some: "Photographs") -> npt.NDArray[np.int64]:
        """Which of these some of them are: their numbers, in the order of `some`."""
        numbers = {content: i for i, content in enumerate(self.hashes)}
        return np.array([numbers[content] for content in some.hashes], np.int64)

    def folds(self, n: int, seed: int) -> Iterator[tuple["Photographs", "Photographs"]]:
        """N times all but a part of them, and that part; the parts have as many of each subject.

        Args:
            n: how many parts, at least 2.
            seed: of who is in which.
        """
        order = np.random.default_rng(seed).permutation(len(self.files))
        order = order[np.argsort(self.labels[order], kind="stable")]
        part_of = np.empty(len(order), np.int64)
        part_of[order] = np.arange(len(order)) % n
        for part in range(n):
            kept, left_out = np.flatnonzero(part_of != part), np.flatnonzero(part_of == part)
            yield self.take(kept), self.take(left_out)


@dataclasses.dataclass(frozen=True, eq=False)
class Subjects:
    """The people of a folder.

    Attributes:
        names: of their sub-folders, sorted.
        photographs: all that can be read, each once.
        unreadable: files that cannot be, which were left out.
        duplicates: files with the same content as an earlier one, which were left out.
    """

    names: list[str]
    photographs: Photographs
    unreadable: list[Path]
    duplicates: list[Path]

    def counts(self) -> dict[str, int]:
        """How many photographs there are of each."""
        numbers = np.bincount(self.photographs.labels, minlength=len(self.names))
        return dict(zip(self.names, numbers.tolist(), strict=True))

    def split(self, n_train: int, seed: int) -> tuple[Photographs, Photographs]:
        """`n_train` photographs of each subject, and all others.

        Raises:
            ValueError: a subject has too few: at least one more than `n_train` are needed.
        """
        check_integer("n_train", n_train, 1)
        few = {name: n for name, n in self.counts().items() if n <= n_train}
        if few:
            listed = ", ".join(f"{name} ({n})" for name, n in list(few.items())[:5])
            raise ValueError(
                "`n_train` must leave one photograph of each subject to test with. Received: "
                f"{n_train}. {len(few)} subjects have no more: {listed}. Take fewer, add "
                "photographs, or remove these subjects."
            )
        rng = np.random.default_rng(seed)
        parts: tuple[list[int], list[int]] = ([], [])
        for label in range(len(self.names)):
            own = rng.permutation(np.flatnonzero(self.photographs.labels == label))
            parts[0].extend(own[:n_train])
            parts[1].extend(own[n_train:])
        train, test = (self.photographs.take(np.sort(np.array(part))) for part in parts)
        return train, test


def find_subjects(folder: str | os.PathLike[str], input_shape: Shape) -> Subjects:
    """The people whose photographs lie in the sub-folders of a folder, such as PubFig's.

    Every file is opened once. What cannot be read, and copies of other files, are left out, named
    in the log and counted in the result. Photographs should show one face each, upright and filling
    the frame; they are cropped to the middle and resized, not aligned.

    Args:
        folder: one sub-folder for each subject.
        input_shape: (H, W, 3) of the classifier.

    Raises:
        ImageError: there is no such folder, it has fewer than two sub-folders, or one of them holds
            no image that can be read.
    """
    root = existing_folder(folder)
    people = sorted(p for p in root.glob("*") if p.is_dir() and not p.name.startswith("."))
    if len(people) < 2:
        raise ImageError(
            f"{str(root)!r} must hold a sub-folder for each of at least two subjects. It has "
            f"{len(people)}."
        )
    files: list[Path] = []
    labels: list[int] = []
    hashes: list[str] = []
    unreadable: list[Path] = []
    duplicates: list[Path] = []
    known: set[str] = set()
    for label, person in enumerate(people):
        before = len(files)
        for file in find_images(person):
            content = sha256_of(file)
            if content in known:
                duplicates.append(file)
                continue
            try:
                read_image(file, input_shape)
            except ImageError as error:
                _LOG.warning("left out: %s", error)
                unreadable.append(file)
                continue
            known.add(content)
            files.append(file)
            labels.append(label)
            hashes.append(content)
        if len(files) == before:
            raise ImageError(f"{str(person)!r} holds no image that can be read.")
    _report(duplicates)
    photographs = Photographs(files, np.array(labels), hashes)
    return Subjects([person.name for person in people], photographs, unreadable, duplicates)


def _report(duplicates: Sequence[Path]) -> None:
    if duplicates:
        shown = ", ".join(map(str, duplicates[:5]))
        _LOG.warning("left out %d copies of other photographs: %s", len(duplicates), shown)
