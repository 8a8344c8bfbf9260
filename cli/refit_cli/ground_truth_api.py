"""Sends labels over HTTP, in calls of as many records as one takes."""

from __future__ import annotations

import json
from typing import Any

from refit.domain.inferences.ground_truth_records import MAX_RECORDS

from refit_cli.errors import RunFailed
from refit_cli.model_api import ModelApi, listed, refusal


class GroundTruthApi:
    """Takes the labels of one model of one stack.

    Args:
        api_url: the stage's address.
        api_key: the value sent as `x-api-key`.
        model: the model's name.
        retries: how often a call that may pass later is repeated; labels that were taken are then
            repeats.
    """

    def __init__(self, api_url: str, api_key: str, model: str, retries: int = 6) -> None:
        self._api = ModelApi(api_url, api_key, model, "ground-truth", retries)

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self._api.calls

    def send(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send labels, one call after the other: of one inference, the order may matter.

        Args:
            records: `{"inferenceId", "label", "observedAt"?}` each.

        Returns:
            `{"inferenceId", "status", "reason"?}` of each, in their order.

        Raises:
            BadInput: when a record has another form, or the model is not known (API 4xx).
            NotReachable: when nobody answers, or the key is refused.
            RunFailed: when the API fails or answers something else.
        """
        results: list[dict[str, Any]] = []
        for start in range(0, len(records), MAX_RECORDS):
            results += self._sent(records[start : start + MAX_RECORDS])
        return results

    def _sent(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = json.dumps({"labels": records}, separators=(",", ":"), allow_nan=False).encode()
        response = self._api.post(body, "application/json")
        if response.status_code != 202:
            raise refusal(response, f"{len(records)} labels")
        results = listed(response, "results")["results"]
        if len(results) != len(records):
            raise RunFailed(f"{len(records)} labels were sent and {len(results)} were answered")
        return list(results)
