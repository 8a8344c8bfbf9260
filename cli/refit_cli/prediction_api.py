"""Asks a model over HTTP, in as many calls as the services' size limits ask for.

API Gateway carries 10 MB a request, Lambda 6 MB each way (inside JSON, where quotes and line ends
count twice). A call here stays below that in both directions: the size of an answer's row is
learnt from the first, small call. What is refused as too large all the same is halved and sent
again.
"""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_cli.errors import RunFailed
from refit_cli.model_api import PARALLEL_CALLS, ModelApi, listed, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import requests

    from refit_cli.errors import CommandError
    from refit_cli.rows import Table

REQUEST_BYTES = 4_000_000
RESPONSE_BYTES = 2_500_000
FIRST_CALL_ROWS = 100

_TRY_SMALLER = frozenset({413, 504})


@dataclass(frozen=True)
class EncodedRow:
    """A row as it is sent."""

    number: int
    body: bytes
    label: str | None

    @property
    def wire_bytes(self) -> int:
        """Its size inside the JSON event that Lambda gets."""
        return len(self.body) + self.body.count(b'"') + self.body.count(b"\\") + 2


@dataclass(frozen=True)
class Prediction:
    """One row's answer, as the API gave it, with the row's number and known label."""

    row: int
    label: str | None
    model_version: int | None
    answer: dict[str, Any]


class PredictionApi:
    """One model of one stack's HTTP API.

    Args:
        api_url: the stage's address.
        api_key: the value sent as `x-api-key`.
        model: the model's name.
        retries: how often a call that may pass later is repeated.
    """

    def __init__(self, api_url: str, api_key: str, model: str, retries: int = 6) -> None:
        self._api = ModelApi(api_url, api_key, model, "predictions", retries)
        self._most_rows = FIRST_CALL_ROWS

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self._api.calls

    def predict(self, table: Table) -> Iterator[Prediction]:
        """Yield the answers in the order of the rows, while later rows are still being asked.

        Raises:
            BadInput: when a row, or the model's name, is not accepted (API 4xx).
            NotReachable: when nobody answers, the key is refused or the endpoint is not ready.
            RunFailed: when the API fails or answers something else.
        """
        as_json = table.names is not None
        batches = self._batches(encode(table))
        waiting: deque[Future[list[Prediction]]] = deque()
        pool = ThreadPoolExecutor(PARALLEL_CALLS)
        try:
            if first := next(batches, None):
                yield from self._ask(first, as_json)
            for batch in batches:
                waiting.append(pool.submit(self._ask, batch, as_json))
                if len(waiting) > PARALLEL_CALLS:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _batches(self, rows: Iterator[EncodedRow]) -> Iterator[list[EncodedRow]]:
        batch: list[EncodedRow] = []
        n_bytes = 0
        for row in rows:
            full = n_bytes + row.wire_bytes > REQUEST_BYTES or len(batch) >= self._most_rows
            if batch and full:
                yield batch
                batch, n_bytes = [], 0
            batch.append(row)
            n_bytes += row.wire_bytes
        if batch:
            yield batch

    def _ask(self, batch: list[EncodedRow], as_json: bool) -> list[Prediction]:
        response = self._post(batch, as_json)
        if response.status_code in _TRY_SMALLER and len(batch) > 1:
            half = len(batch) // 2
            self._most_rows = min(self._most_rows, half)
            return self._ask(batch[:half], as_json) + self._ask(batch[half:], as_json)
        if response.status_code != 200:
            raise _refusal(response, batch)
        answer = listed(response, "predictions")
        if len(answer["predictions"]) != len(batch):
            raise RunFailed(
                f"{len(batch)} rows were asked and {len(answer['predictions'])} were answered"
            )
        if self._most_rows == FIRST_CALL_ROWS:
            row_bytes = max(1, len(response.content) // len(batch))
            self._most_rows = max(1, RESPONSE_BYTES // row_bytes)
        version = answer.get("modelVersion")
        return [
            Prediction(row.number, row.label, version, found)
            for row, found in zip(batch, answer["predictions"], strict=True)
        ]

    def _post(self, batch: list[EncodedRow], as_json: bool) -> requests.Response:
        bodies = [row.body for row in batch]
        body = b'{"instances":[' + b",".join(bodies) + b"]}" if as_json else b"\n".join(bodies)
        kind = "application/json" if as_json else "text/csv"
        return self._api.post(body, kind)


def encode(table: Table) -> Iterator[EncodedRow]:
    """Yield the rows as JSON objects by column name, or as CSV lines where nothing names them."""
    if table.names is not None:
        names = table.names
        for row in table.rows:
            # Cells stay text: the model's schema knows which columns are numbers.
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


def _refusal(response: requests.Response, batch: list[EncodedRow]) -> CommandError:
    first = batch[0].number
    which = f"rows {first}-{batch[-1].number}" if len(batch) > 1 else f"row {first}"
    return refusal(response, which, "" if first == 1 else f" (counted from row {first})")
