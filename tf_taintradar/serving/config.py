"""The files that `tensorflow/serving` is started with, for a folder of exported detectors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_taintradar.errors import ServingError
from tf_taintradar.export.savedmodel import BATCH_SIZES
from tf_taintradar.serving.compose import compose_file
from tf_taintradar.support.checks import check_integer, require
from tf_taintradar.support.files import replacing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Labels = Mapping[str, Mapping[str, int]]


def write_serving_config(
    folder: str | os.PathLike[str],
    *,
    labels: Labels | None = None,
    allowed_batch_sizes: Sequence[int] = BATCH_SIZES,
    batch_timeout_micros: int = 5000,
    max_enqueued_batches: int = 64,
    num_batch_threads: int = 4,
) -> list[Path]:
    """Writes what the server needs to serve every detector in a folder.

    Args:
        folder: Holds the detectors as NAME/VERSION/saved_model.pb. The server sees it as /models.
        labels: Names for versions, by detector: `{"demo": {"stable": 1, "canary": 2}}` keeps
            versions 1 and 2 of `demo` loaded, and a client asks for either by its label. For a
            detector without labels, the newest version is loaded.
        allowed_batch_sizes: The sizes that batches are filled up to, increasing; the last is the
            most images that run together, and the most in one request.
        batch_timeout_micros: How long a request waits for others to join it, in microseconds.
        max_enqueued_batches: Batches that wait before further requests are refused.
        num_batch_threads: Batches that run at the same time.

    Returns:
        The files, each written completely or not at all: models.config, batching.config,
        monitoring.config, compose.cpu.yaml and compose.gpu.yaml in the folder.

    Raises:
        ServingError: The folder holds no detector, one has a name that cannot be part of an
            address, or a label refers to a version that does not exist.
        ValueError: A number is out of its range, or the batch sizes do not increase.
    """
    folder = Path(folder)
    found = _find_detectors(folder)
    _check_labels(labels or {}, found)
    batching = _batching(
        [*allowed_batch_sizes], batch_timeout_micros, max_enqueued_batches, num_batch_threads
    )
    contents = {
        "models.config": _models([*found], labels or {}),
        "batching.config": batching,
        "monitoring.config": _MONITORING,
        "compose.cpu.yaml": compose_file(gpu=False),
        "compose.gpu.yaml": compose_file(gpu=True),
    }
    for name, content in contents.items():
        with replacing(folder / name) as partial:
            partial.write_text(content, encoding="utf-8")
    return [folder / name for name in contents]


def _find_detectors(folder: Path) -> dict[str, list[int]]:
    """The versions of each detector, by its name."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*/*/saved_model.pb")):
        if path.parent.name.isdecimal():
            found.setdefault(path.parent.parent.name, []).append(int(path.parent.name))
    if not found:
        raise ServingError(
            f"{str(folder)!r} holds no exported detector: there must be a NAME/VERSION/"
            f"saved_model.pb in it, e.g. {folder / 'demo' / '1' / 'saved_model.pb'}. Export one "
            "into a folder NAME below it."
        )
    for name in found:
        if not _NAME.fullmatch(name):
            raise ServingError(
                f"The detector's folder {name!r} becomes part of an address: rename it; "
                "letters, digits, '_', '-' and '.' will do."
            )
    return found


def _check_labels(labels: Labels, found: Mapping[str, Sequence[int]]) -> None:
    for name, versions in labels.items():
        if name not in found:
            raise ServingError(f"`labels` names {name!r}; the folder holds {', '.join(found)}.")
        for label, version in versions.items():
            if not _NAME.fullmatch(label):
                raise ServingError(
                    f"The label {label!r} becomes part of an address: use letters, digits, '_', "
                    "'-' and '.'."
                )
            if version not in found[name]:
                raise ServingError(
                    f"The label {label!r} is for version {version} of {name!r}, which holds "
                    f"{', '.join(map(str, sorted(found[name])))}."
                )


def _models(names: Sequence[str], labels: Labels) -> str:
    """A ModelServerConfig in protobuf's text format."""
    configs = "".join(_model(name, labels.get(name, {})) for name in names)
    return f"model_config_list {{\n{configs}}}\n"


def _model(name: str, labels: Mapping[str, int]) -> str:
    policy = "    model_version_policy { latest { num_versions: 1 } }\n"
    if labels:
        versions = " ".join(f"versions: {version}" for version in sorted({*labels.values()}))
        policy = f"    model_version_policy {{ specific {{ {versions} }} }}\n"
    named = "".join(
        f'    version_labels {{ key: "{label}" value: {version} }}\n'
        for label, version in sorted(labels.items())
    )
    return (
        "  config {\n"
        f'    name: "{name}"\n'
        f'    base_path: "/models/{name}"\n'
        '    model_platform: "tensorflow"\n'
        f"{policy}{named}  }}\n"
    )


def _batching(sizes: list[int], timeout: int, enqueued: int, threads: int) -> str:
    """BatchingParameters in protobuf's text format."""
    increases = len(sizes) > 0 and sizes[0] >= 1 and sizes == sorted({*sizes})
    require(increases, "allowed_batch_sizes", sizes, "increasing integers from 1 on")
    check_integer("batch_timeout_micros", timeout, 0)
    check_integer("max_enqueued_batches", enqueued, 1)
    check_integer("num_batch_threads", threads, 1)
    allowed = "".join(f"allowed_batch_sizes: {size}\n" for size in sizes)
    return (
        f"max_batch_size {{ value: {sizes[-1]} }}\n"
        f"batch_timeout_micros {{ value: {timeout} }}\n"
        f"max_enqueued_batches {{ value: {enqueued} }}\n"
        f"num_batch_threads {{ value: {threads} }}\n"
        f"{allowed}"
    )


_MONITORING = 'prometheus_config {\n  enable: true\n  path: "/monitoring/prometheus/metrics"\n}\n'
