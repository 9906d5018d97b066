"""What an export costs: bytes on disk for each byte of weights, seconds, peak memory."""

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import tensorflow as tf
import typer
from report import publish
from untrained import VGGFACE, build

from tf_taintradar import TaintRadarModel, export_savedmodel

NETWORKS = ["VGG16", VGGFACE]
LARGEST_RATIO = 1.02  # of these two: bytes of a SavedModel for each byte of its weights


class Result(NamedTuple):
    """One network.

    Attributes:
        network: see `untrained.build`.
        precision: what the exported classifier computes in.
        weights: how many there are.
        stored: how many entries the checkpoint has.
        weight_bytes: the size of all weights.
        bytes: the size of `saved_model.pb` and `variables/`.
        seconds: what the export took.
        peak_before: peak memory of the process in GB before the export, with the detector made.
        peak: the same after it.
    """

    network: str
    precision: str
    weights: int
    stored: int
    weight_bytes: int
    bytes: int
    seconds: float
    peak_before: float
    peak: float

    @property
    def ratio(self) -> float:
        """Bytes on disk for each byte of weights."""
        return self.bytes / self.weight_bytes

    def cells(self) -> list[str]:
        """The line as printed."""
        return [
            self.network,
            self.precision,
            f"{self.stored} of {self.weights}",
            f"{self.weight_bytes / 1e6:.1f}",
            f"{self.bytes / 1e6:.1f}",
            f"{self.ratio:.4f}",
            f"{self.seconds:.1f}",
            f"{self.peak_before:.2f}",
            f"{self.peak:.2f}",
        ]


def main(
    network: Annotated[list[str], typer.Option(help="may be repeated")] = NETWORKS,
    precision: Annotated[str, typer.Option(help="float32, float16 or bfloat16")] = "float32",
    size: Annotated[int, typer.Option(help="height and width of the images")] = 224,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Result]:
    """Export networks with random weights, each in a fresh process; print the table."""
    results = [in_fresh_process(name, precision, size) for name in network]
    header = "network|precision|weights stored|weights, MB|SavedModel, MB|ratio|export, s"
    header += "|peak memory before, GB|after, GB"
    cells = [row.cells() for row in results]
    figures = [row._asdict() for row in results]
    publish("export_size", header.split("|"), cells, output, figures=figures)
    for row in results:
        if row.network in ("VGG16", VGGFACE):
            state = "met" if row.ratio <= LARGEST_RATIO else "MISSED"
            print(
                f"- {row.network}: ratio {row.ratio:.4f} ({state}); target: {LARGEST_RATIO} at most"
            )
    return results


def in_fresh_process(network: str, precision: str, size: int) -> Result:
    """What `measure` finds in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(measure, network, precision, size).result()


def measure(network: str, precision: str, size: int) -> Result:
    """Exports a detector around a network with random weights, and looks at what was written."""
    classifier, settings = build(network, size)
    radar = TaintRadarModel(classifier, rank_threshold=2, **settings)
    before = own_peak()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = export_savedmodel(radar, folder, precision=precision)
        seconds = time.perf_counter() - start
        weights = json.loads((path / "assets" / "metadata.json").read_text())["weights"]
        checkpoint = path / "variables"
        names = [name for name, _ in tf.train.list_variables(str(checkpoint / "variables"))]
        files = [path / "saved_model.pb", *checkpoint.iterdir()]
        return Result(
            network=network,
            precision=precision,
            weights=weights["tensors"],
            stored=len(set(names) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}),
            weight_bytes=weights["bytes"],
            bytes=sum(file.stat().st_size for file in files),
            seconds=seconds,
            peak_before=before,
            peak=own_peak(),
        )


def own_peak() -> float:
    """Peak memory in GB of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


if __name__ == "__main__":
    typer.run(main)
