"""Refusals of a server, in words that a person can act on."""

from __future__ import annotations

from tf_taintradar.errors import ServingError


class JoinedBatchError(ServingError):
    """The server joined this request with one of another client that broke the batch of both."""


def failure(code: str, text: str, server: str, model: str, timeout: float) -> ServingError:
    """The error for a refused request.

    Args:
        code: The name of gRPC's status code, e.g. "NOT_FOUND".
        text: What the server, or the way to it, said.
        server: The address, as the caller gave it.
        model: The model that was asked, with its version or label.
        timeout: Seconds that the request had.

    Returns:
        An error whose text says what happened and what to do; a `JoinedBatchError` if the same
        request can be sent again.
    """
    if "from different tasks" in text or "Tensor concat operation failed" in text:
        return JoinedBatchError(
            f"{server} joined these images with another client's of another shape or type, and "
            f"refused both: {text} Asking again helps; it is better to correct the other "
            "client, or to give it a server of its own."
        )
    for mark, remedy in _BY_TEXT.items():
        if mark in text:
            return ServingError(f"{server}: {text} {remedy.format(model=model)}")
    remedy = _BY_CODE.get(code, "The server's log says more.")
    said = remedy.format(server=server, model=model, timeout=timeout)
    return ServingError(f"{said} It said ({code}): {text}")


_BY_TEXT = {
    "Unrecognized servable version label": (
        "Set the label in models.config, and start the server with "
        "--allow_version_labels_for_unavailable_models=true (`write_serving_config` does both)."
    ),
    "ervable not found": (
        "The server does not have {model}. Check the name in models.config, that its folder holds "
        "a version (NAME/1/saved_model.pb), and the server's log: it may still be loading."
    ),
    "not found in signature def": "{model} is no exported detector, or an old one: export it.",
    "Serving signature key": "{model} is no exported detector, or an old one: export it.",
    "larger than maximum input batch size": (
        "Lower the client's `batch_size`, or raise max_batch_size in batching.config."
    ),
    "essage larger than max": (
        "The request or its answer is too large for the server or something before it. Lower "
        "`batch_size`, or raise the limit there: TensorFlow Serving itself takes 2 GB, most "
        "proxies far less, many 4 MB."
    ),
    "scheduling queue": (
        "The server is overloaded: its queue of batches is full. Send fewer requests at once, add "
        "servers, or raise max_enqueued_batches in batching.config."
    ),
}

_BY_CODE = {
    "UNAVAILABLE": (
        "No answer from {server}. Is the server running, and is the port right? 8501 speaks REST, "
        "8500 gRPC."
    ),
    "DEADLINE_EXCEEDED": (
        "{server} did not answer within {timeout:g} seconds. Raise `timeout`, lower `batch_size`, "
        "or look whether the server is overloaded."
    ),
    "NOT_FOUND": (
        "{server} does not have {model}, or is no TensorFlow Serving. Check the name in "
        "models.config and the address."
    ),
    "INVALID_ARGUMENT": (
        "{server} refused the request to {model}. If a version with another input was loaded since "
        "this client was made, make a new client."
    ),
    "RESOURCE_EXHAUSTED": "{server} is overloaded. Send fewer requests at once, or add servers.",
    "UNAUTHENTICATED": "{server} requires authentication; check the proxy in front of it.",
    "PERMISSION_DENIED": "{server} refuses this client; check the proxy in front of it.",
}
