"""Detection on sigmoids, and by few windows: the demo's network, and others on its convolutions.

Beside the demo's softmax over 72 labels stand a network of one sigmoid (is the texture one of the
first three?) and a multi-label network of a sigmoid for each shape and each texture, which learn
the demo's scenes on the demo's first four convolutions. Each is calibrated on scenes that it has
not seen, and counted on others. Every attack wants any other label; one that changes the label
counts. Of a network of two labels, benign scenes that are answered "yes" are counted apart, too.
"""

import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import typer
from keras import layers
from report import publish, write_result
from transformer import HEADER, TARGETS, Line, cells, cost

from tf_taintradar import TaintRadarModel, rules
from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
from tf_taintradar.demo.show import detector_file

RULES: dict[str, Any] = {
    "occlusion": "occlusion",
    "cover": "cover",
    "4 windows alone": rules.Cover(per_side=2, depths=0),
}
ATTACKS: dict[str, dict[str, Any]] = {
    "one of 30 %": {"diameter": 0.3},
    "two of 20 %": {"diameter": 0.2, "n_patches": 2},
}
TEXTURES, SHAPES = (
    tuple(dict.fromkeys(part)) for part in zip(*map(str.split, CLASS_NAMES), strict=True)
)
WATCHED = ("star", "striped")
LAYER, BATCH = "block3_pool", 64

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer[Any]]


class Case(NamedTuple):
    """A network, the label to watch, and the labels of scenes that are right."""

    name: str
    network: keras.Model
    label: int | None
    truth: Labels


def main(
    models: Annotated[
        Path | None, typer.Option(help="folder of the trained networks: read, or made and written")
    ] = None,
    images: int = 20_000,
    epochs: int = 5,
    benign: int = 1_000,
    attacked: int = 80,
    steps: int = 60,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Train on scenes of `seed`, calibrate on those of `seed + 1`, count on those of `seed + 2`."""
    demo = keras.models.load_model(detector_file()).classifier
    one, several = networks(demo, models, images, epochs, seed)
    known = draw_scenes(benign, seed=seed + 1)[0]
    scenes, labels = draw_scenes(benign, seed=seed + 2)
    cases = [Case("72 labels", demo, None, labels), Case("one sigmoid", one, None, first(labels))]
    for name in WATCHED:
        label = (SHAPES + TEXTURES).index(name)
        cases.append(Case(f"18 sigmoids, {name}", several, label, every(labels)[:, label]))
    lines: list[Line] = []
    for case in cases:
        lines += look(case, known, scenes, attacked=attacked, steps=steps)
        if output is not None:
            write_result("sigmoids", HEADER, map(cells, lines), output, seed=seed)
    figures = [line._asdict() for line in lines]
    publish("sigmoids", HEADER, map(cells, lines), output, seed=seed, figures=figures)
    return lines


def networks(
    demo: keras.Model, models: Path | None, images: int, epochs: int, seed: int
) -> list[keras.Model]:
    """The network of one sigmoid and that of several, read from a folder or trained."""
    files = [models and models / name for name in ("one.keras", "several.keras")]
    if all(file is not None and file.is_file() for file in files):
        return [keras.models.load_model(file, compile=False) for file in files]
    whole = keras.Model(demo.inputs, demo.get_layer(LAYER).output)
    convolutions = keras.models.clone_model(whole)
    convolutions.set_weights(whole.get_weights())
    scenes, labels = draw_scenes(images, seed=seed)
    batches = (scenes[i : i + 250] / np.float32(127.5) - 1 for i in range(0, images, 250))
    maps = np.concatenate([convolutions.predict_on_batch(x).astype(np.float16) for x in batches])
    found = []
    for file, truth in zip(files, (first(labels)[:, None], every(labels)), strict=True):
        top = train(demo, maps, truth, epochs, seed)
        pixels = keras.Input((96, 96, 3), name="images")
        found.append(keras.Model(pixels, top(convolutions(pixels)), name="sigmoids"))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            found[-1].save(file)
    return found


def train(
    demo: keras.Model, maps: npt.NDArray[np.float16], truth: Labels, epochs: int, seed: int
) -> keras.Model:
    """The demo's layers from `LAYER` on, with a sigmoid for each column of the truth (n, k)."""
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input(maps.shape[1:])
    for name in ("block4_conv1", "block4_conv2"):
        x = layers.Conv2D(96, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    x = layers.Dropout(0.3)(layers.Dense(128, "relu", kernel_initializer="he_normal")(x))
    top = keras.Model(inputs, layers.Dense(truth.shape[1], "sigmoid")(x))
    for name in ("block4_conv1", "block4_conv2"):
        top.get_layer(name).set_weights(demo.get_layer(name).get_weights())
    n_steps = epochs * -(-len(maps) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps, warmup_target=1e-3, warmup_steps=n_steps // 20
    )
    top.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.0), "binary_crossentropy"
    )
    top.fit(maps, truth, batch_size=BATCH, epochs=epochs, verbose=2)
    print(f"trained for {time.monotonic() - started:.0f} s", flush=True)
    return top


def look(case: Case, known: Pixels, scenes: Pixels, *, attacked: int, steps: int) -> list[Line]:
    """What each rule flags of benign scenes and of each attack."""
    radars = {
        name: TaintRadarModel(case.network, preprocessor="tf", label=case.label, variant=rule)
        for name, rule in RULES.items()
    }
    opened = radars["occlusion"].opened
    answers = radars["occlusion"].predict_scores(scenes)["label"]
    right = answers == case.truth
    sets = {"benign": (scenes, ~right)}
    if opened.n_classes == 2:
        sets["benign, yes"] = scenes[answers == 1], ~right[answers == 1]
    victims = _both_ways(answers, right, attacked)
    for kind, settings in ATTACKS.items():
        attack = AdversarialPatch(opened, target_class=None, steps=steps, **settings)
        result = attack.partial(scenes[victims], verbose=0)
        sets[kind] = result.images[result.success], result.success
    lines = []
    for name, radar in radars.items():
        calibration = radar.calibrate(known, max(TARGETS), verbose=0)
        limits = [smallest_threshold(calibration.scores, target) for target in TARGETS]
        for kind, (images, hit) in sets.items():
            scores = radar.score(images) if len(images) else np.zeros(0)
            flagged = tuple(int((scores > limit).sum()) for limit in limits)
            share = float(hit.mean())
            lines.append(Line(case.name, name, kind, len(images), share, flagged))
            print(lines[-1], flush=True)
        print(f"{case.name}, {name}: {cost(radar, scenes[:8]):.2f} forward passes", flush=True)
    return lines


def _both_ways(answers: Labels, right: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.intp]:
    """Images that are answered rightly; of two labels, as many of each as there are."""
    found = np.flatnonzero(right)
    if answers.max() > 1:
        return found[:n]
    halves = [found[answers[found] == label][: n // 2] for label in (0, 1)]
    return np.concatenate(halves)


def first(labels: Labels) -> Labels:
    """Whether the texture is one of the first three, (n,)."""
    return (labels % len(TEXTURES) < len(TEXTURES) // 2).astype(int)


def every(labels: Labels) -> Labels:
    """Which shape and which texture it is, (n, 18): two ones and zeros."""
    shape, texture = np.divmod(labels, len(TEXTURES))
    ones = np.eye(len(SHAPES), dtype=int), np.eye(len(TEXTURES), dtype=int)
    return np.concatenate([ones[0][shape], ones[1][texture]], axis=1)


if __name__ == "__main__":
    typer.run(main)
