"""One route of a model's HTTP API: calls that are repeated where that may help, and refusals told.

A refusal's exit code says whose fault it is: 2 what was sent, 3 the way there, 1 the API itself.
"""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from refit_cli.errors import BadInput, CommandError, NotReachable, RunFailed

PARALLEL_CALLS = 4
BACKOFF_S = 0.4  # doubled at each try

_PASSING = (429, 502, 503)
_TIMEOUT_S = (10, 60)


class ModelApi:
    """A route that is posted to.

    Args:
        api_url: the stage's address.
        api_key: the value sent as `x-api-key`.
        model: the model's name.
        route: what follows the model in the path.
        retries: how often a call that may pass later is repeated; it must do no harm.
    """

    def __init__(
        self, api_url: str, api_key: str, model: str, route: str, retries: int = 6
    ) -> None:
        self._url = f"{api_url.rstrip('/')}/models/{model}/{route}"
        self._key = api_key
        self.calls = 0
        retry = Retry(
            total=retries,
            status_forcelist=_PASSING,
            allowed_methods=None,  # POST too
            backoff_factor=BACKOFF_S,
            backoff_jitter=BACKOFF_S,
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        self._http = requests.Session()
        adapter = HTTPAdapter(max_retries=retry, pool_maxsize=PARALLEL_CALLS)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    def post(self, body: bytes, content_type: str) -> requests.Response:
        """Send one call. May be used by `PARALLEL_CALLS` threads at once.

        Raises:
            NotReachable: when nobody answers.
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
                f"{self._url} does not answer: {error}",
                "look with `refit status` whether the ground or stack is there",
            ) from error


def listed(response: requests.Response, key: str) -> dict[str, Any]:
    """Return an answer whose `key` is a list.

    Raises:
        RunFailed: when the API answered something else.
    """
    try:
        answer = response.json()
    except requests.JSONDecodeError as error:
        raise RunFailed(f"the API answered no JSON: {response.text[:200]!r}") from error
    if not isinstance(answer, dict) or not isinstance(answer.get(key), list):
        raise RunFailed(f"the API answered without {key}: {response.text[:200]!r}")
    return answer


def refusal(response: requests.Response, which: str, counted_from: str = "") -> CommandError:
    """Return what ends the command when a call was refused.

    Args:
        response: the refusal.
        which: names what was sent, for a message.
        counted_from: tells what the API's own numbers count from, where that is not plain.
    """
    status, said = response.status_code, _said(response)
    if status == 403:
        return NotReachable(
            f"the API refuses the key (403: {said})", "look whether the stack's key is enabled"
        )
    if status == 404:
        return BadInput(said, "see which models are live with `refit status`")
    if status == 413:
        return BadInput(f"{which} alone is too large for one request: {said}")
    if 400 <= status < 500 and status != 429:
        return BadInput(f"{which} were refused: {said}{counted_from}" if counted_from else said)
    if status in {429, 503}:
        return NotReachable(
            f"the model is not ready to answer {which} (HTTP {status}): {said}",
            "try again in a moment; `refit status` shows its endpoint",
        )
    return RunFailed(f"the API failed on {which} (HTTP {status}): {said}")


def _said(response: requests.Response) -> str:
    try:
        answer = response.json()
    except requests.JSONDecodeError:
        return response.text[:500] or response.reason
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"
    if isinstance(answer, dict) and "message" in answer:
        return str(answer["message"])
    return response.text[:500]
