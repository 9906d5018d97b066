"""False and true positive rates on real networks, ImageNet images and localized patches.

Calibrates on the first half of the images, counts false positives on the other half and detections
on every set of attacks. Attacks of a set may lie on images of either half.
"""

import csv
import dataclasses
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import typer
from PIL import Image
from report import setting, table, write_json

from tf_taintradar import TaintRadarModel
from tf_taintradar.calibration import wilson_interval
from tf_taintradar.images import PixelScaling

SHARED = Path(__file__).parents[1].parent / "shared"
NETWORKS = {"squeezenet_v1_1": "squeezenet", "mobilenet_v2": "tf"}  # with their preprocessors
SQUEEZENET = {"reverse_channels": True, "mean": (104, 117, 123)}
STRICT = {"top_k": 9, "rank_threshold": 2}  # the paper's setting for scenes
TARGETS = [0.06]

Pixels = npt.NDArray[np.uint8]


class Sample(NamedTuple):
    """A set of images, benign or attacked, and the detector's answers to them.

    Attributes:
        name: what the set is called.
        truth: (n,) the true labels.
        found: the arrays of `TaintRadarModel.predict`.
        empty: share of images with an empty tainted region.
        target: the label that the attack aims at; None if benign.
    """

    name: str
    truth: npt.NDArray[np.int64]
    found: dict[str, npt.NDArray[Any]]
    empty: float
    target: int | None = None


@dataclasses.dataclass
class Row:
    """One line of the table. Rates are fractions in [0, 1].

    Attributes:
        network: name of the model file.
        setting: how K and the threshold were found.
        top_k: K.
        rank_threshold: an image is flagged above it.
        images: name of the set.
        n: number of images.
        fooled: share of attacked images with the target's label; for benign ones, of wrong labels.
        flagged: share flagged: the FPR of benign images, the TPR of attacked ones.
        interval: its 95 % interval (Wilson).
        empty: share of images with an empty tainted region.
        auroc: of the score against the benign images; None for those themselves.
        recovered: share of flagged images whose recovered label is the true one; None if none is.
    """

    network: str
    setting: str
    top_k: int
    rank_threshold: int
    images: str
    n: int
    fooled: float
    flagged: float
    interval: tuple[float, float]
    empty: float
    auroc: float | None
    recovered: float | None


def main(
    model: Annotated[
        Path | None, typer.Option(help="a Keras model file; both of ../shared")
    ] = None,
    preprocessor: Annotated[str, typer.Option(help="'squeezenet', or a name of TaintRadar")] = "tf",
    images: Annotated[Path, typer.Option(help="folder")] = SHARED / "data/imagenet_dev",
    labels: Annotated[Path, typer.Option(help="csv: file, label")] = SHARED
    / "data/imagenet_dev.csv",
    attacks: Annotated[Path, typer.Option(help="folder of MODEL/SET.npz")] = SHARED
    / "data/attacks",
    target_fpr: Annotated[list[float], typer.Option(help="may be repeated")] = TARGETS,
    limit: Annotated[int | None, typer.Option(help="only so many images and attacks")] = None,
    batch_size: int = 16,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Row]:
    """Measure detection on a network, by default on the two of ../shared; print the table."""
    networks = {model: preprocessor} if model else _shared_networks()
    for path in (*networks, images, labels, attacks):
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist. See benchmarks/README.md.")
    rows: list[Row] = []
    for path, name in networks.items():
        bench = Bench(path, name, images, labels, limit, batch_size)
        rows += bench.run(sorted((attacks / path.stem).glob("*.npz")), target_fpr)
        if output:
            write_json(output, {"setting": setting(), "rows": [vars(row) for row in rows]})
    print(f"\n{setting()}\n\n{as_table(rows)}")
    return rows


class Bench:
    """One network with its images; see `main` for the arguments."""

    def __init__(
        self,
        model: Path,
        preprocessor: str,
        images: Path,
        labels: Path,
        limit: int | None,
        batch_size: int,
    ) -> None:
        self.name = model.stem
        scaling = PixelScaling(**SQUEEZENET) if preprocessor == "squeezenet" else preprocessor
        classifier = keras.models.load_model(model, compile=False)
        self.radar = TaintRadarModel(classifier, preprocessor=scaling)
        self.limit, self.batch_size = limit, batch_size
        with labels.open(newline="") as file:
            entries = list(csv.DictReader(file))
        self.truth = np.array([int(entry["label"]) for entry in entries])
        self.crops = [
            centre_crop(images / entry["file"], classifier.input_shape[1:3]) for entry in entries
        ]

    def run(self, attacks: list[Path], targets: list[float]) -> list[Row]:
        """The lines for this network: each calibrated setting, then the paper's."""
        half = len(self.crops) // 2
        benign = np.stack(self.crops[:half][: self.limit])
        rows = []
        for target in targets:
            self.radar.calibrate(benign, target, batch_size=self.batch_size, verbose=0)
            rows += self._measure(f"calibrated, {target:.0%} FPR", attacks, half)
        self.radar.top_k, self.radar.rank_threshold = STRICT.values()
        return rows + self._measure("the paper's", attacks, half)

    def _measure(self, setting: str, attacks: list[Path], half: int) -> list[Row]:
        rest = np.arange(half, len(self.crops))[: self.limit]
        benign = self._sample("benign", np.stack([self.crops[i] for i in rest]), rest, None)
        rows = [self._row(setting, benign, None)]
        for path in attacks:
            with np.load(path) as attack:
                attacked = attacked_images(self.crops, attack)[: self.limit]
                index = attack["image"][: self.limit]
                sample = self._sample(path.stem, attacked, index, int(attack["target"]))
            rows.append(self._row(setting, sample, benign))
            print(f"{self.name}, {setting}: {sample.name} {rows[-1].flagged:.0%}", flush=True)
        return rows

    def _sample(
        self, name: str, images: Pixels, index: npt.NDArray[np.int64], target: int | None
    ) -> Sample:
        found = self.radar.predict(images, batch_size=self.batch_size, verbose=0)
        seen = self.radar.diagnose(images, batch_size=self.batch_size)
        return Sample(name, self.truth[index], found, seen.empty_tainted, target)

    def _row(self, setting: str, sample: Sample, benign: Sample | None) -> Row:
        found, flags = sample.found, sample.found["is_adversarial"]
        is_fooled = found["label"] != sample.truth
        if sample.target is not None:
            is_fooled = found["label"] == sample.target
        is_recovered = found["recovered_label"] == sample.truth
        return Row(
            network=self.name,
            setting=setting,
            top_k=self.radar.top_k,
            rank_threshold=self.radar.rank_threshold,
            images=sample.name,
            n=len(flags),
            fooled=float(is_fooled.mean()),
            flagged=float(flags.mean()),
            interval=wilson_interval(int(flags.sum()), len(flags)),
            empty=sample.empty,
            auroc=auroc(benign.found["score"], found["score"]) if benign else None,
            recovered=float(is_recovered[flags].mean()) if flags.any() else None,
        )


def centre_crop(path: Path, size: tuple[int, int]) -> Pixels:
    """The centre (H, W, 3) uint8 of an RGB image file that is at least as large."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    top, left = ((have - want) // 2 for have, want in zip(pixels.shape, size, strict=False))
    if min(top, left) < 0:
        raise ValueError(f"{path} is {pixels.shape[:2]}, smaller than the network's input {size}.")
    return pixels[top : top + size[0], left : left + size[1]]


def attacked_images(crops: list[Pixels], attack: Any) -> Pixels:
    """(m, H, W, 3): the patches pasted at their places.

    Args:
        crops: images (H, W, 3).
        attack: `patches` (n, d, d, 3), `mask` (d, d) of 0 and 1; for each of m attacks `patch_of`
            and `image`, the numbers of its patch and its image, and `top_left` (m, places, 2).
    """
    attacked = np.stack([crops[i] for i in attack["image"]])
    inside = attack["mask"].astype(bool)
    height, width = inside.shape
    for image, patch, places in zip(
        attacked, attack["patches"][attack["patch_of"]], attack["top_left"], strict=True
    ):
        for top, left in places:
            image[top : top + height, left : left + width][inside] = patch[inside]
    return attacked


def auroc(benign: npt.NDArray[Any], attacked: npt.NDArray[Any]) -> float:
    """The chance that an attacked image scores above a benign one; a tie counts one half."""
    ordered = np.sort(benign)
    below = np.searchsorted(ordered, attacked, "left") + np.searchsorted(ordered, attacked, "right")
    return float(below.mean() / (2 * len(benign)))


def as_table(rows: list[Row]) -> str:
    """The rows as Markdown: FPR on benign images, TPR on attacked ones."""
    header = "network, setting|K, threshold|images|n|wrong / hit|flagged|95 % interval"
    header += "|empty region|AUROC|recovered"
    return table(header.split("|"), (_cells(row) for row in rows))


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    return [
        f"{row.network}, {row.setting}",
        f"{row.top_k}, {row.rank_threshold}",
        row.images,
        str(row.n),
        f"{row.fooled:.0%}",
        f"{row.flagged:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{row.empty:.0%}",
        "-" if row.auroc is None else f"{row.auroc:.3f}",
        "-" if row.recovered is None else f"{row.recovered:.0%}",
    ]


def _shared_networks() -> dict[Path, str]:
    if not SHARED.is_dir():
        raise typer.BadParameter(
            "there is no `shared` folder beside the repository: pass --model, --preprocessor, "
            "--images, --labels and --attacks."
        )
    return {SHARED / "models" / f"{name}.keras": kind for name, kind in NETWORKS.items()}


if __name__ == "__main__":
    typer.run(main)
