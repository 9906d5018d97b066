"""A vision transformer beside the demo's convolutional network: accuracy, detection, cost.

A transformer of four blocks, on the first four convolutions of the demo's network as they are,
learns the demo's scenes, and both networks are attacked in the same ways. Each is calibrated on
scenes that it has not seen, and counted on others. An attack counts if it makes the network answer
the label that it aims at.
"""

import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from keras import layers
from report import publish, write_result

from tf_taintradar import TaintRadarModel, rules
from tf_taintradar.attacks import AdversarialPatch
from tf_taintradar.calibration.by_score import smallest_threshold
from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.classifier import OpenedClassifier, open_classifier
from tf_taintradar.classifier.graph import compiled
from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
from tf_taintradar.demo.show import detector_file
from tf_taintradar.detection.covering import logits_under
from tf_taintradar.detection.pipeline import detect

TARGETS = (0.06, 0.03, 0.01)
HEADER = ["network", "variant", "images", "n", "wrong / hit"]
HEADER += [f"flagged at {target:.0%}" for target in TARGETS]
VARIANTS = ("occlusion", "cover")
LABEL = CLASS_NAMES.index("striped star")  # that the attacks aim at
ATTACKS: dict[str, dict[str, Any]] = {
    "partial 30 %, random": {"diameter": 0.3},
    "partial 30 %, bottom right": {"diameter": 0.3, "place": "bottom_right"},
    "partial, two of 20 %": {"diameter": 0.2, "n_patches": 2},
}
BATCH = 64

Pixels = npt.NDArray[np.uint8]
Network = tuple[str, keras.Model]


class Line(NamedTuple):
    """What one rule flags of one set of images, at each of `TARGETS`.

    Attributes:
        network: "transformer" or "VGG".
        variant: the rule.
        images: "benign" or the attack.
        n: how many images count.
        hit: share of the attacked images that are answered with the attack's label; of benign ones,
            share that is answered wrongly.
        flagged: how many of the n are flagged at each target.
    """

    network: str
    variant: str
    images: str
    n: int
    hit: float
    flagged: tuple[int, ...]


def main(
    model: Annotated[
        Path | None, typer.Option(help="the trained transformer: read, or made and written")
    ] = None,
    images: int = 16_000,
    epochs: int = 10,
    benign: int = 500,
    attacked: int = 40,
    steps: int = 60,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Line]:
    """Train on scenes of `seed`, calibrate on those of `seed + 1`, count on those of `seed + 2`."""
    vit = open_classifier(build_vit())
    noise = np.random.default_rng(seed).integers(0, 256, (8, *vit.input_shape)).astype(np.uint8)
    print(f"ViT Ti/16: a covered pass costs {covered_pass(vit, noise):.2f} of a plain one")
    demo = keras.models.load_model(detector_file()).classifier
    if model is not None and model.is_file():
        transformer = keras.models.load_model(model, compile=False)
    else:
        transformer = train(demo, *draw_scenes(images, seed=seed), epochs=epochs, seed=seed)
        if model is not None:
            transformer.save(model)
    known = draw_scenes(benign, seed=seed + 1)[0]
    others = draw_scenes(benign, seed=seed + 2)
    lines: list[Line] = []
    for network in (("transformer", transformer), ("VGG", demo)):
        lines += look(network, known, *others, attacked=attacked, steps=steps)
        if output is not None:
            write_result("transformer", HEADER, map(cells, lines), output, seed=seed)
    publish("transformer", HEADER, map(cells, lines), output, seed=seed)
    return lines


def build_transformer(
    classes: int = len(CLASS_NAMES), *, width: int = 64, blocks: int = 4, heads: int = 4
) -> keras.Model:
    """An untrained transformer with a class token, from maps (24, 24, 48) to probabilities.

    Patches of 3 x 3 places make its 8 x 8 tokens, three in ten of which are missing in training.

    Source: the hybrid of Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
    """
    maps = keras.Input((24, 24, 48), name="maps")
    x = layers.Conv2D(width, 3, 3, name="patches")(maps)
    x = layers.Reshape((64, width), name="tokens")(x)
    x = layers.Dropout(0.3, noise_shape=(None, 64, 1), name="missing_tokens")(x)
    x = encode(ClassToken(name="class_token")(x), width, blocks, heads)
    probabilities = layers.Dense(classes, "softmax", name="predictions")(x)
    return keras.Model(maps, probabilities, name="transformer")


def build_vit(classes: int = 1000) -> keras.Model:
    """An untrained ViT of the size Ti/16 on images (224, 224, 3): 12 blocks, width 192, 3 heads."""
    images = keras.Input((224, 224, 3), name="images")
    x = layers.Conv2D(192, 16, 16, name="patches")(images)
    x = layers.Reshape((196, 192), name="tokens")(x)
    x = encode(ClassToken(name="class_token")(x), 192, 12, 3, hidden=4 * 192)
    return keras.Model(images, layers.Dense(classes, name="logits")(x), name="vit")


def encode(x: Any, width: int, blocks: int, heads: int, hidden: int | None = None) -> Any:
    """The class token (b, width) after so many blocks over tokens (b, t, width)."""
    for i in range(1, blocks + 1):
        y = layers.LayerNormalization(name=f"block{i}_norm1")(x)
        attention = layers.MultiHeadAttention(heads, width // heads, name=f"block{i}_attention")
        x = layers.Add(name=f"block{i}_add1")([x, attention(y, y)])
        y = layers.LayerNormalization(name=f"block{i}_norm2")(x)
        y = layers.Dense(hidden or 2 * width, "gelu", name=f"block{i}_dense1")(y)
        y = layers.Dropout(0.1, name=f"block{i}_dropout")(y)
        y = layers.Dense(width, name=f"block{i}_dense2")(y)
        x = layers.Add(name=f"block{i}_add2")([x, y])
    return layers.LayerNormalization(name="norm")(x)[:, 0]


@keras.saving.register_keras_serializable(package="tf_taintradar_benchmarks")
class ClassToken(layers.Layer):
    """Puts a learned class token before tokens (b, t, c), and adds learned positions."""

    def build(self, shape: Any) -> None:
        """Makes the weights for the shape of the tokens."""
        _, n_tokens, channels = shape
        self.token = self.add_weight(name="token", shape=(1, 1, channels))
        self.places = self.add_weight(
            name="places",
            shape=(1, n_tokens + 1, channels),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )

    def call(self, tokens: Any) -> Any:
        """The tokens (b, 1 + t, c)."""
        first = keras.ops.tile(self.token, (keras.ops.shape(tokens)[0], 1, 1))
        return keras.ops.concatenate([first, tokens], axis=1) + self.places


def train(
    demo: keras.Model, scenes: Pixels, labels: npt.NDArray[np.int32], *, epochs: int, seed: int
) -> keras.Model:
    """A transformer on convolutions of the demo's network that has learnt the scenes.

    The convolutions stay as they are, so that what they make of the scenes is computed once.
    """
    keras.utils.set_random_seed(seed)
    started = time.monotonic()
    whole = keras.Model(demo.inputs, demo.get_layer("block3_conv2").output)
    convolutions = keras.models.clone_model(whole)
    convolutions.set_weights(whole.get_weights())
    scaled = keras.Sequential([layers.Rescaling(1 / 127.5, offset=-1), convolutions])
    batches = (scenes[i : i + 500] for i in range(0, len(scenes), 500))
    maps = np.concatenate([scaled.predict(one, verbose=0).astype(np.float16) for one in batches])
    transformer = build_transformer()
    n_steps = epochs * -(-len(labels) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps, warmup_target=2e-3, warmup_steps=n_steps // 20
    )
    transformer.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-2, clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    transformer.fit(maps, labels, batch_size=BATCH, epochs=epochs, verbose=2)
    images = keras.Input((96, 96, 3), name="images")
    print(f"trained for {time.monotonic() - started:.0f} s")
    return keras.Model(images, transformer(convolutions(images)), name="hybrid")


def look(
    network: Network,
    known: Pixels,
    scenes: Pixels,
    truth: npt.NDArray[np.int32],
    *,
    attacked: int,
    steps: int,
) -> list[Line]:
    """What both rules flag of benign scenes and of each attack."""
    name, classifier = network
    radars = [
        TaintRadarModel(classifier, preprocessor="tf", variant=variant) for variant in VARIANTS
    ]
    right = labels_of(radars[0].opened, scenes) == truth
    victims = scenes[right & (truth != LABEL)][:attacked]
    sets = {"benign": (scenes, ~right)}
    for kind, settings in ATTACKS.items():
        attack = AdversarialPatch(radars[0].opened, target_class=LABEL, steps=steps, **settings)
        result = attack.partial(victims, verbose=0)
        sets[kind] = result.images, result.success
    lines = []
    for radar in radars:
        calibration = radar.calibrate(known, max(TARGETS), verbose=0)
        limits = [smallest_threshold(calibration.scores, target) for target in TARGETS]
        for kind, (images, hit) in sets.items():
            counted = images if kind == "benign" else images[hit]
            scores = radar.score(counted) if len(counted) else np.zeros(0)
            flagged = tuple(int((scores > limit).sum()) for limit in limits)
            share = float(hit.mean())
            lines.append(Line(name, radar.variant, kind, len(counted), share, flagged))
            print(lines[-1], flush=True)
        print(f"{name}, {radar.variant}: {cost(radar, scenes[:8]):.2f} forward passes", flush=True)
    return lines


def labels_of(opened: OpenedClassifier, images: Pixels) -> npt.NDArray[np.int64]:
    """What a network answers."""
    logits = compiled(opened.logits, opened.input_shape)
    batches = (images[i : i + BATCH].astype(np.float32) for i in range(0, len(images), BATCH))
    return np.concatenate([np.argmax(logits(batch), axis=-1) for batch in batches])


def cost(radar: TaintRadarModel, images: Pixels, repeats: int = 9) -> float:
    """The processor time of a detection, as a multiple of a plain pass: the median of several."""
    opened, rule = radar.opened, radar.rule
    return relative(opened, images, lambda x: detect(opened, x, variant=rule).score, repeats)


def covered_pass(opened: OpenedClassifier, images: Pixels, repeats: int = 5) -> float:
    """The processor time of one of the passes of "cover", as a multiple of a plain one."""
    sides = rules.Cover().sides(opened.input_shape[:2])
    every = relative(opened, images, lambda x: logits_under(opened, x, sides), repeats)
    return every / len(sides[0])


def relative(opened: OpenedClassifier, images: Pixels, way: Any, repeats: int) -> float:
    """The processor time of a way to look at images, as a multiple of a plain pass: the median."""
    pixels = tf.constant(images, tf.float32)
    ways = compiled(way, opened.input_shape), compiled(opened.logits, opened.input_shape)

    def seconds(way: Any) -> float:
        started = time.process_time()
        way(pixels)
        return time.process_time() - started

    times = [[seconds(way) for way in ways] for _ in range(repeats + 2)][2:]
    return float(np.median([own / plain for own, plain in times]))


def cells(line: Line) -> list[str]:
    """A line as printed."""
    name, variant, images, n, hit, counts = line
    shares = ["-"] * len(counts)  # no attack hits
    if n:
        bounds = [wilson_interval(count, n) for count in counts]
        shares = [
            f"{count / n:.1%} ({low:.0%} to {high:.0%})"
            for count, (low, high) in zip(counts, bounds, strict=True)
        ]
    return [name, variant, images, str(n), f"{hit:.0%}", *shares]


if __name__ == "__main__":
    typer.run(main)
