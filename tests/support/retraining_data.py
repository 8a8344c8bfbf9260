"""A live model whose predictions were captured and labelled, and a retraining on those rows."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from refit.domain.naming import RunKeys
from refit.handlers.wiring import services

from tests.support.model_files import champion, object_version
from tests.support.prepare_runs import CHAMPION_RUN, drop_files, prepare_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.aws_stack import Stack

RETRAINING_RUN = RunKeys("digits", "0f1e2d3c4b5a")
CAPTURE_FOLDER = "digits/capture/refit-digits/v3/2025/01/02/03"


@dataclass
class RetrainedModel:
    """The model digits, its captured and labelled predictions, and its retrainings.

    Attributes:
        slices: slices of the ledger, as drop.json lists them.
        fresh_since: time from which predictions count as fresh; None for all.
    """

    stack: Stack
    slices: list[dict[str, Any]] = field(default_factory=list)
    fresh_since: str | None = None

    def deploy(
        self, files: dict[str, bytes], keys: RunKeys = CHAMPION_RUN, version: int = 3
    ) -> None:
        """Prepare a run of these files, and make its version live."""
        drop_files(self.stack, files, keys)
        prepare_run(keys)
        self.promote(keys, version)

    def promote(self, keys: RunKeys, version: int) -> None:
        """End a run, and make its version live."""
        services().models.release_run("digits", keys.run)
        services().models.record_version("digits", version, keys.run, "arn:package")
        services().models.promote("digits", champion(version, keys.run))

    def capture(self, name: str, events: Sequence[Sequence[str]], encoding: str = "CSV") -> str:
        """Put a capture file, one line per event; return its key.

        Args:
            name: name of the file.
            events: encoded rows of each event.
            encoding: CSV, JSON or BASE64, as SageMaker encodes inputs.
        """
        lines = [
            json.dumps(
                {
                    "captureData": {
                        "endpointInput": endpoint_input(rows, encoding),
                        "endpointOutput": {
                            "observedContentType": "text/csv; charset=utf-8",
                            "mode": "OUTPUT",
                            "data": "\n".join("0.1,0.2,0.7" for _ in rows),
                            "encoding": "CSV",
                        },
                    },
                    "eventMetadata": {
                        "eventId": f"{name}-{number}",
                        "inferenceTime": "2025-01-02T03:04:05Z",
                    },
                    "eventVersion": "0",
                }
            )
            for number, rows in enumerate(events)
        ]
        key = f"{CAPTURE_FOLDER}/{name}.jsonl"
        self.stack.put(key, "\n".join(lines) + "\n")
        return key

    def label(self, name: str, lines: Sequence[dict[str, Any]], fresh: bool = True) -> None:
        """Put a slice of the ledger with these lines."""
        key = f"digits/labelled/dt=2025-01-02/{name}.jsonl"
        data = "".join(f"{json.dumps(line)}\n" for line in lines)
        version = self.stack.put(key, data)
        self.slices.append(object_version(key, version, len(data)) | {"fresh": fresh})

    def capture_and_label(
        self, count: int = 200, seed: int = 7, name: str = "a", fresh: bool = True
    ) -> list[bytes]:
        """Predict and label rows, ten per event; return them with the label first."""
        rows = random_rows(count, seed)
        events = [rows[start : start + 10] for start in range(0, count, 10)]
        key = self.capture(name, events)
        lines = [
            ledger_line(key, index // 10, str(index % 3), row=index % 10) for index in range(count)
        ]
        self.label(name, lines, fresh)
        return [f"{index % 3},{row}".encode() for index, row in enumerate(rows)]

    def retrain(
        self, keys: RunKeys = RETRAINING_RUN, based_on: RunKeys = CHAMPION_RUN
    ) -> dict[str, Any]:
        """Begin a retraining on the files of another run and the ledger, and prepare it."""
        files = self.stack.get(based_on.manifest)["files"]
        services().models.begin_run("digits", keys.run, "drift", None)
        self.stack.put(
            keys.drop,
            {
                "model": "digits",
                "run": keys.run,
                "cause": "drift",
                "files": files,
                "slices": self.slices,
                "fresh_since": self.fresh_since,
            },
        )
        return prepare_run(keys)

    def rows(self, prefix: str) -> list[bytes]:
        """Return the lines of the only object below a prefix."""
        (key,) = self.stack.keys(prefix)
        return self.stack.read(key).splitlines()

    def all_rows(self) -> list[bytes]:
        """Return the training, validation and test rows of the retraining."""
        keys = RETRAINING_RUN
        return [
            row for prefix in (keys.train, keys.validation, keys.test) for row in self.rows(prefix)
        ]

    def unused_rows(self, keys: RunKeys = RETRAINING_RUN) -> list[dict[str, int]]:
        """Return how many rows of each slice were not used, by reason."""
        return [entry["lost"] for entry in self.stack.get(keys.manifest)["slices"]]

    def labelled_counts(self, keys: RunKeys = RETRAINING_RUN) -> dict[str, int]:
        """Return how many labelled rows each part of the data has."""
        return dict(self.stack.get(keys.manifest)["labelled"])


def endpoint_input(rows: Sequence[str], encoding: str) -> dict[str, str]:
    """Return the input of a captured event, in one of the encodings that SageMaker uses."""
    text, content_type = "\n".join(rows), "text/csv"
    if encoding == "JSON":
        instances = [{"features": list(map(int, row.split(",")))} for row in rows]
        text, content_type = json.dumps({"instances": instances}), "application/json"
    if encoding == "BASE64":
        text = base64.b64encode(text.encode()).decode()
    return {
        "observedContentType": content_type,
        "mode": "INPUT",
        "data": text,
        "encoding": encoding,
    }


def ledger_line(
    key: str, number: int, label: str, row: int = 0, seq: int = 2, **more: Any
) -> dict[str, Any]:
    """Return a line of the ledger for a row of a line of a capture file."""
    return {
        "inferenceId": f"{key}:{number}:{row}",
        "seq": seq,
        "label": label,
        "prediction": "1",
        "version": 3,
        "predictedAt": "2025-01-02T03:04:05.000+00:00",
        "observedAt": "2025-01-02T04:04:05.000+00:00",
        "source": {"key": key, "line": number, "row": row},
    } | more


def random_rows(count: int, seed: int) -> list[str]:
    """Return encoded rows of four integers, all different."""
    cells = np.random.default_rng(seed).integers(0, 10_000, (count, 4))
    return [",".join(map(str, row)) for row in cells]
