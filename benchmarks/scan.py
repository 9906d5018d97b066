"""Whether a scan keeps its promises: one row a file, flat memory, killed and gone on, and how fast.

Draws scenes into 40 folders, 1 % of the files broken, and scans them with the demo's detector.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from report import publish

FOLDERS, BROKEN, ATTACKED = 40, 100, 20  # one in so many is broken, one in so many attacked
SCENES, SIDE = 200, 288  # different scenes; pixels of a side
BATCH = 32
PIECES = 10  # of the collection, in which the two rates are measured in turn
TARGET_RATE = 0.7  # of the plain classifier's loop


def draw(folder: Path, n: int) -> int:
    """Writes n JPEG files, and answers how many of them are broken."""
    from tf_taintradar.demo.scenes import draw_scenes

    scenes, _ = draw_scenes(SCENES, seed=11)
    scenes[::ATTACKED] = attacked(scenes[::ATTACKED])
    rng, n_broken = np.random.default_rng(11), 0
    for i in range(n):
        file = folder / f"{i % FOLDERS:02}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        scene = np.clip(scenes[i % SCENES] * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
        Image.fromarray(scene).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, quality=90)
        if i % BROKEN == 0:
            n_broken += 1
            contents = file.read_bytes()
            file.write_bytes(contents[: len(contents) // 3] if i % 200 else b"")
    return n_broken


def attacked(scenes: Any) -> Any:
    """The scenes with a patch that makes many of them a striped star."""
    from tf_taintradar.attacks import AdversarialPatch
    from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes
    from tf_taintradar.demo.show import detector_file
    from tf_taintradar.opening import load_detector

    attack = AdversarialPatch(
        load_detector(str(detector_file())).opened,
        target_class=CLASS_NAMES.index("striped star"),
        diameter=0.4,
        place="bottom_right",
        steps=60,
        seed=11,
    )
    patches = attack.universal(draw_scenes(64, seed=12)[0], verbose=0).patches
    return attack.apply(patches, scenes).images


def memory() -> int:
    """What this process has in memory now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    raise OSError("/proc/self/status has no VmRSS")


def scan_all(photos: Path, output: Path, n: int) -> dict[str, Any]:
    """Scans all of them: memory on the way, and the counts."""
    from tf_taintradar.demo.show import detector_file
    from tf_taintradar.opening import load_detector
    from tf_taintradar.scan import scan

    radar = load_detector(str(detector_file()))
    radar.predict(np.zeros((BATCH, *radar.opened.input_shape), np.uint8), verbose=0)  # compiled
    radar.explain(np.zeros(radar.opened.input_shape, np.uint8))
    scanned = scan(radar, photos, output, batch_size=BATCH)
    stops = {n // 4: "quarter", n // 2: "half", n: "end"}
    seen: dict[str, int] = {}

    def watched() -> Any:
        for i, finding in enumerate(scanned, start=1):
            if i in stops:
                seen[stops[i]] = memory()
            yield finding

    counts = dataclasses.asdict(scanned.summary(watched()))
    del counts["calibration"]
    return {"MB": seen, **counts}


class Clock:
    """Seconds that pass, and those that the processors work, while it is entered."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._began[0]
        self.processor += time.process_time() - self._began[1]


def compare_rates(photos: Path, work: Path) -> dict[str, Any]:
    """A scan beside the plain loop over the same files, piece by piece in turn."""
    from tf_taintradar.demo.show import detector_file
    from tf_taintradar.images import find_images
    from tf_taintradar.opening import load_detector
    from tf_taintradar.scan import scan

    radar = load_detector(str(detector_file()))
    files = find_images(photos)
    pieces = [files[i::PIECES] for i in range(PIECES)]
    ask, plain, ours = classifier_of(radar), Clock(), Clock()

    def scanned(piece: list[Path], i: Any) -> None:
        for _ in scan(radar, piece, work / "pieces" / f"{i}.jsonl", batch_size=BATCH):
            pass

    for i, piece in enumerate([pieces[0], *pieces]):
        if i == 1:  # all is compiled
            plain, ours = Clock(), Clock()
        with plain:
            plain_loop(ask, piece, radar.opened.input_shape)
        with ours:
            scanned(piece, i)
    n = len(files)
    return {
        "images a second": round(n / ours.wall, 1),
        "of the plain loop": round(n / plain.wall, 1),
        f"share of its rate (at least {TARGET_RATE})": round(plain.wall / ours.wall, 2),
        "share by processor time": round(plain.processor / ours.processor, 2),
        "processor ms an image, plain": round(1000 * plain.processor / n, 2),
        "processor ms an image, scan": round(1000 * ours.processor / n, 2),
    }


def classifier_of(radar: Any) -> Any:
    """The compiled classifier of a detector."""
    import tensorflow as tf

    ask = tf.function(radar.opened.logits, reduce_retracing=True)
    for size in (BATCH, BATCH - 1):
        ask(tf.zeros((size, *radar.opened.input_shape)))
    return ask


def plain_loop(ask: Any, files: list[Path], shape: Any) -> None:
    """The usual loop: read a batch, ask the classifier, skip what is broken."""
    from tf_taintradar.errors import ImageError
    from tf_taintradar.images import read_image

    for start in range(0, len(files), BATCH):
        images = []
        for file in files[start : start + BATCH]:
            try:
                images.append(read_image(file, shape))
            except ImageError:
                continue
        if images:
            ask(np.stack(images).astype(np.float32)).numpy()


def in_process(function: Any, *arguments: Any) -> Any:
    """What a function answers in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def kill_and_go_on(photos: Path, output: Path, times: int) -> int:
    """Kills the command at random moments, then lets it end; answers how often it was killed."""
    from tf_taintradar.demo.show import detector_file

    command = [sys.executable, "-m", "tf_taintradar.cli", "scan", str(detector_file())]
    command += [str(photos), "--output", str(output), "--batch-size", str(BATCH)]
    chance, killed = random.Random(11), 0
    parts = output.with_name(f".{output.name}.parts")
    for i in itertools.count():
        before = len(list(parts.glob("*")))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while i < times and process.poll() is None and len(list(parts.glob("*"))) <= before:
            time.sleep(0.05)
        if i < times and process.poll() is None:
            time.sleep(chance.random() * 2)
            process.kill()
            killed += 1
        if process.wait() in (0, 1):
            return killed
    raise AssertionError


def main(
    work: Annotated[Path, typer.Argument(help="A new folder for the images and the results.")],
    n: Annotated[int, typer.Option(help="How many images.")] = 20_000,
    kills: Annotated[int, typer.Option(help="How often the scan is killed.")] = 10,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Draws, scans, kills, compares, and prints a table."""
    photos, whole, pieces = work / "photos", work / "whole.jsonl", work / "pieces.jsonl"
    n_broken = in_process(draw, photos, n)
    rates = in_process(compare_rates, photos, work)
    found = in_process(scan_all, photos, whole, n)
    killed = kill_and_go_on(photos, pieces, kills) if kills else 0
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    paths = {row["path"] for row in rows}
    figures = {
        "files": n,
        "broken files": n_broken,
        "rows": len(rows),
        "different paths": len(paths),
        "unreadable rows": found["unreadable"],
        "flagged": found["flagged"],
        **{f"MB at the {place}": value for place, value in found["MB"].items()},
        **rates,
        "killed": killed,
        "the same table": whole.read_bytes() == pieces.read_bytes() if kills else "not tried",
    }
    publish("scan", ["of the scan", "found"], figures.items(), output, figures=figures)


if __name__ == "__main__":
    typer.run(main)
