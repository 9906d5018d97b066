"""The arguments and options of the commands."""

from pathlib import Path
from typing import Annotated

import typer

from tf_taintradar.detection.rules import RULES


def _keras_file(path: Path) -> Path:
    if path.suffix != ".keras":
        raise typer.BadParameter(f"{str(path)!r} must end in .keras.")
    return path


Model = Annotated[
    str,
    typer.Argument(
        help="The `.keras` file of a detector or of a classifier, or the name of a network of "
        "keras.applications such as VGG16.",
    ),
]
Files = Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")]
Folder = Annotated[Path, typer.Argument(help="Benign images, in this folder or below.")]
Image = Annotated[Path, typer.Argument(help="An image file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, not a table.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Number of images processed at once.")]
TopK = Annotated[
    int | None,
    typer.Option(
        min=1, help="K, the number of labels that take part, instead of the calibrated one."
    ),
]
RankThreshold = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="An image is adversarial if its label falls by more ranks than this, instead of the "
        "calibrated number.",
    ),
]
Preprocessor = Annotated[
    str | None,
    typer.Option(
        help="What a classifier's file expects: caffe, tf, torch, unit, vggface or vggface2; by "
        "default raw RGB pixels, 0 to 255.",
    ),
]
FeatureLayer = Annotated[
    list[str] | None,
    typer.Option(
        help="Feature layer of the classifier; found by default. Given several times: all layers "
        "that variant occlusion looks at, first to last.",
    ),
]
_RULES = "; ".join(f"{rule.name} ({rule.purpose})" for rule in RULES.values())
Variant = Annotated[
    str | None,
    typer.Option(help=f"How a new detector removes a region and scores it: {_RULES}."),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        help="The names of the classifier's labels: a text file of one a line, or JSON: a list, "
        "{index: name} or {name: index}.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        help="The size of the images, 224 or 224x160 (height x width), for a classifier that takes "
        "images of any size.",
    ),
]
Label = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Of a multi-label classifier (a sigmoid for each label), the label to watch, from 0.",
    ),
]
Custom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="A layer class of your own that the file needs, e.g. my_layers:Attention; its module "
        "is imported. Can be given several times.",
    ),
]
Detector = Annotated[
    Path,
    typer.Option(
        "--output",
        help="The `.keras` file to write.",
        dir_okay=False,
        callback=_keras_file,
    ),
]
Picture = Annotated[
    Path,
    typer.Option(
        "--output", help="The picture to write: .png, .pdf, .svg; or .html.", dir_okay=False
    ),
]
TargetFpr = Annotated[
    float, typer.Option(help="The largest share of benign images that may be flagged.")
]
KMax = Annotated[
    int | None,
    typer.Option(min=1, help="The largest K that variant paper tries; by default 20."),
]
Groups = Annotated[
    bool,
    typer.Option(
        "--groups",
        help="Each sub-folder of the folder is a group, such as with-glasses/ and without/, day/ "
        "and night/: none of them may be flagged more often than the target.",
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw the false positive rate over K and threshold.", dir_okay=False),
]
Report = Annotated[Path | None, typer.Option(help="Write the calibration as JSON.", dir_okay=False)]
DETECTOR = {
    "top_k": TopK,
    "rank_threshold": RankThreshold,
    "preprocessor": Preprocessor,
    "feature_layer": FeatureLayer,
    "class_names": ClassNames,
    "variant": Variant,
}
"""The options that describe a detector; see `opening.with_detector`."""

EVERY_DETECTOR = {"input_size": InputSize, "label": Label, "custom": Custom}
"""The options that every command with a detector has, beside those that it chooses."""
