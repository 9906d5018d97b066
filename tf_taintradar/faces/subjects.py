"""Subjects with one sub-folder of photographs each: checked, and divided at random."""

import dataclasses
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tf_taintradar.errors import ImageError
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.images.files import read_upright
from tf_taintradar.images.folders import existing_folder, find_images
from tf_taintradar.images.pixels import Shape
from tf_taintradar.support.checks import check_integer
from tf_taintradar.support.files import sha256_of

_LOG = logging.getLogger(__name__)

_ENLARGED = 1 / 4  # of the network's input: smaller photographs hold too little of a face


@dataclasses.dataclass(frozen=True, eq=False)
class Subjects:
    """The people of a folder.

    Attributes:
        names: names of their sub-folders, sorted.
        photographs: all readable photographs, without duplicates.
        unreadable: files left out because they cannot be read or are too small.
        duplicates: files left out because an earlier file has the same content.
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

    def divide(
        self,
        input_shape: Shape,
        held_out: str | os.PathLike[str] | None,
        n_train: int,
        seed: int,
    ) -> tuple["Subjects", Photographs, Photographs]:
        """The subjects, their training photographs and the others, from one folder or from two.

        Args:
            input_shape: (H, W, 3) of the classifier.
            held_out: folder with the photographs to test with, see `add`; None: see `split`.
            n_train: see `split`.
            seed: see `split`.
        """
        if held_out is None:
            return self, *self.split(n_train, seed)
        both, test = self.add(held_out, input_shape)
        return both, self.photographs, test

    def add(
        self, folder: str | os.PathLike[str], input_shape: Shape
    ) -> tuple["Subjects", Photographs]:
        """These subjects with further photographs, and the further photographs alone.

        Args:
            folder: folder with sub-folders of the same names, for some of the subjects or all.
            input_shape: (H, W, 3) of the classifier.

        Raises:
            ImageError: a sub-folder is not named after one of the subjects, or holds one of these
                photographs.
        """
        people = _sub_folders(existing_folder(folder))
        unknown = [str(person) for person in people if person.name not in self.names]
        if unknown or not people:
            raise ImageError(
                f"{os.fspath(folder)!r} must hold sub-folders with the names of subjects, written "
                f"alike. It has {_listed(unknown) if unknown else 'none'}. The subjects: "
                f"{_listed(self.names)}."
            )
        found = _read(people, [self.names.index(person.name) for person in people], input_shape)
        ours, theirs = self.photographs, found.photographs
        twice = [
            file
            for file, content in zip(theirs.files, theirs.hashes, strict=True)
            if content in set(ours.hashes)
        ]
        if twice:
            raise ImageError(
                f"{os.fspath(folder)!r} must hold photographs that nobody is learnt from: a "
                f"subject is always known by such a one. Photographs of both: {_listed(twice)}. "
                "Remove them from one of the two folders."
            )
        both = Photographs(
            [*ours.files, *theirs.files],
            np.concatenate([ours.labels, theirs.labels]),
            [*ours.hashes, *theirs.hashes],
        )
        unreadable = [*self.unreadable, *found.unreadable]
        duplicates = [*self.duplicates, *found.duplicates]
        return Subjects(self.names, both, unreadable, duplicates), theirs


def find_subjects(folder: str | os.PathLike[str], input_shape: Shape) -> Subjects:
    """Finds the people whose photographs lie in the sub-folders of a folder, such as PubFig's.

    Every file is opened once. Unreadable files, copies of other files and photographs of less than
    a quarter of the network's input are left out, named in the log and listed in the result; files
    that are in no sub-folder are named in the log. Photographs should show one face each, upright
    and filling the frame; they are center-cropped and resized, not aligned: see `align`.

    Args:
        folder: folder with one sub-folder of photographs for each subject.
        input_shape: (H, W, 3) of the classifier.

    Returns:
        The people and their photographs.

    Raises:
        ImageError: the folder does not exist, has fewer than two sub-folders or two whose names
            differ in case only, or one of them holds no readable image.
    """
    root = existing_folder(folder)
    people = _sub_folders(root)
    if len(people) < 2:
        raise ImageError(
            f"{str(root)!r} must hold a sub-folder for each of at least two subjects. It has "
            f"{len(people)}."
        )
    _check_names(people)
    found = _read(people, range(len(people)), input_shape)
    _report("files that are in no sub-folder", sorted(p for p in root.iterdir() if p.is_file()))
    return found


def _sub_folders(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("*") if p.is_dir() and not p.name.startswith("."))


def _check_names(people: Sequence[Path]) -> None:
    """Refuses one person in two folders, or two whom some file systems take for one."""
    known: dict[str, str] = {}
    for name in (person.name for person in people):
        other = known.setdefault(name.casefold(), name)
        if other != name:
            raise ImageError(
                f"{str(people[0].parent)!r} must hold sub-folders whose names differ in more than "
                f"case. It has {other!r} and {name!r}. If they are one person, join them; if not, "
                "rename one."
            )


def _read(people: Sequence[Path], labels: Sequence[int], input_shape: Shape) -> Subjects:
    """The readable photographs of some people, each content once."""
    files: dict[str, tuple[Path, int]] = {}  # by content
    unreadable: list[Path] = []
    duplicates: list[Path] = []
    for person, label in zip(people, labels, strict=True):
        before = len(files)
        for file in find_images(person):
            content = sha256_of(file)
            if content in files:
                duplicates.append(file)
                continue
            try:
                _check_size(file, input_shape)
            except ImageError as error:
                _LOG.warning("left out: %s", error, extra={"unreadable": 1})
                unreadable.append(file)
                continue
            files[content] = file, label
        if len(files) == before:
            raise ImageError(f"{str(person)!r} holds no image that can be read.")
    _report("copies of other photographs", duplicates)
    numbers = np.array([label for _, label in files.values()], np.int64)
    photographs = Photographs([file for file, _ in files.values()], numbers, list(files))
    return Subjects([person.name for person in people], photographs, unreadable, duplicates)


def _check_size(file: Path, input_shape: Shape) -> None:
    """Refuses a photograph that cannot be read, or is far smaller than what the network takes."""
    height, width = read_upright(file).shape[:2]
    least = math.ceil(_ENLARGED * min(input_shape[:2]))
    if min(height, width) < least:
        raise ImageError(
            f"{str(file)!r} has {width} x {height} pixels, too few for a network that takes "
            f"{input_shape[1]} x {input_shape[0]}: at least {least} a side are needed."
        )


def _report(what: str, files: Sequence[Path]) -> None:
    if files:
        _LOG.warning("left out %d %s: %s", len(files), what, _listed(files))


def _listed(what: Sequence[object]) -> str:
    """The first five."""
    return ", ".join(map(str, what[:5]))
