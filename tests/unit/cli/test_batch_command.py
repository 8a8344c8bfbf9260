"""`refit batch` and `refit watch --batch`: upload, follow and download a batch prediction."""

from __future__ import annotations

import json

import pytest
from refit.domain.naming import BatchKeys, batch_id
from refit.domain.pipeline.batch import BatchStatus

from tests.support.cli import BUCKET, CHAMPION

STARTED = "2026-11-20T10:00:00.000+00:00"


@pytest.fixture
def live(stack):
    """A stack with the live model digits."""
    stack.set_state("digits", CHAMPION)
    return stack


def add_batch(stack, batch: str, status: BatchStatus, **values) -> None:
    stack.put_item(
        "digits",
        f"BATCH#{batch}",
        {
            "batch": batch,
            "model": "digits",
            "file": "new.csv",
            "file_version": "v1",
            "status": status,
            "started_at": STARTED,
            "updated_at": STARTED,
            "finished_at": "2026-11-20T10:01:05.000+00:00",
            **values,
        },
    )


SUCCEEDED = {"version": 3, "rows": 2, "refused": 1, "quarantine": "digits/quarantine/x.jsonl"}


@pytest.fixture
def predicted(live, monkeypatch):
    """The stack predicts each uploaded file at once."""
    from refit_cli import uploads

    upload = uploads.upload_with_progress

    def uploaded(connection, planned):
        (file,) = upload(connection, planned)
        batch = batch_id("digits", file.key, file.version)
        live.put(BatchKeys("digits", batch).result("new.csv"), "row,prediction\n1,4\n2,7\n")
        add_batch(live, batch, BatchStatus.SUCCEEDED, **SUCCEEDED)
        return [file]

    monkeypatch.setattr(uploads, "upload_with_progress", uploaded)
    return live


@pytest.fixture
def new_csv(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("f0\n1\n2\n")
    return path


def test_a_file_is_uploaded_followed_and_its_result_downloaded(refit, predicted, new_csv, tmp_path):
    target = tmp_path / "scored.csv"
    result = refit("batch", "digits", new_csv, "--output", target)
    assert result.exit_code == 0, result.stderr
    assert target.read_text() == "row,prediction\n1,4\n2,7\n"
    assert predicted.keys()[0] == "digits/batch/in/new.csv"
    assert "2 rows are predicted" in result.stdout
    assert f"s3://{BUCKET}/digits/quarantine/x.jsonl" in result.stderr.replace("\n", "")
    assert list(tmp_path.glob("*.part")) == []


def test_scripts_get_each_status_and_the_result_as_json_lines(refit, predicted, new_csv, tmp_path):
    result = refit("batch", "digits", new_csv, "-o", tmp_path / "scored.csv", "--json")
    status, final = map(json.loads, result.stdout.splitlines())
    assert (status["event"], status["status"], status["rows"]) == ("batch", "SUCCEEDED", 2)
    assert (final["event"], final["downloaded"]) == ("result", str(tmp_path / "scored.csv"))


def test_nothing_is_uploaded_without_a_live_version(refit, stack, new_csv):
    result = refit("batch", "digits", new_csv)
    assert result.exit_code == 2
    assert "no live version" in result.stderr
    assert stack.keys() == []


def test_a_file_that_would_be_skipped_is_not_uploaded(refit, live, tmp_path):
    (tmp_path / "_new.csv").write_text("f0\n1\n")
    result = refit("batch", "digits", tmp_path / "_new.csv")
    assert result.exit_code == 2
    assert "is skipped" in result.stderr
    assert live.keys() == []


def test_the_newest_batch_is_followed_until_it_fails_with_its_reason(refit, live):
    add_batch(live, "0f1e2d3c4b5a", BatchStatus.SUCCEEDED, started_at="2026-11-19T10:00:00+00:00")
    failed = {"error": "ColumnsUnfit", "message": "new.csv lacks the column 'f1'"}
    add_batch(live, "1f1e2d3c4b5a", BatchStatus.FAILED, **failed)
    result = refit("watch", "digits", "--batch")
    assert result.exit_code == 1
    assert "new.csv lacks the column 'f1'" in result.stderr.replace("\n", " ")


def test_watching_a_batch_of_a_model_without_one_says_how_to_predict_a_file(refit, live):
    result = refit("watch", "digits", "--batch")
    assert result.exit_code == 2
    assert "refit batch digits FILE" in result.stderr


def test_a_timeout_says_how_to_follow_the_batch(refit, live):
    add_batch(live, "0f1e2d3c4b5a", BatchStatus.PREDICTING, finished_at=None)
    result = refit("watch", "digits", "--batch", "--timeout", 0.05)
    assert result.exit_code == 4
    text = result.stderr.replace("\n", " ")
    assert "refit watch digits --batch --run 0f1e2d3c4b5a" in text


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_follow_it(refit, live, monkeypatch):
    from refit_cli import batches

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    add_batch(live, "0f1e2d3c4b5a", BatchStatus.PREDICTING, finished_at=None)
    monkeypatch.setattr(batches.time, "sleep", interrupt)
    result = refit("watch", "digits", "--batch")
    assert result.exit_code == 130
    text = result.stderr.replace("\n", " ")
    assert "the batch goes on" in text
    assert "refit watch digits --batch --run 0f1e2d3c4b5a" in text


def test_a_result_that_cannot_be_written_is_refused_before_the_upload(refit, live, new_csv):
    result = refit("batch", "digits", new_csv, "--output", "/nowhere/x.csv")
    assert result.exit_code == 2
    assert "there is no directory /nowhere" in result.stderr
    assert live.keys() == []


def test_status_lists_running_and_ended_batches(refit, live):
    live.add_run("digits", "3f0c9a1b2d4e", "DEPLOYED")
    add_batch(live, "0f1e2d3c4b5a", BatchStatus.SUCCEEDED, **SUCCEEDED)
    batches = json.loads(refit("status", "digits", "--json").stdout)["models"][0]["batches"]
    assert [(batch["batch"], batch["status"], batch["refused"]) for batch in batches] == [
        ("0f1e2d3c4b5a", "SUCCEEDED", 1)
    ]
    assert "new.csv" in refit("status", "digits").stdout
