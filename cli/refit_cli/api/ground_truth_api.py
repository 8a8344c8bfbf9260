"""Send labels over HTTP, in requests of at most `MAX_RECORDS` records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.label_records import MAX_RECORDS

from refit_cli.api.model_api import ModelApi, body_with_list, error_of
from refit_cli.errors import RunFailed
from refit_cli.plurals import counted

if TYPE_CHECKING:
    from refit_cli.api.model_api import ApiAccess


class GroundTruthApi:
    """The route `ground-truth` of a model. Labels that are sent again are reported as repeats."""

    def __init__(self, access: ApiAccess) -> None:
        self._api = ModelApi(access, "ground-truth")

    @property
    def calls(self) -> int:
        """Number of requests so far."""
        return self._api.calls

    def send(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send labels, one request after the other: the order of one inference's labels matters.

        Args:
            records: `{"inferenceId", "label", "observedAt"?}` each.

        Returns:
            `{"inferenceId", "status", "reason"?}` of each, in the same order.

        Raises:
            BadInput: when a record is malformed, or the model is unknown (HTTP 4xx).
            NotReachable: when the API does not respond, or rejects the key.
            RunFailed: when the API fails or its response is malformed.
        """
        results: list[dict[str, Any]] = []
        for start in range(0, len(records), MAX_RECORDS):
            results += self._send_one_request(records[start : start + MAX_RECORDS])
        return results

    def _send_one_request(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = json.dumps({"labels": records}, separators=(",", ":"), allow_nan=False).encode()
        response = self._api.post(body, "application/json")
        if response.status_code != 202:
            raise error_of(response, counted(len(records), "label"))
        results = body_with_list(response, "results")["results"]
        if len(results) != len(records):
            sent = counted(len(records), "label")
            raise RunFailed(f"the API returned {counted(len(results), 'result')} for {sent}")
        return list(results)
