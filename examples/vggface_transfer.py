"""The paper's second scenario: a face network learns 143 new subjects and gets a detector.

Without a folder of photographs the program draws them; the network with its random weights knows
no faces then, and learns them with `--fine-tune conv1_1`. With the published weights and PubFig:
`python examples/vggface_transfer.py --faces pubfig/ --weights vggface`.
"""

import pathlib
import tempfile
import time

import keras
import typer
from PIL import Image

from tf_taintradar.demo.drawn_faces import draw_face
from tf_taintradar.faces.detector import FaceDetector, train_face_detector
from tf_taintradar.vggface import VGGFace


def main(
    output: pathlib.Path | None = None,
    faces: pathlib.Path | None = None,
    weights: str | None = None,
    width: float = 0.25,
    subjects: int = 143,
    photographs: int = 50,
    n_train: int = 40,
    n_wearers: int = 10,
    steps: int = 300,
    fine_tune: str | None = None,
    tuning_rate: float = 3e-4,
    variant: str = "bands",
    seed: int = 0,
) -> float:
    """Returns the share of the photographs held out that are classified right.

    Another seed draws other people.
    """
    started = time.monotonic()
    folder = output or pathlib.Path(tempfile.mkdtemp())
    if faces is None:
        faces = folder / "faces"
        draw(faces, subjects, photographs, seed)
        print(f"{subjects * photographs} faces drawn, {time.monotonic() - started:.0f} s")
    keras.utils.set_random_seed(seed)
    network = VGGFace(weights=weights, width=1.0 if weights else width)
    made = train_face_detector(
        faces,
        network,
        folder,
        n_train=n_train,
        n_wearers=n_wearers,
        steps=steps,
        fine_tuned=fine_tune,
        tuning_rate=tuning_rate,
        variant=variant,
        seed=seed,
    )
    report(made)
    print(f"{time.monotonic() - started:.0f} s; written: {folder}")
    return made.transfer.accuracy


def draw(folder: pathlib.Path, subjects: int, photographs: int, seed: int) -> None:
    """Draws the photographs that are not there yet."""
    for subject in range(subjects):
        person = folder / f"subject{subject:03d}"
        person.mkdir(parents=True, exist_ok=True)
        for i in range(photographs):
            file = person / f"{i:03d}.png"
            if not file.exists():
                Image.fromarray(draw_face(subject, i, seed=seed)).save(file)


def report(made: FaceDetector) -> None:
    """Prints what came of it."""
    low, high = made.transfer.interval
    print(
        f"right on {made.transfer.accuracy:.1%} ({low:.1%} to {high:.1%}) of "
        f"{len(made.transfer.predicted)} photographs held out"
    )
    for who, seen, n in made.transfer.confusions(3):
        print(f"  {who} taken for {seen}: {n}")
    print(made.radar.calibration)
    print(f"flagged of {made.benign.n} other photographs held out: {made.benign}")
    for kind, found in made.glasses.items():
        print(f"{kind}: glasses succeed on {found.succeeded}; flagged of those: {found.flagged}")


if __name__ == "__main__":
    typer.run(main)
