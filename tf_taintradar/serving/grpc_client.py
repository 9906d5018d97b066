"""A served detector, asked over gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from typing_extensions import Unpack

from tf_taintradar.errors import ServingError
from tf_taintradar.serving.batches import Request
from tf_taintradar.serving.client import Client, Options, Signature
from tf_taintradar.support.checks import require
from tf_taintradar.support.extras import import_extra

_MOST_RETRIES = 4  # gRPC itself makes no more than five attempts
_UNLIMITED = -1


class GrpcClient(Client):
    """Asks a detector over TensorFlow Serving's gRPC interface.

    May be shared by several threads. Messages have no limit on this side, in place of gRPC's own 4
    MB; TensorFlow Serving takes 2 GB, a proxy before it may take less.

    Args:
        address: Host and port, e.g. "localhost:8500".
        model: The name in models.config.
        version: The version to ask. By default the newest that is loaded.
        label: The version label to ask instead, e.g. "stable".
        timeout: Seconds to wait for one answer, all attempts together, by default 10.
        retries: How often a request is sent again when the server is unavailable, 0 to 4, by
            default 3: after about 0.2, 0.4, 0.8 and 1.6 seconds. That is safe: asking changes
            nothing on the server.
        batch_size: The most images in one request, by default 8; not above the server's
            max_batch_size.
        credentials: `grpc.ChannelCredentials`, e.g. of `grpc.ssl_channel_credentials()`; by default
            nothing is encrypted.

    Raises:
        ImportError: tensorflow-serving-api is not installed; the extra `serving` brings it.
        ValueError: An argument is out of its range, or both `version` and `label` are given.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        credentials: Any = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(address, model, **options)
        fits = self.retries <= _MOST_RETRIES
        require(fits, "retries", self.retries, f"at most {_MOST_RETRIES}, gRPC's limit")
        grpc = _import("grpc")
        service = _import("tensorflow_serving.apis.prediction_service_pb2_grpc")
        settings = _channel_options(self.retries)
        if credentials is None:
            self._channel = grpc.insecure_channel(address, settings)
        else:
            self._channel = grpc.secure_channel(address, credentials, settings)
        self._stub = service.PredictionServiceStub(self._channel)

    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
        self._channel.close()

    def _predict(self, request: Request) -> Mapping[str, Any]:
        from tensorflow_serving.apis import predict_pb2

        message = predict_pb2.PredictRequest()
        self._address(message.model_spec)
        message.model_spec.signature_name = request.signature
        dtype = tf.string if isinstance(request.values, list) else tf.uint8
        tensor = tf.make_tensor_proto(request.values, dtype)
        message.inputs[request.input_name].CopyFrom(tensor)
        # No output_filter: TensorFlow Serving joins only requests for all outputs into batches.
        outputs = self._call(self._stub.Predict, message).outputs
        return {name: tf.make_ndarray(found) for name, found in outputs.items()}

    def _describe(self) -> dict[str, Signature]:
        from tensorflow_serving.apis import get_model_metadata_pb2

        message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._address(message.model_spec)
        answer = self._call(self._stub.GetModelMetadata, message)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        if not answer.metadata["signature_def"].Unpack(signatures):
            raise ServingError(
                f"The answer of {self.server} is malformed: no signature_def in the metadata. Is "
                "this TensorFlow Serving's gRPC port?"
            )
        return {
            name: Signature(_shapes(found.inputs), _shapes(found.outputs))
            for name, found in signatures.signature_def.items()
        }

    def _call(self, method: Any, message: Any) -> Any:
        import grpc

        try:
            return method(message, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._failure(error.code().name, error.details() or "nothing") from error

    def _address(self, spec: Any) -> None:
        """Fills in which model, and which version of it, is asked."""
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version
        if self.label:
            spec.version_label = self.label


def _import(module: str) -> Any:
    return import_extra(module, feature="GrpcClient", extra="serving")


def _shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    """The shapes by name, from TensorInfo."""
    return {
        name: tuple(axis.size for axis in info.tensor_shape.dim) for name, info in tensors.items()
    }


def _channel_options(retries: int) -> list[tuple[str, Any]]:
    """The channel's options: limits, and when gRPC sends a request again."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", _UNLIMITED),
        ("grpc.max_receive_message_length", _UNLIMITED),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.enable_retries", int(retries > 0)),
    ]
    if not retries:
        return options
    policy = {
        "maxAttempts": retries + 1,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],  # a full queue, too; nothing else gets better
    }
    services = [{"service": "tensorflow.serving.PredictionService"}]
    config = {"methodConfig": [{"name": services, "retryPolicy": policy}]}
    return [
        *options,
        ("grpc.service_config", json.dumps(config)),
        # A larger request would not be sent again; gRPC's own value is 256 KB, one image's size.
        ("grpc.per_rpc_retry_buffer_size", 2**30),
    ]
