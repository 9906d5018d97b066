"""What the detector costs, as a multiple of the plain classifier's forward pass on the same batch.

The two take turns in one run, so that whatever else the machine does hits both alike.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from report import publish
from untrained import build

from tf_taintradar import TaintRadarModel, rules

BATCHES = [8, 1]
TOP_KS = [9, 20, 40]
MEMORY_BATCH, MEMORY_TOP_K = 32, 40
OCCLUSION, ONE_DEPTH = "occlusion", "occlusion, one depth"
HEADER = ["weights", "batch", "variant", "rows in third pass", "plain, ms an image", "detector"]
HEADER += ["ratio, median", "quartiles", "of the minima", "in processor time"]
TARGETS = {  # forward passes at most, by network, rule (a number: K of "paper") and batch
    ("VGG16", OCCLUSION, 8): 1.5,
    ("VGG16", OCCLUSION, 1): 1.8,
    ("VGG16", ONE_DEPTH, 8): 1.25,
    ("VGG16", ONE_DEPTH, 1): 1.6,
    ("MobileNetV2", OCCLUSION, 8): 1.6,
    ("MobileNetV2", OCCLUSION, 1): 1.8,
    ("VGG16", 9, 8): 3.2,
    ("VGG16", 9, 1): 3.7,
}
TARGET_MORE = 0.4  # VGG16: forward passes that K = 20 may add to K = 9
TARGET_MEMORY = 8.0  # VGG16, K = 40: GB
TARGET_MEMORY_RATIO = 1.5  # VGG16, `OCCLUSION`: of the plain classifier's
PLAIN, PAPER = "plain", f"paper, K = {MEMORY_TOP_K}"
MEASURED: dict[str, str | int] = {PLAIN: PLAIN, OCCLUSION: OCCLUSION, PAPER: MEMORY_TOP_K}
OTHERS = """\
For comparison (VGG16, K = 9):
- the authors' program on this class of machine (2 cores): 2.3 s an image, 8.0 of its own forward
  passes, 12 to 13 of ours (our measurement; TensorFlow 1.13, Keras 2.3.1, one image at a time);
- the paper (section VI): 79 ms an image on an RTX 2080 Ti, 4 ms more for each K."""

Step = Callable[[tf.Tensor], Any]
Times = npt.NDArray[np.float64]


class Result(NamedTuple):
    """One line of the table.

    Attributes:
        weights: which random weights: "random", as they come, or "worst", see `hold_nothing_down`.
        batch: images in a batch.
        rule: `OCCLUSION`, `ONE_DEPTH`, or K of variant "paper".
        third_pass: share of rows that took the third forward pass, of variant "paper".
        plain_ms: median milliseconds an image of the plain classifier.
        detector_ms: the same of the detector.
        ratio: median of detector / plain, each pair measured back to back.
        quartiles: 25 % and 75 % of those ratios.
        ratio_of_minima: fastest detector / fastest plain.
        processor_ratio: median of the same pairs' ratios in processor time of all threads.
    """

    weights: str
    batch: int
    rule: str | int
    third_pass: float
    plain_ms: float
    detector_ms: float
    ratio: float
    quartiles: tuple[float, float]
    ratio_of_minima: float
    processor_ratio: float

    @classmethod
    def of(cls, times: Times, weights: str, batch: int, rule: str | int, empty: float) -> "Result":
        """The line for what `take_turns` measured; `empty`: share of rows with an empty region."""
        ratio, processor_ratio = np.median(times[:, 1] / times[:, 0], axis=0).tolist()
        low, high = np.quantile(times[:, 1, 0] / times[:, 0, 0], (0.25, 0.75)).tolist()
        plain_ms, detector_ms = (1000 / batch * np.median(times[:, :, 0], axis=0)).tolist()
        fastest = times[:, :, 0].min(axis=0)
        minima = float(fastest[1] / fastest[0])
        return cls(
            *(weights, batch, rule, 1 - empty, plain_ms, detector_ms),
            *(ratio, (low, high), minima, processor_ratio),
        )

    def cells(self) -> list[str]:
        """The line as printed."""
        return [
            self.weights,
            str(self.batch),
            called(self.rule),
            "-" if isinstance(self.rule, str) else f"{self.third_pass:.0%}",
            f"{self.plain_ms:.0f}",
            f"{self.detector_ms:.0f}",
            f"{self.ratio:.2f}",
            f"{self.quartiles[0]:.2f} to {self.quartiles[1]:.2f}",
            f"{self.ratio_of_minima:.2f}",
            f"{self.processor_ratio:.2f}",
        ]


def main(
    network: Annotated[
        str, typer.Option(help="a name of keras.applications, or VGGFace")
    ] = "VGG16",
    batch: Annotated[list[int], typer.Option(help="may be repeated")] = BATCHES,
    top_k: Annotated[list[int], typer.Option(help="may be repeated")] = TOP_KS,
    repeats: Annotated[int, typer.Option(min=1)] = 10,
    size: Annotated[int, typer.Option(help="height and width of the images")] = 224,
    memory: Annotated[bool, typer.Option(help="measure peak memory, too")] = True,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Result]:
    """Time the detector around a network with random weights; print the table."""
    peaks = peak_memory(network, size) if memory else {}  # first: see there
    print(f"peak memory, GB: {peaks}", file=sys.stderr, flush=True)
    results = run(network, size, batch, top_k, repeats)
    about = f"{network}, {size} x {size}; {repeats} repeats"
    figures = {"peak_gb": peaks, "results": [row._asdict() for row in results]}
    cells = [row.cells() for row in results]
    publish("latency", HEADER, cells, output, about=about, figures=figures)
    for who, gigabytes in peaks.items():
        print(f"Peak memory of a process, batch {MEMORY_BATCH}: {who} {gigabytes:.2f} GB")
    print("\n".join([*verdicts(network, results, peaks), "", OTHERS]))
    return results


def run(
    network: str, size: int, batches: list[int], top_ks: list[int], repeats: int
) -> list[Result]:
    """Both cases, with the random weights as they come and the worst, for every batch and K.

    Variant "occlusion" has no worst case: it always does the same.
    """
    classifier, settings = build(network, size)
    plain = compiled(classifier, size)
    radars = {rule: around(classifier, settings, rule) for rule in (OCCLUSION, ONE_DEPTH, *top_ks)}
    detectors = {rule: compiled(radar, size) for rule, radar in radars.items()}
    results: list[Result] = []
    for weights in ("random", "worst"):
        if weights == "worst":
            hold_nothing_down(classifier)
            detectors = {rule: detectors[rule] for rule in top_ks}
        for batch in batches:
            images = random_images(batch, size)
            for rule, detector in detectors.items():
                is_paper = isinstance(rule, int)
                empty = radars[rule].diagnose(images.numpy()).empty_tainted if is_paper else 1.0
                times = take_turns(plain, detector, images, repeats)
                results.append(Result.of(times, weights, batch, rule, empty))
                print(results[-1], file=sys.stderr, flush=True)
    return results


def around(classifier: keras.Model, settings: dict[str, Any], rule: str | int) -> TaintRadarModel:
    """The detector around a classifier: `OCCLUSION`, `ONE_DEPTH`, or "paper" with this K."""
    if isinstance(rule, int):
        return TaintRadarModel(classifier, top_k=rule, rank_threshold=2, **settings)
    own = rules.Occlusion() if rule == OCCLUSION else rules.Occlusion(depths=1)
    return TaintRadarModel(classifier, variant=own, score_threshold=0.0, **settings)


def called(rule: str | int) -> str:
    """What a rule is called in the tables."""
    return rule if isinstance(rule, str) else f"paper, K = {rule}"


def compiled(model: keras.Model, size: int) -> Step:
    """The model as one graph for batches of any length."""
    spec = tf.TensorSpec((None, size, size, 3), tf.float32)
    return tf.function(model, input_signature=[spec]).get_concrete_function()


def hold_nothing_down(classifier: keras.Model) -> None:
    """The worst case: makes every row take the third forward pass.

    With no negative weight in its dense layers nothing in the feature map speaks against any label:
    all negative maps are empty, so every tainted region is the whole image.
    """
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel.assign(abs(layer.kernel))


def random_images(batch: int, size: int) -> tf.Tensor:
    """Images (batch, size, size, 3) float32 of smooth random colours, 0..255."""
    colours = np.random.default_rng(0).uniform(0, 255, (batch, 8, 8, 3))
    return tf.image.resize(colours, (size, size))


def take_turns(plain: Step, detector: Step, images: tf.Tensor, repeats: int) -> Times:
    """Seconds (repeats, 2, 2): of the plain classifier and of the detector; wall, processor."""
    for step in (plain, detector):
        seconds(step, images)
    return np.array([[seconds(step, images) for step in (plain, detector)] for _ in range(repeats)])


def seconds(step: Step, images: tf.Tensor) -> tuple[float, float]:
    """Wall time and processor time, summed over all threads, of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    tf.nest.map_structure(np.asarray, step(images))  # asks for the values: waits for the end
    return time.perf_counter() - wall, time.process_time() - processor


def peak_memory(network: str, size: int) -> dict[str, float]:
    """Peak memory in GB of a fresh process for the classifier and each variant, in the worst case.

    To be called before this process grows: Linux counts the parent's memory at the fork, too.
    """
    peaks = {}
    for name, who in MEASURED.items():
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as pool:
            peaks[name] = pool.submit(own_peak, network, size, who).result()
    return peaks


def own_peak(network: str, size: int, who: str | int) -> float:
    """Peak memory in GB of this process after two calls: of "plain", or of `around`."""
    classifier, settings = build(network, size)
    hold_nothing_down(classifier)
    model = classifier if who == PLAIN else around(classifier, settings, who)
    step = compiled(model, size)
    for _ in range(2):
        step(random_images(MEMORY_BATCH, size))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def verdicts(network: str, results: list[Result], peaks: dict[str, float]) -> list[str]:
    """What the project wants, and whether the worst case meets it, in both times."""
    worst = {(row.batch, row.rule): row for row in results}  # the later lines are the worst case
    ratios = {key: np.array([row.ratio, row.processor_ratio]) for key, row in worst.items()}
    lines = []
    for (name, rule, batch), most in TARGETS.items():
        if name == network and (batch, rule) in ratios:
            ratio = ratios[batch, rule]
            lines.append(verdict(f"{called(rule)}, batch {batch}: forward passes", ratio, most))
    for batch in {batch for batch, _ in ratios}:
        if network == "VGG16" and {(batch, 9), (batch, 20)} <= ratios.keys():
            what = f"K from 9 to 20, batch {batch}: forward passes added"
            lines.append(verdict(what, ratios[batch, 20] - ratios[batch, 9], TARGET_MORE))
    if network == "VGG16" and peaks:
        lines.append(verdict("paper, peak memory, GB", np.array([peaks[PAPER]]), TARGET_MEMORY))
        ratio = np.array([peaks[OCCLUSION] / peaks[PLAIN]])
        lines.append(verdict("occlusion, peak memory / plain", ratio, TARGET_MEMORY_RATIO))
    return lines


def verdict(what: str, values: npt.NDArray[np.float64], most: float) -> str:
    """One target: met or missed by the wall time, then by the processor time."""
    outcomes = [f"{value:.2f} ({'met' if value <= most else 'MISSED'})" for value in values]
    return f"- {what}: {', in processor time '.join(outcomes)}; target: {most:g} at most"


if __name__ == "__main__":
    typer.run(main)
