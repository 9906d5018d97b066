"""What the commands begin with: the detector, and room for what they write."""

from pathlib import Path
from typing import TYPE_CHECKING

from tf_taintradar.cli.quiet import import_tensorflow, progress_on_stderr
from tf_taintradar.errors import NotCalibratedError

if TYPE_CHECKING:
    from tf_taintradar.model import TaintRadarModel


def open_detector(
    model: str,
    preprocessor: str | None,
    feature_layer: str | None,
    class_names: Path | None = None,
    variant: str | None = None,
    top_k: int | None = None,
    rank_threshold: int | None = None,
) -> "TaintRadarModel":
    """The detector that the arguments of a command mean; see `opening.load_detector`."""
    import_tensorflow()
    from tf_taintradar.opening import load_detector, read_class_names

    names = None if class_names is None else read_class_names(class_names)
    with progress_on_stderr():  # of a download
        return load_detector(
            model,
            preprocessor=preprocessor,
            feature_layer=feature_layer,
            class_names=names,
            variant=variant,
            top_k=top_k,
            rank_threshold=rank_threshold,
        )


def require_threshold(radar: "TaintRadarModel", model: str) -> None:
    """Raises NotCalibratedError if the detector cannot decide yet."""
    if radar.threshold is None:
        raise NotCalibratedError(
            f"{model} has no threshold yet: run `taintradar calibrate` on benign images, or, for "
            "the paper's rule, give --rank-threshold (its scene setting: --top-k 9 "
            "--rank-threshold 2)."
        )


def make_folders(*files: Path | None) -> None:
    """Makes the folders of files that are to be written."""
    for file in files:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
