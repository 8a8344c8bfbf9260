"""A drop that cannot be trained on fails its run with a reason, and affects no other run."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

PICKLE_RAN = Path(os.environ.get("TMPDIR", "/tmp")) / f"refit-pickle-ran-{os.getpid()}"


class RunsCodeWhenUnpickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {PICKLE_RAN}",))


def zip_bomb() -> bytes:
    """Return 64 MB of one repeated row, compressed to 64 kB."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        block = b"1,2,3,4\n" * 131_072
        for _ in range(64):
            file.write(block)
    return out.getvalue()


BAD_DROPS: dict[str, tuple[str, bytes, str, str]] = {
    # model: (file, content, error, text in its message)
    "empty": ("a.csv", b"", "DatasetEmpty", "a.csv"),
    "headeronly": ("a.csv", b"label,a,b\n", "DatasetEmpty", "row"),
    "onecolumn": ("a.csv", b"1\n2\n3\n" * 50, "DatasetInvalid", "column"),
    "unclear": ("a.csv", b"size,kind\n" + b"3,a\n5,b\n" * 90, "LabelUnclear", "--label kind"),
    "nolabel": ("a.csv", b"label,a\n" + b",1\n,2\n" * 90, "TooManyBadRows", "have no label"),
    "ragged": ("a.csv", b"1,2,3\n0,2\n" * 100, "TooManyBadRows", "2 cells, not 3"),
    "text": ("a.csv", b"1,2,3\n0,1,3\n" * 90 + b"0,x,3\n" * 20, "TooManyBadRows", "x"),
    "pickle": (
        "a.pkl.gz",
        gzip.compress(pickle.dumps(RunsCodeWhenUnpickled())),
        "DatasetUnreadable",
        "system",
    ),
    "parquet": ("a.parquet", b"PAR1 not Parquet PAR1", "DatasetUnreadable", "a.parquet"),
    "settings": ("a.csv", b"1,2,3\n0,1,3\n" * 90, "SettingsInvalid", "florr"),
    "bomb": ("a.csv.gz", b"", "DatasetUnreadable", "a.csv.gz"),
}


@pytest.fixture(scope="module")
def bad_drops(user: User) -> None:
    user.drop("settings", {}, "[gate]\nflorr = 1")
    for model, (name, content, _, _) in BAD_DROPS.items():
        user.drop(model, {name: zip_bomb() if model == "bomb" else content})


@pytest.mark.parametrize("model", BAD_DROPS)
def test_a_bad_drop_fails_its_run_with_the_reason(user: User, bad_drops: None, model: str) -> None:
    run = user.wait_for_end(model)
    _, _, error, text = BAD_DROPS[model]
    assert (run["status"], run["error"]) == ("FAILED", error), run["message"]
    assert text in run["message"]
    assert "active_run" not in user.state(model)


def test_a_dropped_pickle_runs_no_code(user: User, bad_drops: None) -> None:
    user.wait_for_end("pickle")
    assert not PICKLE_RAN.exists()


def test_refused_rows_are_written_to_quarantine_with_line_and_reason(
    user: User, bad_drops: None
) -> None:
    run = user.wait_for_end("text")["run"]
    key = f"text/quarantine/{run}/rows.jsonl"
    body = user.client("s3").get_object(Bucket=user.bucket, Key=key)["Body"].read().decode()
    first = body.splitlines()[0]
    assert json.loads(first)["line"] == 181
    assert "'x' is text where numbers are expected" in first
    assert len(body.splitlines()) == 20


def test_a_good_drop_after_a_bad_one_is_deployed(
    user: User, bad_drops: None, digits: Digits
) -> None:
    user.wait_for_end("ragged")
    user.drop("ragged", {"b.csv": digits.csv(slice(0, 300))})
    run = user.wait_for_end("ragged", 2)
    assert run["status"] == "DEPLOYED", run


def test_an_invalid_model_name_is_reported_in_the_bucket_and_by_the_api(user: User) -> None:
    for name in ("Bad Name", "../up", "x" * 200):
        user.client("s3").put_object(Bucket=user.bucket, Key=f"{name}/raw/a.csv", Body=b"1,2\n")
    for name in ("Bad%20Name", "x" * 200):
        response = user.predict(name, [[1]])
        assert (response.status_code, response.json()["error"]["code"]) == (
            400,
            "ModelNameInvalid",
        )

    def refusals() -> list[dict[str, Any]] | None:
        response = user.client("s3").list_objects_v2(Bucket=user.bucket, Prefix="_refused/")
        reports = [user.read_json(entry["Key"]) for entry in response.get("Contents", [])]
        return reports if len(reports) == 3 else None

    assert all("1 to 24" in entry["reason"] for entry in wait_for(refusals, "three refusals"))
