"""Adversarial glasses against a small face classifier, and what the detector sees of them.

A classifier of the people in a folder (one sub-folder each) is trained on the frozen features of a
network: one dense layer after global pooling. Some photographs of each person are held out. On
those, glasses are painted that make the wearer pass for the next person (one pair for all held-out
photographs of a person), or for anybody else. The detector is calibrated on the photographs of the
training, of which there are few; each is used with its mirror image.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import typer
from patch_sets import NETWORKS, SHARED, SQUEEZENET, Preprocessor
from PIL import Image
from report import setting, table

from tf_taintradar import TaintRadarModel, plot
from tf_taintradar.attacks import AttackResult, EyeglassesAttack
from tf_taintradar.classifier import open_classifier
from tf_taintradar.evaluation import auroc
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.image_files import find_images
from tf_taintradar.preprocessing import PixelScaling

Pixels = npt.NDArray[np.uint8]


class Row(NamedTuple):
    """One line of the table; all but `flagged` are None for benign photographs.

    `auroc`: of the glasses that succeed against the benign photographs held out; `steps`: fewest
    and most of a pair.
    """

    images: str
    variant: str
    succeeded: Rate | None
    flagged: Rate
    auroc: float | None = None
    recovered: Rate | None = None
    steps: tuple[int, int] | None = None


def main(
    faces: Annotated[Path, typer.Option(help="a sub-folder a person")] = SHARED / "data/faces",
    model: Annotated[Path, typer.Option(help="whose features are kept")] = SHARED
    / "models/mobilenet_v2.keras",
    preprocessor: Preprocessor = NETWORKS["mobilenet_v2"],
    held_out: Annotated[int, typer.Option(help="photographs of each person")] = 3,
    crop: Annotated[float, typer.Option(help="the part around the centre that is the face")] = 0.6,
    target_fpr: float = 0.06,
    steps: int = 300,
    epochs: int = 200,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a folder for pictures")] = None,
) -> list[Row]:
    """Train, attack, detect; print the table."""
    keras.utils.set_random_seed(seed)
    scaling: Any = PixelScaling(**SQUEEZENET) if preprocessor == "squeezenet" else preprocessor
    network = keras.models.load_model(model, compile=False)
    made, other = read_faces(faces, network.input_shape[1:3], held_out, crop, seed)
    classifier = train(network, scaling, *made, epochs)
    rows: list[Row] = []
    names = [folder.name for folder in sorted(faces.iterdir()) if folder.is_dir()]
    mirrored = np.concatenate([made[0], made[0][:, :, ::-1]])
    glasses = wear(classifier, scaling, *other, steps, seed)
    for variant in ("occlusion", "paper"):
        radar = TaintRadarModel(
            classifier, preprocessor=scaling, variant=variant, class_names=names
        )
        radar.calibrate(mirrored, target_fpr, verbose=0)
        found = radar.predict(other[0], verbose=0)
        right = Rate.of(found["label"] == other[1])
        rows.append(Row("benign", variant, None, Rate.of(found["is_adversarial"])))
        for kind, results in glasses.items():
            rows.append(judge(radar, kind, results, found["score"], other[1]))
            if output:
                draw(radar, kind, results, output)
    header = ["photographs", "variant", "glasses succeed", "flagged", "AUROC"]
    header += ["right name recovered", "steps"]
    print(f"{len(made[0])} photographs to train on; right on {right} % of those held out.")
    print(f"\n{setting()}\n\n{table(header, map(_cells, rows))}")
    return rows


def read_faces(
    folder: Path, size: tuple[int, int], held_out: int, crop: float, seed: int
) -> tuple[tuple[Pixels, npt.NDArray[np.int64]], ...]:
    """Photographs (n, H, W, 3) and labels (n,) to train on, and those held out."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[Any], list[Any]] = ([], [])
    people = [person for person in sorted(folder.iterdir()) if person.is_dir()]
    for label, person in enumerate(people):
        files = rng.permutation(np.array(find_images(person), object))
        for i, file in enumerate(files):
            parts[i < held_out].append((centre(file, size, crop), label))
    made, other = (tuple(map(np.array, zip(*part, strict=True))) for part in parts)
    return made, other


def centre(file: Path, size: tuple[int, int], crop: float) -> Pixels:
    """The square around the centre of a picture, at the classifier's size."""
    with Image.open(file) as picture:
        side = round(crop * min(picture.size))
        left, top = ((length - side) // 2 for length in picture.size)
        square = picture.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(square.resize(size[::-1], Image.Resampling.BILINEAR))


def train(
    network: keras.Model, preprocessor: Any, images: Pixels, labels: npt.NDArray[Any], epochs: int
) -> keras.Model:
    """The network's features, global pooling, and a dense layer that is trained."""
    opened = open_classifier(network, preprocessor=preprocessor)
    both = np.concatenate([images, images[:, :, ::-1]]).astype(np.float32)
    batches = [opened.features(both[i : i + 16]).numpy() for i in range(0, len(both), 16)]
    pooled = np.concatenate(batches).mean(axis=(1, 2))
    head = keras.layers.Dense(int(labels.max()) + 1, activation="softmax", name="people")
    trained = keras.Sequential([keras.Input(pooled.shape[1:]), head])
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.fit(pooled, np.concatenate([labels, labels]), epochs=epochs, verbose=0)
    features = network.get_layer(opened.feature_layer).output
    answer = head(keras.layers.GlobalAveragePooling2D()(features))
    return keras.Model(network.input, answer, name="faces")


def wear(
    classifier: keras.Model,
    preprocessor: Any,
    images: Pixels,
    labels: npt.NDArray[Any],
    steps: int,
    seed: int,
) -> dict[str, list[AttackResult]]:
    """Glasses for every person, one pair for all photographs; by what the wearer wants."""
    n = int(labels.max()) + 1
    wanted: dict[str, list[Any]] = {
        "impersonation": [(person + 1) % n for person in range(n)],
        "dodging": [None] * n,
    }
    common = {"preprocessor": preprocessor, "steps": steps, "seed": seed}
    return {
        kind: [
            EyeglassesAttack(classifier, target_class=target, **common).universal(
                images[labels == person], verbose=0
            )
            for person, target in enumerate(targets)
        ]
        for kind, targets in wanted.items()
    }


def judge(
    radar: TaintRadarModel,
    kind: str,
    results: list[AttackResult],
    benign: npt.NDArray[Any],
    truth: npt.NDArray[Any],
) -> Row:
    """Counts the glasses that succeed and those of them that are seen."""
    success = np.concatenate([result.success for result in results])
    found = radar.predict(np.concatenate([result.images for result in results]), verbose=0)
    flags = found["is_adversarial"][success]
    is_right = found["recovered_label"][success] == np.sort(truth)[success]
    steps = [int(result.steps[0]) for result in results]
    return Row(
        images=kind,
        variant=radar.variant,
        succeeded=Rate.of(success),
        flagged=Rate.of(flags),
        auroc=auroc(benign, found["score"][success]),
        recovered=Rate.of(is_right[flags]),
        steps=(min(steps), max(steps)),
    )


def draw(radar: TaintRadarModel, kind: str, results: list[AttackResult], folder: Path) -> None:
    """Writes what the detector sees of the first pair that succeeds."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.concatenate([result.images[result.success] for result in results])
    if len(images):
        figure = radar.explain(images[0]).plot()
        plot.saved(figure, folder / f"glasses-{kind}-{radar.variant}.png")


def _cells(row: Row) -> list[str]:
    return [
        row.images,
        row.variant,
        *("-" if rate is None else str(rate) for rate in (row.succeeded, row.flagged)),
        "-" if row.auroc is None else f"{row.auroc:.2f}",
        "-" if row.recovered is None else str(row.recovered),
        "-" if row.steps is None else "{} to {}".format(*row.steps),
    ]


if __name__ == "__main__":
    typer.run(main)
