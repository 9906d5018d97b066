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
from report import setting, table, write_json
from untrained import build

from tf_taintradar import TaintRadarModel

BATCHES = [8, 1]
TOP_KS = [9, 20, 40]
MEMORY_BATCH, MEMORY_TOP_K = 32, 40
TARGETS = {  # forward passes at most, by network, K (None: variant "occlusion") and batch
    ("VGG16", None, 8): 1.2,
    ("VGG16", None, 1): 1.6,
    ("MobileNetV2", None, 8): 1.3,
    ("MobileNetV2", None, 1): 1.6,
    ("VGG16", 9, 8): 3.2,
    ("VGG16", 9, 1): 3.7,
}
TARGET_MORE = 0.4  # VGG16: forward passes that K = 20 may add to K = 9
TARGET_MEMORY = 8.0  # VGG16, K = 40: GB
TARGET_MEMORY_RATIO = 1.5  # VGG16, variant "occlusion": of the plain classifier's
PLAIN, OCCLUSION, PAPER = "plain", "occlusion", f"paper, K = {MEMORY_TOP_K}"
MEASURED: dict[str, str | int | None] = {PLAIN: PLAIN, OCCLUSION: None, PAPER: MEMORY_TOP_K}
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
        top_k: K of variant "paper"; None: variant "occlusion".
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
    top_k: int | None
    third_pass: float
    plain_ms: float
    detector_ms: float
    ratio: float
    quartiles: tuple[float, float]
    ratio_of_minima: float
    processor_ratio: float

    @classmethod
    def of(
        cls, times: Times, weights: str, batch: int, top_k: int | None, empty: float
    ) -> "Result":
        """The line for what `take_turns` measured; `empty`: share of rows with an empty region."""
        ratio, processor_ratio = np.median(times[:, 1] / times[:, 0], axis=0).tolist()
        low, high = np.quantile(times[:, 1, 0] / times[:, 0, 0], (0.25, 0.75)).tolist()
        plain_ms, detector_ms = (1000 / batch * np.median(times[:, :, 0], axis=0)).tolist()
        fastest = times[:, :, 0].min(axis=0)
        minima = float(fastest[1] / fastest[0])
        return cls(
            *(weights, batch, top_k, 1 - empty, plain_ms, detector_ms),
            *(ratio, (low, high), minima, processor_ratio),
        )

    def cells(self) -> list[str]:
        """The line as printed."""
        return [
            self.weights,
            str(self.batch),
            "occlusion" if self.top_k is None else f"paper, K = {self.top_k}",
            "-" if self.top_k is None else f"{self.third_pass:.0%}",
            f"{self.plain_ms:.0f}",
            f"{self.detector_ms:.0f}",
            f"**{self.ratio:.2f}**",
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
    print(f"\n{network}, {size} x {size}; {setting()}; {repeats} repeats\n\n{as_table(results)}\n")
    for who, gigabytes in peaks.items():
        print(f"Peak memory of a process, batch {MEMORY_BATCH}: {who} {gigabytes:.2f} GB")
    print("\n".join([*verdicts(network, results, peaks), "", OTHERS]))
    if output:
        content = {"network": network, "setting": setting(), "peak_gb": peaks}
        write_json(output, {**content, "results": [row._asdict() for row in results]})
    return results


def run(
    network: str, size: int, batches: list[int], top_ks: list[int], repeats: int
) -> list[Result]:
    """Both cases, with the random weights as they come and the worst, for every batch and K.

    Variant "occlusion" has no worst case: it always does the same.
    """
    classifier, settings = build(network, size)
    plain = compiled(classifier, size)
    radars = {k: around(classifier, settings, k) for k in (None, *top_ks)}
    detectors = {k: compiled(radar, size) for k, radar in radars.items()}
    results: list[Result] = []
    for weights in ("random", "worst"):
        if weights == "worst":
            hold_nothing_down(classifier)
            del detectors[None]
        for batch in batches:
            images = random_images(batch, size)
            for top_k, detector in detectors.items():
                empty = radars[top_k].diagnose(images.numpy()).empty_tainted if top_k else 1.0
                times = take_turns(plain, detector, images, repeats)
                results.append(Result.of(times, weights, batch, top_k, empty))
                print(results[-1], file=sys.stderr, flush=True)
    return results


def around(classifier: keras.Model, settings: dict[str, Any], top_k: int | None) -> TaintRadarModel:
    """The detector around a classifier: of variant "paper" with this K, None: "occlusion"."""
    if top_k is None:
        return TaintRadarModel(classifier, score_threshold=0.0, **settings)
    return TaintRadarModel(classifier, top_k=top_k, rank_threshold=2, **settings)


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


def own_peak(network: str, size: int, who: str | int | None) -> float:
    """Peak memory in GB of this process after two calls: of "plain", or `around` with this K."""
    classifier, settings = build(network, size)
    hold_nothing_down(classifier)
    model = around(classifier, settings, who) if not isinstance(who, str) else classifier
    step = compiled(model, size)
    for _ in range(2):
        step(random_images(MEMORY_BATCH, size))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def as_table(results: list[Result]) -> str:
    """The results as Markdown."""
    header = "weights|batch|variant|rows in third pass|plain, ms an image|detector"
    header += "|ratio, median|quartiles|of the minima|in processor time"
    return table(header.split("|"), (row.cells() for row in results))


def verdicts(network: str, results: list[Result], peaks: dict[str, float]) -> list[str]:
    """What the project wants, and whether the worst case meets it, in both times."""
    worst = {(row.batch, row.top_k): row for row in results}  # the later lines are the worst case
    ratios = {key: np.array([row.ratio, row.processor_ratio]) for key, row in worst.items()}
    lines = []
    for (name, top_k, batch), most in TARGETS.items():
        if name == network and (batch, top_k) in ratios:
            what = "occlusion" if top_k is None else f"paper, K = {top_k}"
            ratio = ratios[batch, top_k]
            lines.append(verdict(f"{what}, batch {batch}: forward passes", ratio, most))
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
