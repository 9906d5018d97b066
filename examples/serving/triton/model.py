"""A detector in the Python backend of Triton Inference Server: its SavedModel, with TensorFlow.

Triton starts this file in a process of its own, which needs TensorFlow and neither Keras nor
tf_taintradar. `README.md` says where it belongs.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import triton_python_backend_utils as pb_utils

SIGNATURES = {"images": "serving_default", "image_bytes": "serve_bytes"}
"""Each input, and the signature of the SavedModel that takes it."""


class TritonPythonModel:
    """Answers requests as TensorFlow Serving answers those to the same SavedModel."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the SavedModel: `detector/` beside this file, or the parameter `savedmodel`."""
        config = json.loads(args["model_config"])
        own = Path(args["model_repository"]) / args["model_version"] / "detector"
        given = config.get("parameters", {}).get("savedmodel", {}).get("string_value")
        self._model = tf.saved_model.load(given or str(own))
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """The response to each request; those with the same input are computed at once."""
        responses: dict[int, Any] = {}
        for name in SIGNATURES:
            found = {i: pb_utils.get_input_tensor_by_name(r, name) for i, r in enumerate(requests)}
            rows = {i: tensor.as_numpy() for i, tensor in found.items() if tensor is not None}
            responses.update(self._answer(name, {i: rows[i] for i in rows if i not in responses}))
        missing = pb_utils.TritonError(f"The request must have one of {', '.join(SIGNATURES)}.")
        return [
            responses.get(i) or pb_utils.InferenceResponse(output_tensors=[], error=missing)
            for i in range(len(requests))
        ]

    def _answer(self, name: str, rows: dict[int, Any]) -> dict[int, Any]:
        """The responses to requests of one input, by the number of the request."""
        if not rows:
            return {}
        joined = np.concatenate(list(rows.values()))
        values = joined.reshape(-1).tolist() if name == "image_bytes" else joined
        answers = self._model.signatures[SIGNATURES[name]](**{name: tf.constant(values)})
        ends = np.cumsum([len(part) for part in rows.values()])[:-1]
        parts = {key: np.split(np.asarray(answers[key]), ends) for key in self._outputs}
        return {
            number: pb_utils.InferenceResponse(
                output_tensors=[_tensor(key, parts[key][i]) for key in self._outputs]
            )
            for i, number in enumerate(rows)
        }


def _tensor(name: str, values: Any) -> Any:
    """One output; a number for each image is a row of one, since Triton has no rows of none."""
    return pb_utils.Tensor(name, values.reshape(len(values), -1))
