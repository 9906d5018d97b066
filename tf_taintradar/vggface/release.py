"""Downloads of the files that the project keras-vggface has published."""

import logging
import os
import pathlib

import keras
import numpy as np

from tf_taintradar.errors import WeightsError
from tf_taintradar.support.files import replacing, sha256_of

_LOG = logging.getLogger(__name__)

_RELEASE = "https://github.com/rcmalli/keras-vggface/releases/download/v2.0/"
_LABELS = "rcmalli_vggface_labels_v1.npy"


def weights_file(include_top: bool) -> str:
    """The name of the published weights file, with or without the fully connected layers."""
    return f"rcmalli_vggface_tf_{'' if include_top else 'notop_'}vgg16.h5"


def download(
    name: str, *, release: str = _RELEASE, folder: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Downloads a file of the release once, into Keras's folder.

    The release publishes no checksums. The SHA-256 of the first download is stored beside the file,
    and the file is checked against it at every use; the contents of weights files are checked by
    `load_weights`.

    Args:
        name: name of the file.
        release: address of the release, for instance of a mirror, or a `file:` address.
        folder: folder for downloads; by default Keras's own, ~/.keras.

    Returns:
        The path of the downloaded file.

    Raises:
        WeightsError: the download fails, or the file has changed since its download.
    """
    if folder is not None:
        pathlib.Path(folder).mkdir(
            parents=True, exist_ok=True
        )  # otherwise Keras chooses another folder
    try:
        path = pathlib.Path(
            keras.utils.get_file(
                name, release + name, cache_subdir="models/vggface", cache_dir=folder
            )
        )
    except Exception as error:  # Keras raises a bare Exception when it cannot download
        raise WeightsError(
            f"Cannot download {name}: {error}. Download it by other means and pass its path."
        ) from error
    _check_unchanged(path)
    return path


def label_names(path: str | os.PathLike[str] | None = None) -> list[str]:
    """The names of VGG-Face's 2,622 identities, in the order of its labels.

    Args:
        path: path of a `.npy` file of strings, as keras-vggface publishes it; None downloads the
            published file once.

    Returns:
        A list with a name for each label, with spaces for underscores, for
        `TaintRadarModel(class_names=...)`.

    Raises:
        WeightsError: the file cannot be downloaded, or is not a list of names.
    """
    file = download(_LABELS) if path is None else pathlib.Path(path)
    try:
        names = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"Cannot read names from {os.fspath(file)!r}: {error}.") from error
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise WeightsError(
            f"{os.fspath(file)!r} must hold a name for each label. Received: {names.dtype} of "
            f"shape {names.shape}."
        )
    return [name.strip().replace("_", " ") for name in names.astype(str).tolist()]


def _check_unchanged(path: pathlib.Path) -> None:
    digest = sha256_of(path)
    known = path.with_suffix(".sha256")
    if not known.exists():
        _LOG.info("SHA-256 of %s: %s", path.name, digest)
        with replacing(known) as partial:
            partial.write_text(digest + "\n")
    elif known.read_text().strip() != digest:
        raise WeightsError(
            f"{os.fspath(path)!r} is not the file that was downloaded: its SHA-256 is "
            f"{digest}, it was {known.read_text().strip()}. Delete both files to download it "
            "again."
        )
