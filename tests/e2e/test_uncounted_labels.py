"""Labels that cannot be counted stop no others, raise an alarm, and are counted later, once."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Digits

COUNTED, UNCOUNTED = "counted", "uncounted"
ROWS = slice(300, 310)
ALARM = "CountLabelsDeadLettersAlarm"


@pytest.fixture(scope="module")
def models(user: User, digits: Digits) -> User:
    """Two live models, of which no label has been counted yet."""
    for model in (COUNTED, UNCOUNTED):
        user.drop(model, {"a.csv": digits.csv(slice(0, 300))})
    for model in (COUNTED, UNCOUNTED):
        run = user.wait_for_end(model)
        assert run["status"] == "DEPLOYED", run
    return user


@contextmanager
def unreadable_baselines(user: User, model: str) -> Iterator[None]:
    """Deny CountLabels the baselines of a model, as a mistaken policy would."""
    iam, role = user.client("iam"), user.physical_id("CountLabelsFunctionRole")
    deny = {
        "Effect": "Deny",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{user.bucket}/{model}/runs/*/baseline.json",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName="mistake", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="mistake")


def label_correctly(user: User, digits: Digits, model: str, rows: slice) -> None:
    """Request predictions, and label each; a label that comes first is held for its prediction."""
    response = user.predict(model, digits.rows(rows))
    assert response.status_code == 200, response.text
    records = [
        {"inferenceId": row["inferenceId"], "label": label}
        for row, label in zip(response.json()["predictions"], digits.texts(rows), strict=True)
    ]
    user.label(model, records)


def refit(user: User, *arguments: str) -> str:
    command = [Path(sys.executable).with_name("refit"), *arguments]
    port = ["--port", str(user.stack.port)]
    done = subprocess.run([*command, *port], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_labels_that_cannot_be_counted_stop_no_others_and_are_counted_when_the_cause_is_mended(
    models: User, digits: Digits
) -> None:
    user, sqs = models, models.client("sqs")
    queue = user.physical_id("CountLabelsDeadLetters")
    with unreadable_baselines(user, UNCOUNTED):
        label_correctly(user, digits, UNCOUNTED, slice(300, 301))
        label_correctly(user, digits, COUNTED, ROWS)
        user.wait_until_counted(COUNTED, 1, {"labelled": 10})

        def discarded() -> list[dict[str, Any]] | None:
            messages = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=1).get("Messages")
            return [json.loads(message["Body"]) for message in messages] if messages else None

        (message, *_) = wait_for(discarded, "the end of the retries", timeout_s=400)
        assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert message["requestContext"]["approximateInvokeCount"] == 21
        assert message["DDBStreamBatchInfo"]["batchSize"] == 1, "only what could not be counted"
        wait_for(lambda: user.alarm_state(ALARM) == "ALARM" or None, "the alarm")
        assert user.counters(UNCOUNTED, 1)["labelled"] == 0

    assert "1 labelled prediction of uncounted" in refit(user, "recount")
    user.wait_until_counted(UNCOUNTED, 1, {"labelled": 1})
    user.wait_until_counted(COUNTED, 1, {"labelled": 10})
    assert "nothing to count" in refit(user, "recount", UNCOUNTED)
    sqs.purge_queue(QueueUrl=queue)
