"""Many clients at once, some of them with broken requests: is every answer right, and how soon?

The server is this project's stand-in for TensorFlow Serving (`tf_serving`), in a process of its
own: answers, refusals and the growth of its memory say something about the exported detector and
the clients; speed and the size of its memory say nothing about the real server.
"""

import io
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import typer
from PIL import Image
from report import publish
from tf_serving.process import memory, serve

from tf_taintradar.errors import ServingError
from tf_taintradar.export.savedmodel import BATCH_SIZES
from tf_taintradar.serving import (
    GrpcClient,
    RestClient,
    Signature,
    Verdict,
)

POOL = 32  # different images
MOST_IMAGES = 4  # in one request
EXACT = ("label", "is_adversarial", "rank_shift", "recovered_label")
CLOSE = ("predictions", "score")


class Outcome(NamedTuple):
    """What became of one request.

    Attributes:
        protocol: "REST" or "gRPC".
        kind: "right", "wrong", "refused" (a broken request, and told so), "missed" (a broken
            request that was answered as if nothing were wrong) or "error".
        seconds: How long it took, attempts and waits included.
        said: The error's text.
    """

    protocol: str
    kind: str
    seconds: float
    said: str = ""


class Case(NamedTuple):
    """A request and the rows that must come back; `None`: the server must refuse it."""

    images: Any
    expected: dict[str, npt.NDArray[Any]] | None


class Cases:
    """Requests drawn at random from a pool of images, and what a direct call answers.

    Args:
        folder: One version of an exported detector.
        malformed: Share of requests that are broken: half of them files that are none, which must
            come back as invalid, half images of another size, which must be refused.
        seed: Of the images and the draws.
    """

    def __init__(self, folder: Path, malformed: float, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._malformed = malformed
        model = tf.saved_model.load(str(folder))
        shape = model.signatures["serving_default"].structured_input_signature[1]["images"].shape
        self.shape: tuple[int, int, int] = tuple(shape[1:])
        self._pixels = self._rng.integers(0, 256, (POOL, *self.shape), np.uint8)
        self._files = [_encode(image) for image in self._pixels] + [b"this is no image"]
        self._by_pixels = _call(model, "serving_default", images=self._pixels)
        self._by_files = _call(model, "serve_bytes", image_bytes=self._files)

    def draw(self) -> Case:
        """The next request."""
        with self._lock:
            broken, as_file = self._rng.random(2) < (self._malformed, 0.5)
            rows = self._rng.integers(0, POOL, self._rng.integers(1, MOST_IMAGES + 1))
        if broken and not as_file:
            return Case(np.zeros((1, *self.other_shape), np.uint8), None)
        if broken:
            rows[0] = POOL
        if as_file:
            return Case([self._files[i] for i in rows], _rows(self._by_files, rows))
        return Case(self._pixels[rows], _rows(self._by_pixels, rows))

    @property
    def other_shape(self) -> tuple[int, int, int]:
        """A shape that the detector does not take."""
        height, width, channels = self.shape
        return height // 2, width, channels


def _encode(image: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


def _call(model: Any, signature: str, **inputs: Any) -> dict[str, npt.NDArray[Any]]:
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: out.numpy() for name, out in model.signatures[signature](**tensors).items()}


def _rows(outputs: dict[str, Any], rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    return {name: found[rows] for name, found in outputs.items()}


class Worker:
    """One client of the server, and a careless one beside it that believes in another shape."""

    def __init__(self, protocol: str, connect: Callable[..., Any], other: tuple[int, ...]) -> None:
        self._protocol = protocol
        self._client = connect(timeout=60)
        self._careless = connect(timeout=60, retries=0)
        self._careless.signatures()["serving_default"] = Signature({"images": (-1, *other)}, {})

    def ask(self, case: Case) -> Outcome:
        """Sends a request and judges the answer."""
        client = self._careless if case.expected is None else self._client
        begin = time.perf_counter()
        try:
            verdicts, said = client.detect(case.images), ""
        except ServingError as error:
            verdicts, said = None, str(error)
        return Outcome(self._protocol, judge(case, verdicts), time.perf_counter() - begin, said)

    def close(self) -> None:
        """Closes both."""
        self._client.close()
        self._careless.close()


def judge(case: Case, verdicts: list[Verdict] | None) -> str:
    """The kind of the outcome; `verdicts` is `None` if the server refused the request."""
    if case.expected is None:
        return "refused" if verdicts is None else "missed"
    if verdicts is None:
        return "error"
    valid = case.expected.get("valid", np.ones(len(verdicts), bool))
    if [verdict.valid for verdict in verdicts] != valid.tolist():
        return "missed"
    for name in EXACT:
        if [getattr(verdict, name) for verdict in verdicts] != case.expected[name].tolist():
            return "wrong"
    for name in CLOSE:  # another batch size may sum in another order
        found = np.array([getattr(verdict, name) for verdict in verdicts])
        if not np.allclose(found, case.expected[name], rtol=1e-3, atol=1e-5):
            return "wrong"
    return "right" if valid.all() else "refused"


def hammer(workers: list[Worker], cases: Cases, requests: int) -> list[Outcome]:
    """The outcomes of as many requests, sent by all workers at once."""
    numbers = itertools.count()

    def work(worker: Worker) -> list[Outcome]:
        outcomes = []
        while next(numbers) < requests:
            outcomes.append(worker.ask(cases.draw()))
        return outcomes

    with ThreadPoolExecutor(len(workers)) as threads:
        return [outcome for some in threads.map(work, workers) for outcome in some]


def connectors(addresses: dict[str, str], name: str, protocol: str) -> list[tuple[str, Any]]:
    """The kinds of clients to use, with their names."""
    rest = ("REST", lambda **settings: RestClient(addresses["rest"], name, **settings))
    grpc = ("gRPC", lambda **settings: GrpcClient(addresses["grpc"], name, **settings))
    return {"rest": [rest], "grpc": [grpc], "mixed": [rest, grpc]}[protocol]


def cells(name: str, outcomes: list[Outcome], seconds: float) -> list[Any]:
    """One line of the table."""
    kinds = [outcome.kind for outcome in outcomes]
    counts = [kinds.count(kind) for kind in ("right", "refused", "wrong", "missed", "error")]
    times = [1000 * outcome.seconds for outcome in outcomes] or [np.nan]
    quantiles = [f"{ms:.0f}" for ms in np.quantile(times, (0.5, 0.95, 0.99, 1))]
    return [name, len(outcomes), *counts, f"{len(outcomes) / seconds:.1f}", *quantiles]


def main(
    model_dir: Annotated[Path, typer.Argument(help="a detector's folder, with its versions")],
    requests: Annotated[int, typer.Option(help="how many in all")] = 2000,
    clients: Annotated[int, typer.Option(help="at once")] = 16,
    malformed: Annotated[float, typer.Option(help="share of broken requests")] = 0.01,
    protocol: Annotated[str, typer.Option(help="rest, grpc or mixed")] = "mixed",
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Outcome]:
    """Prints how the requests went and what the server needed."""
    versions = [path for path in model_dir.iterdir() if path.name.isdecimal()]
    cases = Cases(max(versions, key=lambda path: int(path.name)), malformed)
    with serve(model_dir) as (addresses, pid):
        kinds = connectors(addresses, model_dir.resolve().name, protocol)
        workers = [Worker(*kinds[i % len(kinds)], cases.other_shape) for i in range(clients)]
        hammer(workers, cases, 4 * max(BATCH_SIZES))  # warms up
        resident = [memory(pid)["VmRSS"]]
        outcomes: list[Outcome] = []
        begin = time.perf_counter()
        for quarter in np.diff(np.linspace(0, requests, 5, dtype=int)):
            outcomes += hammer(workers, cases, quarter)
            resident.append(memory(pid)["VmRSS"])
        seconds = time.perf_counter() - begin
        peak = memory(pid)["VmHWM"]
        for worker in workers:
            worker.close()
    header = ["clients", "requests", "right", "told broken", "wrong", "not told", "errors"]
    header += ["per second", "median ms", "95 %", "99 %", "slowest"]
    lines = [cells("all", outcomes, seconds)] + [
        cells(name, [outcome for outcome in outcomes if outcome.protocol == name], seconds)
        for name, _ in kinds
    ]
    about = f"{clients} clients, {malformed:.1%} broken requests"
    publish("serving_load", header, lines, output, about=about)
    print(
        "\nMemory of the server's process, MB: before, and after each quarter of the requests: "
        f"{', '.join(f'{megabytes:.0f}' for megabytes in resident)}; {peak:.0f} at most."
    )
    for outcome in outcomes:
        if outcome.kind == "error":
            print(f"{outcome.protocol}: {outcome.said}")
    return outcomes


if __name__ == "__main__":
    typer.run(main)
