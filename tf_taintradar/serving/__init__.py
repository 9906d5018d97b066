"""Detectors in use: asked in this process, asked over the network, and set up to be served.

`load` opens a SavedModel in this process, without the classifier it was made from. `RestClient` and
`GrpcClient` ask a server: their method `detect` takes images and answers a `Verdict` for each of
them, whichever protocol carries them. `write_serving_config` turns a folder of exported detectors
into one that `tensorflow/serving` can be pointed at. `examples/serving/README.md` leads to a
first answer.

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
