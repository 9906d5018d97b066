"""Detectors in use: in this process, over the network, and set up for a server.

`load` opens a SavedModel in this process, without the classifier it was made from. `RestClient` and
`GrpcClient` ask a server: with both, the method `detect` takes images and returns a `Verdict` for
each. `write_serving_config` prepares a folder of exported detectors for `tensorflow/serving`.
`examples/serving/README.md` is a walk-through.

The clients need the extra `serving`; everything else works without it.
"""

from tf_taintradar.serving.client import Signature
from tf_taintradar.serving.config import write_serving_config
from tf_taintradar.serving.grpc_client import GrpcClient
from tf_taintradar.serving.load import SavedDetector, load
from tf_taintradar.serving.rest_client import RestClient
from tf_taintradar.serving.verdict import Verdict

__all__ = [
    "GrpcClient",
    "RestClient",
    "SavedDetector",
    "Signature",
    "Verdict",
    "load",
    "write_serving_config",
]
