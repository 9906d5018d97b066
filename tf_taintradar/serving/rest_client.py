"""A served detector, asked over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from typing_extensions import Unpack

from tf_taintradar.errors import ServingError
from tf_taintradar.serving.batches import Request
from tf_taintradar.serving.client import Client, Options, Signature
from tf_taintradar.support.extras import import_extra

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestClient(Client):
    """Asks a detector over TensorFlow Serving's REST interface.

    Not for several threads at once; give each its own client.

    Args:
        url: Scheme, host and port, e.g. "http://localhost:8501".
        model: The name in models.config.
        version: The version to ask. By default the newest that is loaded.
        label: The version label to ask instead, e.g. "stable".
        timeout: Seconds to wait for one answer, by default 10. A request that took longer is not
            sent again.
        retries: How often, by default 3 times, a request is sent again when the connection fails,
            or the server or something before it answers 429, 502, 503 or 504; after 0, 0.4, 0.8,
            1.6 ... seconds. That is safe: asking changes nothing on the server.
        batch_size: The most images in one request, by default 8; not above the server's
            max_batch_size.

    Raises:
        ImportError: requests is not installed; the extra `serving` brings it.
        ValueError: An argument is out of its range, or both `version` and `label` are given.
    """

    def __init__(self, url: str, model: str, **options: Unpack[Options]) -> None:
        super().__init__(url.rstrip("/"), model, **options)
        for module in ("requests", "urllib3"):
            import_extra(module, feature="RestClient", extra="serving")
        from tf_taintradar.serving.rest_session import new_session

        self._session = new_session(self.retries)

    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
        self._session.close()

    def _predict(self, request: Request) -> Mapping[str, Any]:
        if isinstance(request.values, np.ndarray):
            rows = request.values.tolist()
        else:
            rows = [{"b64": base64.b64encode(image).decode()} for image in request.values]
        instances = [{request.input_name: row} for row in rows]
        body = {"signature_name": request.signature, "instances": instances}
        answer = self._send("POST", ":predict", json.dumps(body, separators=(",", ":")))
        try:
            found = answer["predictions"]
            return {name: [row[name] for row in found] for name in found[0]}
        except (KeyError, TypeError, IndexError) as error:
            raise self._malformed(answer) from error

    def _describe(self) -> dict[str, Signature]:
        answer = self._send("GET", "/metadata")
        try:
            signatures = answer["metadata"]["signature_def"]["signature_def"]
            return {
                name: Signature(_shapes(found["inputs"]), _shapes(found["outputs"]))
                for name, found in signatures.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._malformed(answer) from error

    def _send(self, method: str, what: str, body: str | None = None) -> Any:
        """The server's JSON answer."""
        from requests import exceptions as errors

        try:
            response = self._session.request(
                method, self._url() + what, data=body, timeout=self.timeout
            )
        except errors.Timeout as error:
            raise self._failure("DEADLINE_EXCEEDED", str(error)) from error
        except errors.RequestException as error:
            raise self._failure("UNAVAILABLE", str(error)) from error
        try:
            answer = response.json()
        except errors.JSONDecodeError:
            answer = response.text
        if response.status_code != 200:
            raise self._refused(response.status_code, answer)
        return answer

    def _url(self) -> str:
        url = f"{self.server}/v1/models/{quote(self.model, safe='')}"
        if self.version is not None:
            return f"{url}/versions/{self.version}"
        return f"{url}/labels/{quote(self.label, safe='')}" if self.label else url

    def _refused(self, status: int, answer: Any) -> ServingError:
        said = answer.get("error", answer) if isinstance(answer, dict) else answer
        text = str(said)[:1000] or "nothing"
        if status == 413:
            text = f"Message larger than max: {text}"
        return self._failure(_CODES.get(status, f"HTTP {status}"), text)

    def _malformed(self, answer: Any) -> ServingError:
        return ServingError(
            f"The answer of {self.server} is malformed: it must be JSON as TensorFlow Serving "
            f"writes it; received {str(answer)[:200]!r}. Is this TensorFlow Serving's REST port?"
        )


def _shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    """The shapes by name, from the JSON form of TensorInfo."""
    return {
        name: tuple(int(axis["size"]) for axis in info["tensor_shape"]["dim"])
        for name, info in tensors.items()
    }
