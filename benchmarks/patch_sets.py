"""Networks with their images and ready attacks, as the benchmarks read them.

By default those of the `shared` folder beside the repository; its formats are described in
`benchmarks/README.md`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import typer
from PIL import Image

from tf_taintradar.classifier.preprocessing import PixelScaling

SHARED = Path(__file__).parents[1].parent / "shared"
NETWORKS = {"squeezenet_v1_1": "squeezenet", "mobilenet_v2": "tf"}  # with their preprocessors
SCALINGS = {
    "squeezenet": {"reverse_channels": True, "mean": (104, 117, 123)},
    "lite": {"mean": (127, 127, 127), "std": (128, 128, 128)},
}

Pixels = npt.NDArray[np.uint8]

Model = Annotated[Path | None, typer.Option(help="a Keras model file; both of ../shared")]
Preprocessor = Annotated[str, typer.Option(help="'squeezenet', or a name of TaintRadar")]
Images = Annotated[Path, typer.Option(help="folder")]
Labels = Annotated[Path, typer.Option(help="csv: file, label")]
Attacks = Annotated[Path, typer.Option(help="folder of MODEL/SET.npz")]
IMAGES, LABELS, ATTACKS = (
    SHARED / "data" / name for name in ("imagenet_dev", "imagenet_dev.csv", "attacks")
)


class Attacked(NamedTuple):
    """A set of attacked images.

    Attributes:
        name: what the set is called.
        images: (m, H, W, 3) uint8.
        index: (m,) which of the network's images each was made from; -1: none of them.
        target: the label that the attack aims at, or (m,) one for each image.
    """

    name: str
    images: Pixels
    index: npt.NDArray[np.int64]
    target: Any


class Network:
    """A classifier, the images it is tried on, and the attacks on them.

    Args:
        model: a Keras model file.
        preprocessor: "squeezenet", "lite", or a name that `TaintRadarModel` knows.
        images: folder of image files at least as large as the network's input.
        labels: csv with the columns `file` and `label`.
        attacks: folder of MODEL/SET.npz.

    Attributes:
        name: of the model file, without suffix.
        classifier: the Keras model.
        preprocessor: what `TaintRadarModel` takes.
        crops: (n, H, W, 3) uint8, the centre of each image.
        truth: (n,) the labels.
    """

    def __init__(
        self, model: Path, preprocessor: str, images: Path, labels: Path, attacks: Path
    ) -> None:
        self.name = model.stem
        self.classifier = keras.models.load_model(model, compile=False)
        self.preprocessor: Any = preprocessor
        if preprocessor in SCALINGS:
            self.preprocessor = PixelScaling(**SCALINGS[preprocessor])
        with labels.open(newline="") as file:
            entries = list(csv.DictReader(file))
        self.truth = np.array([int(entry["label"]) for entry in entries])
        size = self.classifier.input_shape[1:3]
        self.crops = np.stack([centre_crop(images / entry["file"], size) for entry in entries])
        self._attacks = sorted((attacks / self.name).glob("*.npz"))

    def attacked(self, limit: int | None = None) -> list[Attacked]:
        """All sets, the first `limit` images of each, in the order of their names."""
        sets = []
        for path in self._attacks:
            with np.load(path) as attack:
                if "x" in attack:  # whole images, of others than these
                    images, index = attack["x"], np.full(len(attack["x"]), -1)
                else:
                    images, index = attacked_images(self.crops, attack), attack["image"]
                target = attack["target"] if "target" in attack else np.array(-1)
            of_each = np.broadcast_to(target, len(images))[:limit]
            wanted = of_each if target.ndim else int(target)
            sets.append(Attacked(path.stem, images[:limit], index[:limit], wanted))
        return sets


def find_networks(
    model: Path | None, preprocessor: str, images: Path, labels: Path, attacks: Path = ATTACKS
) -> Iterator[Network]:
    """The network given, or both of `shared`, each read when its turn comes.

    Raises:
        typer.BadParameter: a file or folder is missing.
    """
    if model is None and not SHARED.is_dir():
        raise typer.BadParameter(
            "there is no `shared` folder beside the repository: pass --model, --preprocessor, "
            "--images, --labels and --attacks."
        )
    shared = {SHARED / "models" / f"{name}.keras": kind for name, kind in NETWORKS.items()}
    networks = {model: preprocessor} if model else shared
    for path in (*networks, images, labels):
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist. See benchmarks/README.md.")
    return (Network(*network, images, labels, attacks) for network in networks.items())


def evenly(n: int, limit: int | None) -> npt.NDArray[np.int64]:
    """The numbers of `limit` of n images, evenly spaced; all of them without a limit."""
    return np.unique(np.linspace(0, n - 1, min(n, limit or n)).round().astype(np.int64))


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
