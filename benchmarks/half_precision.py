"""How far the answers in half precision agree with those in float32, on your images."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from report import publish

from tf_taintradar.export.versions import with_precision
from tf_taintradar.images.folders import find_images
from tf_taintradar.opening import load_detector

HALVES = ["float16", "bfloat16"]


class Result(NamedTuple):
    """One precision; shares in [0, 1] of the images on which it agrees with float32.

    Attributes:
        precision: "float16" or "bfloat16".
        n: how many images.
        flagged: share that is flagged in float32.
        flags: share with the same flag.
        labels: share with the same label.
        scores: share with the same score, within 1 %.
    """

    precision: str
    n: int
    flagged: float
    flags: float
    labels: float
    scores: float

    def cells(self) -> list[str]:
        """The line as printed."""
        shares = (self.flagged, self.flags, self.labels, self.scores)
        return [self.precision, str(self.n), *(f"{share:.1%}" for share in shares)]


def main(
    model: Annotated[str, typer.Argument(help="a detector's .keras file")],
    folder: Annotated[Path, typer.Argument(help="images, in this folder or below")],
    precision: Annotated[list[str], typer.Option(help="may be repeated")] = HALVES,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    output: Annotated[Path | None, typer.Option(help="a JSON file to write")] = None,
) -> list[Result]:
    """Compare each precision with float32; print the table. Slow without an accelerator."""
    radar, files = load_detector(model), find_images(folder)
    expected = radar.predict(files, batch_size=batch_size, verbose=0)
    results = []
    for name in precision:
        found = with_precision(radar, name).predict(files, batch_size=batch_size, verbose=0)
        results.append(Result(name, len(files), *shares(expected, found)))
        print(results[-1], flush=True)
    header = ["precision", "n", "flagged", "same flag", "same label", "same score"]
    publish("half_precision", header, (row.cells() for row in results), output)
    return results


def shares(expected: dict[str, Any], found: dict[str, Any]) -> tuple[float, ...]:
    """Flagged in float32; same flag, same label, same score."""
    same = [np.mean(found[k] == expected[k]) for k in ("is_adversarial", "label")]
    close = np.isclose(found["score"], expected["score"], rtol=0.01, atol=0).mean()
    return float(expected["is_adversarial"].mean()), *map(float, same), float(close)


if __name__ == "__main__":
    typer.run(main)
