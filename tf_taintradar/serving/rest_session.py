"""The HTTP session of `RestClient`: connections, and when a request is sent again."""

from typing import Any

import requests
import requests.adapters
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry


def new_session(retries: int) -> requests.Session:
    """A session that sends a request again up to `retries` times."""
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(max_retries=_retry(retries))
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


class _RetryButNotSlow(Retry):
    """A server that takes too long does not get faster by more requests."""

    def increment(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(kwargs.get("error"), ReadTimeoutError):
            raise kwargs["error"]
        return super().increment(*args, **kwargs)


def _retry(retries: int) -> Retry:
    """When urllib3 sends a request again, and after how long."""
    return _RetryButNotSlow(
        total=retries,
        backoff_factor=0.2,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,  # POST, too
        raise_on_status=False,
        respect_retry_after_header=False,  # it may exceed any time limit of the caller
    )
