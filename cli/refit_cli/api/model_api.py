"""POST requests to one route of a model's HTTP API, with retries, and errors as `CommandError`.

The exit code of an error names its cause: 2 the request, 3 the connection, 1 the API itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from refit_cli.errors import BadInput, CommandError, NotReachable, RunFailed

if TYPE_CHECKING:
    from requests.auth import AuthBase

PARALLEL_CALLS = 4

_RETRIED_STATUSES = (429, 502, 503)
_TIMEOUT_S = (10, 60)  # to connect, to read


@dataclass(frozen=True)
class ApiAccess:
    """What a client of a model's API needs.

    Attributes:
        api_url: address of the API's stage.
        api_key: the value of the `x-api-key` header.
        retries: how often a call is repeated after a status that may be temporary.
        backoff_s: pause before the first repetition; it doubles each time.
        signature: signs each request; None if the API does not ask for it.
    """

    api_url: str
    api_key: str
    model: str
    retries: int = 6
    backoff_s: float = 0.4
    signature: AuthBase | None = None


class ModelApi:
    """One route below a model. Its POST requests must be safe to repeat.

    Args:
        access: the API and the model.
        route: the path below the model.
    """

    def __init__(self, access: ApiAccess, route: str) -> None:
        self._url = f"{access.api_url.rstrip('/')}/models/{access.model}/{route}"
        self._key = access.api_key
        self.calls = 0
        retry = Retry(
            total=access.retries,
            status_forcelist=_RETRIED_STATUSES,
            allowed_methods=None,  # includes POST
            backoff_factor=access.backoff_s,
            backoff_jitter=access.backoff_s,
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        self._http = requests.Session()
        self._http.auth = access.signature
        adapter = HTTPAdapter(max_retries=retry, pool_maxsize=PARALLEL_CALLS)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    def post(self, body: bytes, content_type: str) -> requests.Response:
        """Send one request. Up to `PARALLEL_CALLS` threads may do so at once.

        Raises:
            NotReachable: when the API does not respond.
        """
        self.calls += 1
        try:
            return self._http.post(
                self._url,
                data=body,
                headers={
                    "content-type": content_type,
                    "accept": "application/json",
                    "x-api-key": self._key,
                },
                timeout=_TIMEOUT_S,
            )
        except requests.RequestException as error:
            raise NotReachable(
                f"{self._url} does not respond: {error}",
                "check with `refit status` whether the stack is running",
            ) from error


def body_with_list(response: requests.Response, key: str) -> dict[str, Any]:
    """Return the JSON body of a response whose `key` is a list.

    Raises:
        RunFailed: when the body is anything else.
    """
    try:
        body = response.json()
    except requests.JSONDecodeError as error:
        raise RunFailed(f"the API response is not JSON: {response.text[:200]!r}") from error
    if not isinstance(body, dict) or not isinstance(body.get(key), list):
        raise RunFailed(f"the API response has no list {key!r}: {response.text[:200]!r}")
    return body


def error_of(response: requests.Response, content: str, numbering: str = "") -> CommandError:
    """Return the error that a rejected request ends the command with.

    Args:
        response: the API's response.
        content: names what was sent, such as `rows 101-200`.
        numbering: says where the row numbers in the API's message start, unless they start at 1.
    """
    status, reason = response.status_code, _reason(response)
    if status == 403:
        return NotReachable(
            f"the API rejects the request (403: {reason})",
            "check whether the stack's keys are enabled; if the API requires signed requests, "
            "whether your credentials allow execute-api:Invoke",
        )
    if status == 404:
        return BadInput(reason, "list the models with `refit status`")
    if status == 413:
        return BadInput(f"one request cannot carry {content}: {reason}")
    if 400 <= status < 500 and status != 429:
        return BadInput(f"the API rejected {content}: {reason}{numbering}")
    if status in {429, 503}:
        return NotReachable(
            f"the model is not ready to answer {content} (HTTP {status}): {reason}",
            "try again in a moment; `refit status` shows the endpoint's status",
        )
    return RunFailed(f"the API failed on {content} (HTTP {status}): {reason}")


def _reason(response: requests.Response) -> str:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return response.text[:500] or response.reason
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"
    if isinstance(body, dict) and "message" in body:
        return str(body["message"])
    return response.text[:500]
