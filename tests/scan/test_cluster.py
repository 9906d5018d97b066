"""A scan on Ray: the same rows, also when a worker dies."""

import os
import pathlib
import signal
import threading
import time

import pytest

from tf_taintradar.scan import scan
from tf_taintradar.scan.cluster import pack, unpack
from tf_taintradar.scan.examining import Examiner
from tf_taintradar.serving import load

ROOT = pathlib.Path(__file__).parents[2]


def test_a_detector_is_the_same_when_it_has_travelled(exported):
    for detector in (exported.radar, load(exported.folder)):
        arrived = Examiner(unpack(pack(detector)))
        assert arrived.identity == Examiner(detector).identity


@pytest.fixture(scope="module")
def cluster():
    """Two workers of this machine."""
    ray = pytest.importorskip("ray", reason="scans on a cluster need the extra ray")
    pytest.importorskip("ray.data", reason="scans on a cluster need the extra ray")
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=4, include_dashboard=False, runtime_env=environment)
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_two_workers_give_the_same_rows(cluster, exported, photos, tmp_path):
    here = list(scan(exported.radar, photos, batch_size=4))
    output = tmp_path / "rows.jsonl"
    on_ray = scan(exported.radar, photos, output, batch_size=4, engine="ray")
    assert list(on_ray) == here
    assert list(on_ray) == here  # all of it known


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_worker_that_is_killed_is_replaced(cluster, exported, photos, tmp_path):
    here = list(scan(load(exported.folder), photos, batch_size=4))
    killed = []

    def kill():
        """Kills the first worker that is ready, once."""
        while not killed:
            for actor in cluster._private.state.actors().values():
                if actor["State"] == "ALIVE" and "MapWorker" in actor["ActorClassName"]:
                    killed.append(actor["Pid"])
                    os.kill(actor["Pid"], signal.SIGKILL)
                    return
            time.sleep(0.2)

    threading.Thread(target=kill, daemon=True).start()
    assert list(scan(load(exported.folder), photos, batch_size=4, engine="ray")) == here
    assert killed
