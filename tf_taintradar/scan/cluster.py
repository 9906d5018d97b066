"""A scan on a cluster: Ray Data divides the batches among actors with a detector each."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tf_taintradar.model import TaintRadarModel
from tf_taintradar.scan.examining import Detector, Examiner
from tf_taintradar.scan.finding import Finding
from tf_taintradar.scan.items import Item
from tf_taintradar.serving.load import SavedDetector, load
from tf_taintradar.support.extras import import_extra

_CPUS = 2  # of an actor, where there are no GPUs
_FEATURE = "A scan on Ray"

Parcel = dict[str, bytes]


def examine_on_ray(detector: Detector, batches: Iterable[list[Item]]) -> Iterator[list[Finding]]:
    """The findings of each batch of items, in order, computed by the actors of a cluster.

    Each actor has a GPU if there are any, or two CPUs. The batches are those of a scan without
    Ray, and so are the answers; an actor that dies is replaced, and its batches are done again.
    The cluster is the one that `ray.init` has been called for, or the one that Ray finds.

    Args:
        detector: See `scan`. It is sent to the actors.
        batches: All are listed before the first is computed. Their files must be readable from
            every machine of the cluster.

    Raises:
        MissingExtraError: The extra `ray` is not installed.
    """
    ray = import_extra("ray", feature=_FEATURE, extra="ray")
    data = import_extra("ray.data", feature=_FEATURE, extra="ray")
    listed = list(batches)
    rows = [{"batch": i, "items": pickle.dumps(batch)} for i, batch in enumerate(listed) if batch]
    finished: dict[int, list[Finding]] = {i: [] for i, batch in enumerate(listed) if not batch}
    if not ray.is_initialized():
        ray.init()
    found = _map(ray, data, rows, detector) if rows else iter(())
    for number in range(len(listed)):
        while number not in finished:
            row = next(found)
            values = json.loads(row["findings"])
            finished[int(row["batch"])] = [Finding(**each) for each in values]
        yield finished.pop(number)


def _map(
    ray: Any, data: Any, rows: list[dict[str, Any]], detector: Detector
) -> Iterator[dict[str, Any]]:
    have = ray.cluster_resources()
    gpus = int(have.get("GPU", 0))
    share = {"num_gpus": 1} if gpus else {"num_cpus": _CPUS}
    actors = gpus or max(1, int(have.get("CPU", 1)) // _CPUS)
    answered = data.from_items(rows).map_batches(
        _Actor,
        fn_constructor_args=(ray.put(pack(detector)),),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=min(actors, len(rows))),
        **share,
    )
    return iter(answered.iter_rows())


class _Actor:
    """A detector that stays in a process of the cluster.

    Args:
        parcel: A reference to what `pack` made.
    """

    def __init__(self, parcel: Any) -> None:
        ray = import_extra("ray", feature=_FEATURE, extra="ray")
        self._examiner = Examiner(unpack(ray.get(parcel)))

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        batches = [pickle.loads(items) for items in rows["items"]]
        found = self._examiner.examine_all(batches)
        texts = [json.dumps([finding.as_dict() for finding in findings]) for findings in found]
        return {"batch": rows["batch"], "findings": texts}


def pack(detector: Detector) -> Parcel:
    """A detector as bytes: the files of its SavedModel, or its `.keras` file."""
    if isinstance(detector, SavedDetector):
        files = [path for path in sorted(detector.path.rglob("*")) if path.is_file()]
        return {str(path.relative_to(detector.path)): path.read_bytes() for path in files}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radar.keras"
        detector.save(path)
        return {path.name: path.read_bytes()}


def unpack(parcel: Parcel) -> Detector:
    """The detector that `pack` made bytes of."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        for name, contents in parcel.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
        if "radar.keras" in parcel:
            loaded: TaintRadarModel = keras.models.load_model(path)
            return loaded
        return load(folder)
