"""What the REST and the gRPC client share: everything but the wire."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from typing_extensions import Self

from tf_taintradar.errors import ServingError
from tf_taintradar.images.pixels import Shape
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.serving.batches import PIXELS, Request, read_requests
from tf_taintradar.serving.failures import JoinedBatchError, failure
from tf_taintradar.serving.verdict import Verdict, to_verdicts


class Signature(NamedTuple):
    """The inputs and outputs of one signature of a served model.

    Attributes:
        inputs: The shape of each input by its name, -1 where any size goes.
        outputs: The shape of each output by its name.
    """

    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]


class Options(TypedDict, total=False):
    """The keyword arguments that both clients hand on to `Client`, which has their defaults."""

    version: int | None
    label: str | None
    timeout: float
    retries: int
    batch_size: int


class Client(abc.ABC):
    """A detector on a server; `RestClient` and `GrpcClient` say how to reach it."""

    def __init__(
        self,
        server: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        batch_size: int = 8,
    ) -> None:
        if version is not None and label is not None:
            raise ValueError("Pass `version` or `label`, not both: each picks one version.")
        if timeout <= 0 or retries < 0 or batch_size < 1:
            raise ValueError(
                "`timeout` must be above 0, `retries` at least 0 and `batch_size` at least 1; "
                f"received {timeout}, {retries} and {batch_size}."
            )
        self.server, self.model, self.version, self.label = server, model, version, label
        self.timeout, self.retries, self.batch_size = timeout, retries, batch_size
        self._signatures: dict[str, Signature] | None = None

    def detect(self, images: ImageSource | bytes | Sequence[bytes]) -> list[Verdict]:
        """One verdict for each image.

        Args:
            images: Raw pixels (b, H, W, c) of the detector's size, from 0 to 255, of any integer
                or floating point dtype (floats are rounded), or a dataset or generator of such
                batches; or files, which the server decodes, crops and resizes: the path of a file
                or of a folder, a list of paths, an encoded image as bytes, or a list of those. The
                server reads JPEG, PNG, GIF, BMP and WebP; see `decode_images`.

        Returns:
            The verdicts in the order of the images; a folder is read in the order of `find_images`.
            An image that the server cannot decode has `valid` false. For an empty list or array the
            result is an empty list, without a request.

        Raises:
            ImageError: The pixels are not raw pixels of the detector's size, a file is missing, or
                a folder holds no image.
            ServingError: The server cannot be reached, takes too long, has no such model, or
                refuses the request. No verdict is returned then, not even for some of the images.
        """
        verdicts: list[Verdict] = []
        for request in read_requests(images, self.batch_size, self._input_shape):
            verdicts += to_verdicts(self._ask(request), request.sources)
        return verdicts

    def signatures(self) -> dict[str, Signature]:
        """The signatures of the served model, by name; the server is asked once.

        Raises:
            ServingError: As for `detect`.
        """
        if self._signatures is None:
            self._signatures = self._describe()
        return self._signatures

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abc.abstractmethod
    def _predict(self, request: Request) -> Mapping[str, Any]:
        """The outputs for one request, by name, the batch first."""

    @abc.abstractmethod
    def _describe(self) -> dict[str, Signature]:
        """The signatures, asked of the server."""

    def _ask(self, request: Request) -> Mapping[str, Any]:
        signature = self._signature(request.signature)
        if request.input_name not in signature.inputs:
            raise self._not_a_detector(f"{request.signature} takes {[*signature.inputs]}")
        for _ in range(self.retries):
            try:
                return self._predict(request)
            except JoinedBatchError:
                continue
        return self._predict(request)

    def _signature(self, name: str) -> Signature:
        try:
            return self.signatures()[name]
        except KeyError:
            raise self._not_a_detector(f"it has no signature {name!r}") from None

    def _input_shape(self) -> Shape:
        shape = self._signature(PIXELS[0]).inputs.get(PIXELS[1], ())
        if len(shape) != 4 or min(shape[1:]) < 1:
            raise self._not_a_detector(f"{PIXELS[0]} takes images of shape {shape}")
        return shape[1:]

    def _not_a_detector(self, why: str) -> ServingError:
        names = ", ".join(sorted(name for name in self.signatures() if name[:2] != "__"))
        return ServingError(
            f"{self._name()} on {self.server} is no exported detector: {why}. Its signatures: "
            f"{names}. Export the detector again, or ask another model."
        )

    def _failure(self, code: str, text: str) -> ServingError:
        return failure(code, text, self.server, self._name(), self.timeout)

    def _name(self) -> str:
        if self.version is not None:
            return f"model {self.model!r}, version {self.version}"
        return f"model {self.model!r}" + (f", label {self.label!r}" if self.label else "")
