"""The command `taintradar faces-train`, formerly `vggface-train`."""

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from tf_taintradar.cli import options, tables
from tf_taintradar.cli.program import app
from tf_taintradar.cli.quiet import progress_on_stderr
from tf_taintradar.detection.rules import Bands
from tf_taintradar.support.files import replacing


@app.command(name="vggface-train", help="The former name of faces-train.")
@app.command(name="faces-train")
def faces_train(
    folder: Annotated[
        Path, typer.Argument(help="Folder with one sub-folder of photographs for each subject.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the detector and its report.")],
    weights: Annotated[
        str,
        typer.Option(
            help="The face network's weights: a file, vggface for the published ones, which are "
            "downloaded once, or random."
        ),
    ] = "vggface",
    network: Annotated[
        str | None,
        typer.Option(
            help="Another network to keep the features of: a .keras file, of an embedding network "
            "or a classifier, or a name of keras.applications."
        ),
    ] = None,
    head: Annotated[
        Literal["dense", "prototypes"],
        typer.Option(
            help="dense: a new last layer is trained; prototypes: each subject is the mean of "
            "their embeddings, and nothing is trained."
        ),
    ] = "dense",
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="A folder of the same sub-folders with the photographs to calibrate and test "
            "with; by default those that --n-train leaves."
        ),
    ] = None,
    strangers: Annotated[
        Path | None, typer.Option(help="Folder of people who are not subjects.")
    ] = None,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            help="Find the face in each photograph and align it first; photographs without one "
            "clear face are left out. By default they must be aligned: one upright face that "
            "fills the frame.",
        ),
    ] = False,
    kept: Annotated[
        str | None,
        typer.Option(
            help="The last layer that is kept; if it is spatial, it is averaged. By default all "
            "up to the names."
        ),
    ] = None,
    preprocessor: options.Preprocessor = None,
    classes: Annotated[
        int, typer.Option(min=2, help="Number of labels of the network with these weights.")
    ] = 2622,
    width: Annotated[
        float,
        typer.Option(help="Width of its layers, as a fraction; less than 1 is a smaller network."),
    ] = 1.0,
    n_train: Annotated[
        int, typer.Option(min=1, help="Number of photographs of each subject to train on.")
    ] = 40,
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = 200,
    fine_tune: Annotated[
        str | None,
        typer.Option(help="First layer to tune, for instance conv5_1."),
    ] = None,
    tuning_rate: Annotated[float, typer.Option(help="The learning rate of --fine-tune.")] = 1e-5,
    variant: options.Variant = Bands.name,
    calibrate_on: Annotated[
        Literal["test", "folds"],
        typer.Option(
            help="test: half of the photographs held out; folds, where few are: those trained on, "
            "each fifth of them seen by a classifier trained without it."
        ),
    ] = "test",
    n_wearers: Annotated[
        int, typer.Option(min=1, help="Number of subjects who try on glasses.")
    ] = 10,
    steps: Annotated[
        int, typer.Option(min=1, help="Maximum number of steps to make glasses.")
    ] = 300,
    target_fpr: options.TargetFpr = 0.06,
    seed: int = 0,
    batch_size: options.BatchSize = 16,
    multi_gpu: Annotated[
        bool, typer.Option("--multi-gpu", help="Divide every batch among all GPUs.")
    ] = False,
) -> None:
    """Teaches VGG-Face, or another network, your own subjects, and makes their detector.

    Keeps the network's features, makes a new last layer, calibrates the detector on photographs
    held out, with and without plain frames, tries it with adversarial glasses, saves and exports
    it.

    Example: `taintradar faces-train people/ --network face.keras --output savedmodels/people`
    """
    import tensorflow as tf

    from tf_taintradar.classifier import PreprocessorSpec
    from tf_taintradar.faces.align import ALIGNED_EYE_LINE
    from tf_taintradar.faces.detector import train_face_detector
    from tf_taintradar.faces.glasses import EYE_LINE
    from tf_taintradar.opening import load_network
    from tf_taintradar.vggface import VGGFace

    with progress_on_stderr() as verbose:
        if network is None:
            loaded = None if weights == "random" else weights
            model = VGGFace(weights=loaded, classes=classes, width=width)
            scaling: PreprocessorSpec | None = preprocessor or "vggface"
        else:
            model, scaling = load_network(network, preprocessor=preprocessor)
        if align:
            given = {"size": max(model.input_shape[1:3]), "verbose": verbose}
            folder = _aligned(folder, output, "people", **given)
            held_out = held_out and _aligned(held_out, output, "held_out", **given)
            strangers = strangers and _aligned(strangers, output, "strangers", **given)
        made = train_face_detector(
            folder,
            model,
            output,
            held_out=held_out,
            strangers=strangers,
            eye_line=ALIGNED_EYE_LINE if align else EYE_LINE,
            preprocessor=scaling,
            head=head,
            kept=kept,
            calibrate_on=calibrate_on,
            variant=cast(str, variant),
            fine_tuned=fine_tune,
            tuning_rate=tuning_rate,
            target_fpr=target_fpr,
            n_wearers=n_wearers,
            steps=steps,
            seed=seed,
            n_train=n_train,
            epochs=epochs,
            batch_size=batch_size,
            strategy=tf.distribute.MirroredStrategy() if multi_gpu else None,
            verbose=verbose,
        )
    tables.print_faces(made)
    typer.echo(f"written: {output}")


def _aligned(source: Path, output: Path, name: str, **settings: Any) -> Path:
    """The folder of the aligned faces of another folder, written anew."""
    from tf_taintradar.faces.align import align

    target = output / "aligned" / name
    with replacing(target) as partial:
        align(source, partial, cache=output / "landmarks", **settings)
    return target
