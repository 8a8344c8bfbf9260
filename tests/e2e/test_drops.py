"""Files that are completed late are trained on, and the drop of a failed run is run again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits


class Upload:
    """An upload in parts that has begun and is not completed."""

    def __init__(self, user: User, key: str, body: bytes) -> None:
        self._s3 = user.client("s3")
        where = {"Bucket": user.bucket, "Key": key}
        upload = self._s3.create_multipart_upload(**where)
        self._request: dict[str, Any] = where | {"UploadId": upload["UploadId"]}
        self._tag = self._s3.upload_part(**self._request, PartNumber=1, Body=body)["ETag"]

    def complete(self) -> None:
        parts = {"Parts": [{"PartNumber": 1, "ETag": self._tag}]}
        self._s3.complete_multipart_upload(**self._request, MultipartUpload=parts)


def files_of(user: User, model: str, run: str) -> list[str]:
    files = user.read_json(f"{model}/runs/{run}/drop.json")["files"]
    return [file["key"].removeprefix(f"{model}/raw/") for file in files]


def test_a_large_file_that_is_completed_after_the_run_of_a_small_one_is_trained_on(
    user: User, digits: Digits
) -> None:
    large = Upload(user, "late/raw/large.csv", digits.csv(slice(600, 1400)))
    user.drop("late", {"small.csv": digits.csv(slice(0, 600))})
    first = user.wait_for_end("late")
    assert files_of(user, "late", first["run"]) == ["small.csv"]
    large.complete()
    second = user.wait_for_end("late", 2)
    assert files_of(user, "late", second["run"]) == ["large.csv"]
    rows = user.read_json(f"late/runs/{second['run']}/manifest.json")["rows"]
    assert rows["train"] + rows["validation"] + rows["test"] == 800


def test_large_and_small_files_that_are_completed_together_are_trained_on_together(
    user: User, digits: Digits
) -> None:
    uploads = [
        Upload(user, f"together/raw/{name}.csv", digits.csv(slice(at, at + 300)))
        for at, name in enumerate(("large-a", "large-b"))
    ]
    began = time.monotonic()
    # After the quiet period of 3 seconds the uploads look quiet before they are complete.
    wait_for(lambda: time.monotonic() - began > 4 or None, "the quiet period")
    user.drop("together", {"small.csv": digits.csv(slice(700, 1000))})
    for upload in uploads:
        upload.complete()
    run = user.wait_for_end("together")
    assert files_of(user, "together", run["run"]) == ["large-a.csv", "large-b.csv", "small.csv"]
    assert len(user.runs("together")) == 1


def test_the_drop_of_a_failed_run_is_run_again_with_corrected_settings(
    user: User, digits: Digits
) -> None:
    user.drop("again", {"a.csv": digits.csv(slice(0, 900))}, "[gate]\nflorr = 1")
    failed = user.wait_for_end("again")
    assert failed["error"] == "SettingsInvalid"
    wait_for(lambda: "active_run" not in user.state("again") or None, "the release of the lock")
    user.drop("again", {}, "")
    command = [Path(sys.executable).with_name("refit"), "retry", "again", "--json"]
    requested = subprocess.run(
        [*command, "--port", str(user.stack.port)], capture_output=True, text=True, check=False
    )
    assert requested.returncode == 0, requested.stderr
    run = user.wait_for_end("again", 2)
    assert run["run"] == json.loads(requested.stdout)["run"]
    assert run["status"] == "DEPLOYED", run["message"]
    assert files_of(user, "again", run["run"]) == ["a.csv"]
    assert len(user.runs("again")) == 2
