"""Adversarial glasses against a small face classifier, and what the detector sees of them.

A classifier of the people in a folder (one sub-folder each) is trained on the frozen features of a
network; some photographs of each person are held out. On those, glasses are painted that make the
wearer pass for the next person (one pair for all photographs of a person), or for anybody else. The
detector is calibrated on the photographs of the training, since few are held out.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import keras
import typer
from patch_sets import NETWORKS, SCALINGS, SHARED, Preprocessor
from PIL import Image
from report import setting, table

from tf_taintradar.classifier.preprocessing import PixelScaling
from tf_taintradar.detection.rules import RULES
from tf_taintradar.faces.detector import FaceDetector, train_face_detector
from tf_taintradar.images.folders import find_images

PAPER = [  # Li et al., section VI: their photographs, networks and glasses are others
    ["the paper: VGG-Face, 2,622 names, 1,000 attempts", "paper", "5.5%", "-", "73.42%", "-", "-"],
    ["the paper: 143 subjects, physical glasses", "paper", "-", "-", "79.78%", "-", "-"],
]


def main(
    faces: Annotated[Path, typer.Option(help="a sub-folder a person")] = SHARED / "data/faces",
    model: Annotated[Path, typer.Option(help="whose features are kept")] = SHARED
    / "models/mobilenet_v2.keras",
    preprocessor: Preprocessor = NETWORKS["mobilenet_v2"],
    kept: Annotated[str, typer.Option(help="the last layer that is kept")] = "Conv_1_relu",
    n_train: Annotated[int, typer.Option(help="photographs of each person to train on")] = 7,
    epochs: Annotated[int, typer.Option(help="of the classifier, at most")] = 200,
    crop: Annotated[float, typer.Option(help="the part around the centre that is the face")] = 0.6,
    variant: Annotated[list[str], typer.Option(help="may be repeated")] = list(RULES),  # noqa: B006
    target_fpr: float = 0.06,
    n_wearers: int = 10,
    steps: int = 300,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a folder for the detectors")] = None,
) -> list[FaceDetector]:
    """Train, attack, detect; print the table."""
    scaling = PixelScaling(**SCALINGS[preprocessor]) if preprocessor in SCALINGS else preprocessor
    network = keras.models.load_model(model, compile=False)
    folder = output or Path(tempfile.mkdtemp())
    cut_all(faces, folder / "photographs", crop)
    made = [
        train_face_detector(
            folder / "photographs",
            network,
            folder / which,
            preprocessor=scaling,
            kept=kept,
            n_train=n_train,
            epochs=epochs,
            variant=which,
            calibrate_on="folds",
            target_fpr=target_fpr,
            n_wearers=n_wearers,
            steps=steps,
            seed=seed,
            verbose=0,
        )
        for which in variant
    ]
    learnt = made[0].transfer
    low, high = learnt.interval
    print(
        f"{len(learnt.train.files)} photographs to train on; right on {learnt.accuracy:.0%} "
        f"({low:.0%} to {high:.0%}) of {len(learnt.predicted)} held out."
    )
    header = ["glasses", "variant", "benign flagged", "glasses succeed", "flagged", "AUROC"]
    rows = [row for detector in made for row in cells(detector)]
    print(f"\n{setting()}\n\n{table([*header, 'right name recovered'], [*rows, *PAPER])}")
    return made


def cut_all(faces: Path, folder: Path, crop: float) -> None:
    """Writes the part around the centre of every photograph, in sub-folders of the same names."""
    for file in find_images(faces):
        cut = folder / file.relative_to(faces).with_suffix(".png")
        cut.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as picture:
            side = round(crop * min(picture.size))
            left, top = ((length - side) // 2 for length in picture.size)
            picture.convert("RGB").crop((left, top, left + side, top + side)).save(cut)


def cells(made: FaceDetector) -> list[list[str]]:
    """The lines of one detector."""
    return [
        [
            kind,
            made.radar.variant,
            str(made.benign),
            str(found.succeeded),
            str(found.flagged),
            "-" if found.auroc is None else f"{found.auroc:.2f}",
            str(found.recovered),
        ]
        for kind, found in made.glasses.items()
    ]


if __name__ == "__main__":
    typer.run(main)
