"""A camera pans over a scene, somebody holds up a patch: frame by frame, and as a vote of five.

Draws the verdicts into the frames and writes them as an animation. The film is made by the program;
`read_frames("film.mp4", shape)` or `read_frames(0, shape)` reads yours or a camera.
"""

import pathlib
import tempfile

import keras
import numpy as np
import typer
from PIL import Image

from tf_taintradar import attacks, video
from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes

DETECTOR = pathlib.Path(__file__).parents[1] / "savedmodels" / "demo" / "detector.keras"
SIZE, STEP = 96, 2  # of the frames, and how far the camera pans between two, in pixels


def main(
    output: pathlib.Path | None = None, frames: int = 20, tracks: int = 20, steps: int = 100
) -> float:
    """Returns the share of frames with a patch, all but the first four, that are flagged."""
    radar = keras.models.load_model(DETECTOR)
    watched = video.VideoRadar(radar, window=5)
    benign = [pan(seed, frames) for seed in range(tracks)]
    print(watched.calibrate(benign, target_fpr=1 / (tracks * (frames // 5) + 1)))

    film = pan(tracks, frames)
    half = frames // 2
    patch = attacks.AdversarialPatch(
        radar.classifier,
        target_class=CLASS_NAMES.index("striped star"),
        preprocessor=radar.preprocessor,
        place="bottom_right",
        steps=steps,
    )
    film[half:] = patch.universal(film[half:]).images

    shown, flags = [], []
    for frame, seen in zip(film, watched.watch(film), strict=True):
        is_known = not np.isnan(seen["window_score"])
        flags.append(bool(seen["is_adversarial"]))
        region = radar.explain(frame).tainted_region if flags[-1] else None
        name = radar.class_names[seen["label"]]
        verdict = bool(flags[-1]) if is_known else None
        large = np.asarray(Image.fromarray(frame).resize((3 * SIZE, 3 * SIZE)))
        text = f"{name}  {seen['window_score']:.1f}" if is_known else name
        shown.append(video.draw_verdict(large, text, is_adversarial=verdict, region=region))
    folder = output or pathlib.Path(tempfile.mkdtemp())
    first, *rest = map(Image.fromarray, shown)
    first.save(folder / "video.gif", save_all=True, append_images=rest, duration=200, loop=0)
    caught = np.mean(flags[half + 4 :])
    print(f"flagged: {caught:.0%} of the frames with a patch, {np.mean(flags[:half]):.0%} before")
    print(f"written: {folder / 'video.gif'}")
    return float(caught)


def pan(seed: int, n: int) -> np.ndarray:
    """(n, 96, 96, 3) uint8: a window that moves over a larger scene."""
    (scene,), _ = draw_scenes(1, seed=1000 + seed, size=SIZE + 3 * n)
    moved = [scene[i : i + SIZE, STEP * i : STEP * i + SIZE] for i in range(n)]
    return np.stack(moved)


if __name__ == "__main__":
    typer.run(main)
