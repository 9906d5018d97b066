"""Photographs of people, in one sub-folder for each, checked and divided at random."""

import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tf_taintradar.errors import ImageError
from tf_taintradar.images.files import read_image
from tf_taintradar.images.folders import existing_folder, find_images
from tf_taintradar.images.pixels import Shape
from tf_taintradar.support.checks import check_integer
from tf_taintradar.support.files import sha256_of

_LOG = logging.getLogger(__name__)


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


@dataclasses.dataclass(frozen=True, eq=False)
class Subjects:
    """The people of a folder.

    Attributes:
        names: names of their sub-folders, sorted.
        photographs: all readable photographs, without duplicates.
        unreadable: files that were left out because they cannot be read.
        duplicates: files that were left out because an earlier file has the same content.
    """

    names: list[str]
    photographs: Photographs
    unreadable: list[Path]
    duplicates: list[Path]

    def counts(self) -> dict[str, int]:
        """The number of photographs of each subject."""
        numbers = np.bincount(self.photographs.labels, minlength=len(self.names))
        return dict(zip(self.names, numbers.tolist(), strict=True))

    def split(self, n_train: int, seed: int) -> tuple[Photographs, Photographs]:
        """Divides the photographs into training and test photographs.

        Args:
            n_train: number of training photographs of each subject, >= 1.
            seed: random seed of the division.

        Returns:
            The training photographs, and all others.

        Raises:
            ValueError: a subject has fewer than `n_train` + 1 photographs.
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
    """Finds the people whose photographs lie in the sub-folders of a folder, such as PubFig's.

    Every file is opened once. Unreadable files and copies of other files are left out, named in the
    log and listed in the result; files that are in no sub-folder are named in the log. Photographs
    should show one face each, upright and filling the frame; they are center-cropped and resized,
    not aligned.

    Args:
        folder: folder with one sub-folder of photographs for each subject.
        input_shape: (H, W, 3) of the classifier.

    Returns:
        The people and their photographs.

    Raises:
        ImageError: the folder does not exist, has fewer than two sub-folders, or one of them holds
            no readable image.
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
                _LOG.warning("left out: %s", error, extra={"unreadable": 1})
                unreadable.append(file)
                continue
            known.add(content)
            files.append(file)
            labels.append(label)
            hashes.append(content)
        if len(files) == before:
            raise ImageError(f"{str(person)!r} holds no image that can be read.")
    _report("copies of other photographs", duplicates)
    _report("files that are in no sub-folder", sorted(p for p in root.iterdir() if p.is_file()))
    photographs = Photographs(files, np.array(labels), hashes)
    return Subjects([person.name for person in people], photographs, unreadable, duplicates)


def _report(what: str, files: Sequence[Path]) -> None:
    if files:
        shown = ", ".join(map(str, files[:5]))
        _LOG.warning("left out %d %s: %s", len(files), what, shown)
