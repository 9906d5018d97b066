"""Adversarial glasses against face classifiers, and what the detector sees of them.

A classifier of the people in a folder (one sub-folder each) is made from the frozen features of a
network. Glasses are painted on photographs that are used for nothing else: they make the wearer
pass for the next person, or for anybody else, with one pair for each photograph and with one for
all photographs of a person. Ordinary glasses are painted on the same photographs.

A table `FOLDER.csv` beside the folder (file, split) says which photographs are held out ("test");
half of those serve to calibrate. Without one, some photographs of each person are held out at
random, and the detector is calibrated on those of the training, since few are held out.
"""

import csv
import tempfile
from pathlib import Path
from typing import Annotated, Any

import keras
import typer
from patch_sets import SCALINGS, SHARED, Preprocessor
from PIL import Image
from report import publish

from tf_taintradar.classifier.preprocessing import PixelScaling
from tf_taintradar.faces.detector import train_face_detector
from tf_taintradar.faces.report import HEADER, PAPER, FaceDetector
from tf_taintradar.images.folders import find_images


def main(
    faces: Annotated[Path, typer.Option(help="a sub-folder a person")] = SHARED / "data/faces143",
    model: Annotated[Path, typer.Option(help="whose features are kept")] = SHARED
    / "models/face143_mobilefacenet.keras",
    preprocessor: Preprocessor = "lite",
    kept: Annotated[str | None, typer.Option(help="the last layer that is kept")] = None,
    head: Annotated[list[str], typer.Option(help="may be repeated")] = ["dense", "prototypes"],  # noqa: B006
    n_train: Annotated[int, typer.Option(help="photographs to train on, without a table")] = 7,
    epochs: Annotated[int, typer.Option(help="of the classifier, at most")] = 200,
    crop: Annotated[float, typer.Option(help="the part around the centre that is the face")] = 0.8,
    n_strangers: Annotated[int, typer.Option(help="people whom nobody learns")] = 0,
    variant: Annotated[list[str], typer.Option(help="may be repeated")] = ["bands"],  # noqa: B006
    target_fpr: float = 0.06,
    n_wearers: int = 20,
    steps: int = 300,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a folder for the detectors")] = None,
) -> list[FaceDetector]:
    """Train, attack, detect; print the table."""
    scaling = PixelScaling(**SCALINGS[preprocessor]) if preprocessor in SCALINGS else preprocessor
    network = keras.models.load_model(model, compile=False)
    folder = output or Path(tempfile.mkdtemp())
    photographs = folder / "photographs"
    cut_all(faces, photographs, crop, n_strangers)
    divided: dict[str, Any] = {"calibrate_on": "folds", "n_train": n_train}
    if (photographs / "test").is_dir():
        divided = {"held_out": photographs / "test"}
    made = [
        train_face_detector(
            photographs / "train",
            network,
            folder / f"{which}_{top}",
            **divided,
            strangers=photographs / "strangers" if n_strangers else None,
            preprocessor=scaling,
            kept=kept,
            head=top,
            epochs=epochs,
            variant=which,
            target_fpr=target_fpr,
            n_wearers=n_wearers,
            steps=steps,
            seed=seed,
            verbose=0,
        )
        for which in variant
        for top in head
    ]
    header = ["head", *HEADER, "AUROC", "right name recovered"]
    named = list(zip(head * len(variant), made, strict=True))
    rows = [row for top, detector in named for row in cells(top, detector)]
    rows += [["-", *row, "-", "-"] for row in PAPER]
    publish("faces", header, rows, output and output / "faces.json", seed=seed)
    for top, detector in named:
        print(f"{top}: {detector.strangers}")
    return made


def cells(head: str, made: FaceDetector) -> list[list[str]]:
    """The lines of one detector."""
    return [
        [head, *row, "-" if found.auroc is None else f"{found.auroc:.2f}", str(found.recovered)]
        for row, found in zip(made.rows(), made.glasses.values(), strict=True)
    ]


def cut_all(faces: Path, folder: Path, crop: float, n_strangers: int = 0) -> None:
    """Writes the part around the centre of every photograph, in sub-folders of the same names.

    They are in `train` and, if a table says so, in `test`; of the last people in `strangers`.
    """
    splits = {}
    if (listed := faces.with_suffix(".csv")).is_file():
        with listed.open(newline="") as rows:
            splits = {row["file"]: row["split"] for row in csv.DictReader(rows)}
    people = sorted({file.parent.name for file in find_images(faces)})
    strangers = people[len(people) - n_strangers :]
    for file in find_images(faces):
        name = file.relative_to(faces)
        part = "strangers" if file.parent.name in strangers else splits.get(str(name), "train")
        cut = folder / part / name.with_suffix(".png")
        cut.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as picture:
            side = round(crop * min(picture.size))
            left, top = ((length - side) // 2 for length in picture.size)
            picture.convert("RGB").crop((left, top, left + side, top + side)).save(cut)


if __name__ == "__main__":
    typer.run(main)
