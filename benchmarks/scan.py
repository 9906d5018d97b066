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

FOLDERS, BROKEN = 40, 100  # one in so many is broken
SCENES, SIDE = 200, 224  # different scenes; pixels of a side
BATCH = 32
TARGET_RATE = 0.7  # of the plain classifier's loop


def draw(folder: Path, n: int) -> int:
    """Writes n JPEG files, and answers how many of them are broken."""
    from tf_taintradar.demo.scenes import draw_scenes

    scenes, _ = draw_scenes(SCENES, seed=11)
    rng, n_broken = np.random.default_rng(11), 0
    for i in range(n):
        file = folder / f"{i % FOLDERS:02}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        scene = np.clip(scenes[i % SCENES] * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
        Image.fromarray(scene).resize((SIDE, SIDE)).save(file, quality=90)
        if i % BROKEN == 0:
            n_broken += 1
            contents = file.read_bytes()
            file.write_bytes(contents[: len(contents) // 3] if i % 200 else b"")
    return n_broken


def memory() -> int:
    """What this process has in memory now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    raise OSError("/proc/self/status has no VmRSS")


def scan_all(photos: Path, output: Path, n: int) -> dict[str, Any]:
    """Scans all of them: images a second, memory on the way, and the counts."""
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

    began = time.perf_counter()
    summary = scanned.summary(watched())
    counts = dataclasses.asdict(summary)
    del counts["calibration"]
    return {"rate": n / (time.perf_counter() - began), "MB": seen, **counts}


def plain_loop(photos: Path) -> float:
    """Images a second of the usual loop: read a batch, ask the classifier, skip what is broken."""
    import tensorflow as tf

    from tf_taintradar.demo.show import detector_file
    from tf_taintradar.errors import ImageError
    from tf_taintradar.images import find_images, read_image
    from tf_taintradar.opening import load_detector

    opened = load_detector(str(detector_file())).opened
    ask = tf.function(opened.logits, reduce_retracing=True)
    shape = opened.input_shape
    for size in (BATCH, BATCH - 1):
        ask(tf.zeros((size, *shape)))
    files = find_images(photos)
    began = time.perf_counter()
    for start in range(0, len(files), BATCH):
        images = []
        for file in files[start : start + BATCH]:
            try:
                images.append(read_image(file, shape))
            except ImageError:
                continue
        ask(np.stack(images).astype(np.float32)).numpy()
    return len(files) / (time.perf_counter() - began)


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
    n_broken = draw(photos, n)
    plain = in_process(plain_loop, photos)
    found = in_process(scan_all, photos, whole, n)
    again = in_process(plain_loop, photos)
    killed = kill_and_go_on(photos, pieces, kills) if kills else 0
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    paths = {row["path"] for row in rows}
    share = found["rate"] / ((plain + again) / 2)
    figures = {
        "files": n,
        "broken files": n_broken,
        "rows": len(rows),
        "different paths": len(paths),
        "unreadable rows": found["unreadable"],
        "flagged": found["flagged"],
        **{f"MB at the {place}": value for place, value in found["MB"].items()},
        "images a second": round(found["rate"], 1),
        "plain loop, before and after": f"{plain:.1f}, {again:.1f}",
        f"share of its rate (at least {TARGET_RATE})": round(share, 2),
        "killed": killed,
        "the same table": whole.read_bytes() == pieces.read_bytes() if kills else "not tried",
    }
    publish("scan", ["of the scan", "found"], figures.items(), output, figures=figures)


if __name__ == "__main__":
    typer.run(main)
