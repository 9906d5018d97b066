"""Small images: drawn traffic signs of 32 x 32 pixels, and how fine a feature map must be there.

A small network learns signs that differ in plate, colours and symbol. It is attacked with patches
of 8 and 10 pixels, each for a label drawn at random, and looked at through feature maps of
different sizes. An attack counts if the network answers its label. Each detector is calibrated on
signs that the network has not seen, and counted on others.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import numpy.typing as npt
import typer
from keras import layers
from PIL import Image, ImageDraw
from report import publish
from transformer import HEADER, TARGETS, Line, cells

from tf_taintradar import TaintRadarModel
from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.calibration.by_score import smallest_threshold

SIZE, OVERSAMPLING = 32, 4
PATCHES = {"8 pixels": 8 / SIZE, "10 pixels": 10 / SIZE}

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]


def _polygon(corners: int, turn: float = 0.0) -> Points:
    angles = np.arange(corners) * 2 * np.pi / corners + turn
    return np.stack([np.sin(angles), -np.cos(angles)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


PLATES = {
    "round": _polygon(40),
    "triangular": _polygon(3),
    "pointing down": _polygon(3, np.pi),
    "diamond": _polygon(4),
    "square": _polygon(4, np.pi / 4),
    "octagonal": _polygon(8, np.pi / 8),
}
COLORS = {  # of the edge, the face and the symbol
    "red": ((200, 30, 30), (240, 240, 240), (20, 20, 20)),
    "blue": ((30, 60, 180), (30, 60, 180), (240, 240, 240)),
    "yellow": ((20, 20, 20), (240, 200, 30), (20, 20, 20)),
}
SYMBOLS = {
    "bar": [_box(-0.5, -0.12, 0.5, 0.12)],
    "post": [_box(-0.12, -0.5, 0.12, 0.5)],
    "dots": [_box(-0.5, -0.15, -0.2, 0.15), _box(0.2, -0.15, 0.5, 0.15)],
    "cross": [_box(-0.5, -0.1, 0.5, 0.1), _box(-0.1, -0.5, 0.1, 0.5)],
}
NAMES = [f"{color} {plate} {symbol}" for plate in PLATES for color in COLORS for symbol in SYMBOLS]


def main(
    images: int = 8_000,
    epochs: int = 8,
    benign: int = 1_000,
    attacked: int = 300,
    steps: int = 60,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Train on signs of `seed`, calibrate on those of `seed + 1`, count on those of `seed + 2`."""
    network = train(*draw_signs(images, seed=seed), epochs=epochs, seed=seed)
    known = draw_signs(benign, seed=seed + 1)[0]
    lines = look(network, known, *draw_signs(benign, seed=seed + 2), attacked, steps)
    header = ["feature map", "rule", *HEADER[2:]]
    figures = [line._asdict() for line in lines]
    publish("signs", header, map(cells, lines), output, seed=seed, figures=figures)
    return lines


def draw_signs(n: int, *, seed: int) -> tuple[Pixels, npt.NDArray[np.int32]]:
    """Signs (n, 32, 32, 3) before a blurred background, and labels (n,), indices into `NAMES`."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(NAMES), n).astype(np.int32)
    return np.stack([_draw(label, rng) for label in labels]), labels


def _draw(label: int, rng: np.random.Generator) -> Pixels:
    rest, symbol = divmod(label, len(SYMBOLS))
    plate, color = divmod(rest, len(COLORS))
    side = SIZE * OVERSAMPLING
    background = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    picture = background.resize((side, side), Image.Resampling.BICUBIC)
    pencil = ImageDraw.Draw(picture)
    radius, turn = rng.uniform(0.36, 0.46) * side, rng.uniform(-0.15, 0.15)
    center = side / 2 + rng.uniform(-0.06, 0.06, 2) * side
    frame = radius * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def paint(outline: Points, scale: float, fill: tuple[int, int, int]) -> None:
        pencil.polygon([tuple(point) for point in scale * outline @ frame + center], fill=fill)

    edge, face, ink = list(COLORS.values())[color]
    outline = list(PLATES.values())[plate]
    paint(outline, 1.0, edge)
    paint(outline, 0.75, face)
    for part in list(SYMBOLS.values())[symbol]:
        paint(part, 0.8, ink)
    pixels = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX), float)
    light = pixels * rng.uniform(0.5, 1.1) + rng.uniform(-20, 30)
    return np.clip(light + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)


def build_network() -> keras.Model:
    """An untrained network of seven convolutions: maps of 32, 16, 8 and, last, 4 cells a side."""
    images = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1)(images)
    for i, (filters, convolutions) in enumerate(((16, 1), (32, 2), (64, 2), (96, 2)), start=1):
        for j in range(1, convolutions + 1):
            name = f"block{i}_conv{j}"
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(128, "relu")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(len(NAMES), "softmax")(x), name="signs")


def train(signs: Pixels, labels: npt.NDArray[np.int32], *, epochs: int, seed: int) -> keras.Model:
    """A network that has learnt the signs."""
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    network = build_network()
    n_steps = epochs * -(-len(labels) // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps, warmup_target=2e-3, warmup_steps=n_steps // 10
    )
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    network.fit(signs, labels, batch_size=64, epochs=epochs, verbose=0)
    print(f"trained for {time.monotonic() - started:.0f} s", flush=True)
    return network


def look(
    network: keras.Model,
    known: Pixels,
    signs: Pixels,
    truth: npt.NDArray[np.int32],
    attacked: int,
    steps: int,
) -> list[Line]:
    """What is flagged of benign and attacked signs through each feature map, and by "cover"."""
    settings: list[tuple[str, dict[str, Any]]] = [
        ("occlusion, its own choice", {}),
        *(("occlusion", {"feature_layer": name}) for name in ("block2_conv2", "block4_conv2")),
        ("cover", {"variant": "cover"}),
    ]
    radars = [TaintRadarModel(network, **given) for _, given in settings]
    opened = radars[0].opened
    right = radars[0].predict_scores(signs)["label"] == truth
    victims = signs[right][:attacked]
    wanted = np.random.default_rng(0).integers(0, len(NAMES), len(victims)).astype(np.int32)
    sets = {"benign": (signs, ~right)}
    for kind, diameter in PATCHES.items():
        attack = AdversarialPatch(opened, target_class=wanted, diameter=diameter, steps=steps)
        result = attack.partial(victims, verbose=0)
        changed = result.success & (wanted != truth[right][:attacked])
        sets[kind] = result.images[changed], changed
    lines = []
    for (name, _), radar in zip(settings, radars, strict=True):
        height, width, _ = radar.opened.feature_shape
        where = f"{radar.opened.feature_layer}, {height} x {width}"
        calibration = radar.calibrate(known, max(TARGETS), verbose=0)
        limits = [smallest_threshold(calibration.scores, target) for target in TARGETS]
        for kind, (images, hit) in sets.items():
            scores = radar.score(images) if len(images) else np.zeros(0)
            flagged = tuple(int((scores > limit).sum()) for limit in limits)
            lines.append(Line(where, name, kind, len(images), float(hit.mean()), flagged))
            print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    typer.run(main)
