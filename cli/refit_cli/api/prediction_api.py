"""Get predictions over HTTP, in as many requests as the size limits of the services require.

API Gateway accepts 10 MB per request, Lambda 6 MB in each direction (as JSON, where quotes and line
breaks take two bytes). The requests here stay below both: the size of one answered row is measured
on a small first request. A batch that is rejected as too large is halved and sent again.
"""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_cli.api.model_api import PARALLEL_CALLS, ModelApi, body_with_list, error_of
from refit_cli.errors import RunFailed
from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import requests

    from refit_cli.api.model_api import ApiAccess
    from refit_cli.errors import CommandError
    from refit_cli.rows import InputTable

REQUEST_BYTES = 4_000_000
RESPONSE_BYTES = 2_500_000
FIRST_CALL_ROWS = 100

# The batch or its answer is too large, or the model did not finish it in time.
_HALVED_STATUSES = frozenset({413, 504})


@dataclass(frozen=True)
class EncodedRow:
    """A row in the form in which it is sent."""

    number: int
    body: bytes
    label: str | None

    @property
    def wire_bytes(self) -> int:
        """Size of the row inside the JSON event that Lambda receives."""
        return len(self.body) + self.body.count(b'"') + self.body.count(b"\\") + 2


@dataclass(frozen=True)
class PredictedRow:
    """The API's answer for one row.

    Attributes:
        row: the row's number, from 1.
        label: the row's true label, if the file has one.
        answer: `{"inferenceId", "prediction", "probabilities"?}`.
    """

    row: int
    label: str | None
    model_version: int | None
    answer: dict[str, Any]


class PredictionApi:
    """The route `predictions` of a model.

    Args:
        access: the API and the model.
        request_bytes: largest size of a request, as `EncodedRow.wire_bytes` counts it.
        response_bytes: size of a response that the number of rows in a request aims at.
    """

    def __init__(
        self,
        access: ApiAccess,
        request_bytes: int = REQUEST_BYTES,
        response_bytes: int = RESPONSE_BYTES,
    ) -> None:
        self._api = ModelApi(access, "predictions")
        self._request_bytes = request_bytes
        self._response_bytes = response_bytes
        self._max_rows = FIRST_CALL_ROWS

    @property
    def calls(self) -> int:
        """Number of requests so far."""
        return self._api.calls

    def predict(self, table: InputTable) -> Iterator[PredictedRow]:
        """Yield the answers in the order of the rows, while requests for later rows are under way.

        Raises:
            BadInput: when a row is invalid, or the model is unknown (HTTP 4xx).
            NotReachable: when the API does not respond, the key is rejected or the endpoint is not
                ready.
            RunFailed: when the API fails or its response is malformed.
        """
        as_json = table.names is not None
        batches = self._batches(encode(table))
        pending: deque[Future[list[PredictedRow]]] = deque()
        pool = ThreadPoolExecutor(PARALLEL_CALLS)
        try:
            if first := next(batches, None):
                yield from self._request(first, as_json)
            for batch in batches:
                pending.append(pool.submit(self._request, batch, as_json))
                if len(pending) > PARALLEL_CALLS:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _batches(self, rows: Iterator[EncodedRow]) -> Iterator[list[EncodedRow]]:
        batch: list[EncodedRow] = []
        n_bytes = 0
        for row in rows:
            is_full = n_bytes + row.wire_bytes > self._request_bytes or len(batch) >= self._max_rows
            if batch and is_full:
                yield batch
                batch, n_bytes = [], 0
            batch.append(row)
            n_bytes += row.wire_bytes
        if batch:
            yield batch

    def _request(self, batch: list[EncodedRow], as_json: bool) -> list[PredictedRow]:
        response = self._post(batch, as_json)
        if response.status_code in _HALVED_STATUSES and len(batch) > 1:
            half = len(batch) // 2
            self._max_rows = min(self._max_rows, half)
            return self._request(batch[:half], as_json) + self._request(batch[half:], as_json)
        if response.status_code != 200:
            raise _error_of_batch(response, batch)
        body = body_with_list(response, "predictions")
        answers = body["predictions"]
        if len(answers) != len(batch):
            sent = counted(len(batch), "row")
            raise RunFailed(f"the API returned {counted(len(answers), 'prediction')} for {sent}")
        if self._max_rows == FIRST_CALL_ROWS:
            row_bytes = max(1, len(response.content) // len(batch))
            self._max_rows = max(1, self._response_bytes // row_bytes)
        version = body.get("modelVersion")
        return [
            PredictedRow(row.number, row.label, version, answer)
            for row, answer in zip(batch, answers, strict=True)
        ]

    def _post(self, batch: list[EncodedRow], as_json: bool) -> requests.Response:
        bodies = [row.body for row in batch]
        body = b'{"instances":[' + b",".join(bodies) + b"]}" if as_json else b"\n".join(bodies)
        return self._api.post(body, "application/json" if as_json else "text/csv")


def encode(table: InputTable) -> Iterator[EncodedRow]:
    """Yield rows as JSON objects by column name, or as CSV lines if the columns have no names."""
    if table.names is not None:
        names = table.names
        for row in table.rows:
            # The cells stay text: the model's schema decides which columns are numbers.
            cells = dict(zip(names, row.cells, strict=True))
            body = json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode()
            yield EncodedRow(row.number, body, row.label)
        return
    for row in table.rows:
        yield EncodedRow(row.number, _csv_line(row.cells), row.label)


def _csv_line(cells: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue().encode()


def _error_of_batch(response: requests.Response, batch: list[EncodedRow]) -> CommandError:
    first = batch[0].number
    content = f"rows {first}-{batch[-1].number}" if len(batch) > 1 else f"row {first}"
    return error_of(response, content, "" if first == 1 else f" (counted from row {first})")
