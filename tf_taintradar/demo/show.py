"""The demo: attacks a small classifier, runs its detector, and counts and draws the results."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tf_taintradar import plot
from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
from tf_taintradar.model import TaintRadarModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLACES = (
    Path(__file__).parent / "detector",  # in an installed package
    Path(__file__).parents[2] / "savedmodels" / "demo",  # in a checkout
)
_TARGET = CLASS_NAMES.index("striped star")  # the label that the attacker wants
_UNIVERSAL: dict[str, Any] = {"diameter": 0.4, "place": "bottom_right"}
_PARTIAL: dict[str, Any] = {"diameter": 0.3, "place": (6, 6)}
_SHOWN, _EXPLAINED = 8, 2  # number of scenes on the contact sheet, and of explanations


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Counts of the images of one kind.

    Attributes:
        kind: "benign", "universal patch" or "partial patches".
        n_images: number of images.
        right: number of images that the classifier gets right.
        judged: number of images that count for the detector: all benign images, and attacked ones
            that fool the classifier.
        flagged: number of judged images that are flagged as adversarial.
        recovered: number of flagged images whose recovered label is right.
        verdicts: by picture, the sentence about each image that is explained.
    """

    kind: str
    n_images: int
    right: int
    judged: int
    flagged: int
    recovered: int
    verdicts: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class _Group:
    """Images of one kind, their true labels (n,) and the result of `TaintRadarModel.predict`."""

    kind: str
    images: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.int32]
    answers: dict[str, npt.NDArray[Any]]

    def take(self, index: npt.NDArray[np.intp]) -> "_Group":
        """The images with these indices."""
        answers = {name: values[index] for name, values in self.answers.items()}
        return _Group(self.kind, self.images[index], self.truth[index], answers)

    def outcome(self) -> Outcome:
        """The counts of the group."""
        label, recovered = self.answers["label"], self.answers["recovered_label"]
        judged = np.full(label.shape, True) if self.kind == "benign" else label == _TARGET
        flagged = judged & self.answers["is_adversarial"]
        return Outcome(
            kind=self.kind,
            n_images=len(label),
            right=int((label == self.truth).sum()),
            judged=int(judged.sum()),
            flagged=int(flagged.sum()),
            recovered=int((flagged & (recovered == self.truth)).sum()),
        )


def detector_file() -> Path:
    """The path of the demo's detector, in the installed package or beside it in a checkout.

    Raises:
        FileNotFoundError: the detector is in neither place.
    """
    files = [place / "detector.keras" for place in _PLACES]
    for file in files:
        if file.is_file():
            return file
    raise FileNotFoundError(f"The demo's detector is missing; looked for {files[0]}, {files[1]}.")


def show(
    radar: TaintRadarModel,
    output: Path,
    *,
    n_images: int = 64,
    n_partial: int = 16,
    steps: int = 100,
    seed: int = 2021,
    verbose: int = 0,
) -> list[Outcome]:
    """Draws scenes, attacks the detector's classifier on them, and runs the detector on all.

    Args:
        radar: a detector with a threshold around the demo's classifier, which takes scenes.
        output: folder for the pictures: `contact-sheet.png`, and two images of each kind, flagged
            ones first: the verdict, for instance `universal-1.png`, and `universal-1-steps.png`.
        n_images: number of scenes. The ones that the classifier gets right are attacked by one
            universal patch, which is trained on the same number of other scenes.
        n_partial: number of scenes for which a patch is made individually.
        steps: number of steps of each attack.
        seed: random seed of the scenes and the attacks; the demo's classifier and detector were
            made with other seeds.
        verbose: 0 for silence, 1 for the progress bars of the attacks.

    Returns:
        The counts of benign images, of the universal patch, and of the partial patches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    plot.require_matplotlib()  # before the work
    output.mkdir(parents=True, exist_ok=True)
    images, truth = draw_scenes(n_images, seed=seed)
    benign = _look("benign", radar, images, truth)
    victims = np.flatnonzero((benign.answers["label"] == truth) & (truth != _TARGET))
    images, truth = images[victims], truth[victims]

    def attack(**settings: Any) -> AdversarialPatch:
        common: dict[str, Any] = {"target_class": _TARGET, "steps": steps, "seed": seed}
        return AdversarialPatch(radar.opened, **common, **settings)

    universal = attack(**_UNIVERSAL)
    patches = universal.universal(draw_scenes(n_images, seed=seed + 1)[0], verbose=verbose).patches
    partial = attack(**_PARTIAL).partial(images[:n_partial], verbose=verbose)
    groups = [
        benign,
        _look("universal patch", radar, universal.apply(patches, images).images, truth),
        _look("partial patches", radar, partial.images, truth[:n_partial]),
    ]
    verdicts = _draw(radar, [benign.take(victims), *groups[1:]], output)
    outcomes = [group.outcome() for group in groups]
    return [dataclasses.replace(one, verdicts=verdicts[one.kind]) for one in outcomes]


def _look(
    kind: str, radar: TaintRadarModel, images: npt.NDArray[np.uint8], truth: npt.NDArray[np.int32]
) -> _Group:
    return _Group(kind, images, truth, radar.predict(images, verbose=0))


def _draw(
    radar: TaintRadarModel, groups: Sequence[_Group], output: Path
) -> dict[str, dict[str, str]]:
    """Writes the pictures; the groups show the same scenes in the same order.

    Returns the sentences about the images that are explained, by kind and picture.
    """
    verdicts: dict[str, dict[str, str]] = {group.kind: {} for group in groups}
    plot.saved(_contact_sheet(groups), output / "contact-sheet.png")
    for group in groups:
        flagged_first = np.argsort(~group.answers["is_adversarial"], kind="stable")
        for i, image in enumerate(group.images[flagged_first[:_EXPLAINED]], start=1):
            name = f"{group.kind.split()[0]}-{i}"
            explanation = radar.explain(image)
            explanation.plot(output / f"{name}-steps.png")
            explanation.verdict.plot(output / f"{name}.png")
            verdicts[group.kind][f"{name}.png"] = str(explanation.verdict)
    return verdicts


def _contact_sheet(groups: Sequence[_Group]) -> "Figure":
    """A figure with a row for each kind of images; titles of flagged images are red."""
    figure = plot.new_figure(1.6 * _SHOWN, 2.1 * len(groups))
    for row, group in zip(figure.subplots(len(groups), _SHOWN), groups, strict=True):
        for axis in row:
            axis.set_axis_off()
        for axis, image, label, flagged in zip(
            row, group.images, group.answers["label"], group.answers["is_adversarial"], strict=False
        ):
            axis.imshow(image)
            verdict = "ADVERSARIAL" if flagged else "benign"
            axis.set_title(
                f"{CLASS_NAMES[label]}\n{verdict}", fontsize=8, color="red" if flagged else "green"
            )
        row[0].text(
            -0.1, 0.5, group.kind, rotation=90, ha="right", va="center", transform=row[0].transAxes
        )
    return figure
