"""`refit label`: what is sent, what is printed, and the exit code of each failure."""

from __future__ import annotations

import gzip
import json

import pytest
import responses
from refit_cli.api.ground_truth_api import GroundTruthApi
from refit_cli.api.model_api import ApiAccess

from tests.support.cli import API_KEYS, API_URL

URL = f"{API_URL}/models/digits/ground-truth"


class Model:
    """An API that takes every label but `x`, holds those of ids that begin with h, and remembers.

    After `breaks_after` records it answers 500.
    """

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.requests: list = []
        self.records: list[dict] = []
        self.known: dict[str, object] = {}
        self.breaks_after = breaks_after

    def __call__(self, request):
        self.requests.append(request)
        labels = json.loads(request.body)["labels"]
        if len(self.records) + len(labels) > self.breaks_after:
            return 500, {}, json.dumps({"message": "Internal server error"})
        self.records += labels
        results = [self.result(**label) for label in labels]
        return 202, {}, json.dumps({"model": "digits", "results": results, "counts": {}})

    def result(self, inferenceId, label, observedAt=None):
        if label == "x":
            reason = "unknown class 'x'; known: '0', '1'"
            return {"inferenceId": inferenceId, "status": "rejected", "reason": reason}
        before = self.known.setdefault(inferenceId, label)
        if inferenceId.startswith("h"):
            return {"inferenceId": inferenceId, "status": "held"}
        status = "new" if label is before else "repeat" if label == before else "corrected"
        return {"inferenceId": inferenceId, "status": status}


@pytest.fixture
def api():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def model(api):
    found = Model()
    api.add_callback(responses.POST, URL, callback=found)
    return found


@pytest.fixture
def label(refit, stack, tmp_path):
    """Write a file and label with it."""

    def run(content, *options, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return refit("label", "digits", path, *options)

    return run


def test_the_labels_of_a_file_are_sent_and_counted_by_status(label, model):
    result = label("a,1\nb,0,2026-11-20T10:00:00Z\nh1,1\n")
    assert result.exit_code == 0
    assert model.records == [
        {"inferenceId": "a", "label": "1"},
        {"inferenceId": "b", "label": "0", "observedAt": "2026-11-20T10:00:00Z"},
        {"inferenceId": "h1", "label": "1"},
    ]
    assert model.requests[0].headers["x-api-key"] == API_KEYS["label"]
    assert [line.split() for line in result.stdout.splitlines()] == [["new", "2"], ["held", "1"]]


def test_json_lines_keep_the_type_of_their_labels(label, model):
    lines = '{"inferenceId": "a", "label": 1}\n{"inferenceId": "b", "label": true}\n'
    assert label(gzip.compress(lines.encode()), name="labels.jsonl.gz").exit_code == 0
    assert [record["label"] for record in model.records] == [1, True]


def test_labels_can_come_from_stdin(refit, stack, model):
    assert refit("label", "digits", "-", input="a,1\n").exit_code == 0
    assert model.records == [{"inferenceId": "a", "label": "1"}]


def test_labels_are_sent_500_per_request_one_request_after_the_other(label, model):
    assert label("".join(f"id-{n},1\n" for n in range(1_001))).exit_code == 0
    sizes = [len(json.loads(request.body)["labels"]) for request in model.requests]
    assert sizes == [500, 500, 1]
    assert [record["inferenceId"] for record in model.records] == [f"id-{n}" for n in range(1_001)]


def test_with_json_each_record_is_a_line_in_order_with_its_line_number(label, model):
    result = label("a,1\nbroken\n\na,0\nb,x\n", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["line"], line["status"]) for line in lines] == [
        (1, "new"),
        (2, "rejected"),
        (4, "corrected"),
        (5, "rejected"),
    ]
    assert lines[3]["inferenceId"] == "b"
    assert "unknown class" in lines[3]["reason"]
    assert "1 new, 1 corrected, 2 rejected" in result.stderr


def test_rejected_labels_are_a_failure_and_the_first_reasons_are_printed(label, model):
    result = label("a,1\nb\n" + "c,x\n" * 9)
    assert result.exit_code == 1
    assert "line 2: the line has 1 cells, not 2 or 3" in result.stderr
    assert "line 3: unknown class 'x'; known: '0', '1'" in result.stderr
    assert "line 6" in result.stderr
    assert "line 7" not in result.stderr
    assert "10 of 11 labels were rejected" in result.stderr
    assert len(model.records) == 10


def test_a_list_of_labels_for_an_event_is_rejected_because_only_the_bucket_route_checks_its_length(
    label, model
):
    record = {
        "groundTruthData": {"data": "1,0", "encoding": "CSV"},
        "eventMetadata": {"eventId": "order"},
        "eventVersion": "0",
    }
    one = record | {"groundTruthData": {"data": "1", "encoding": "CSV"}}
    result = label(f"{json.dumps(record)}\n{json.dumps(one)}\n", name="labels.jsonl")
    assert result.exit_code == 1
    assert "below MODEL/ground-truth/" in result.stderr
    assert model.records == [{"inferenceId": "order", "label": "1"}]


def test_a_number_that_json_lacks_is_sent_as_its_name(label, model):
    assert label('{"inferenceId": "a", "label": 1e999}', name="labels.jsonl").exit_code == 0
    assert model.records[0]["label"] == "inf"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "labels.csv contains no labels"),
        ("inferenceId,label\n", "labels.csv contains no labels"),
        ("inferenceId,truth\na,1\n", "has no line that is a label"),
        (b"PAR1\x15\x04", "has no line that is a label"),
    ],
)
def test_a_file_without_labels_is_bad_input_and_nothing_is_sent(label, model, content, says):
    result = label(content)
    assert result.exit_code == 2
    assert says in result.stderr
    assert model.requests == []


def test_a_header_without_the_needed_columns_is_reported(label, model):
    assert "unknown column 'truth': a header must name" in label("inferenceId,truth\na,1\n").stderr


@pytest.mark.parametrize("where", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_bad_input(refit, stack, model, where, tmp_path):
    result = refit("label", "digits", tmp_path / where)
    assert result.exit_code == 2
    assert "there is no file" in result.stderr or "cannot be read" in result.stderr


def test_a_bad_model_name_is_bad_input(refit, stack, model, tmp_path):
    assert refit("label", "Digits", tmp_path / "labels.csv").exit_code == 2


def test_without_a_stack_the_exit_code_is_not_reachable(refit, tmp_path):
    (tmp_path / "labels.csv").write_text("a,1\n")
    result = refit("label", "digits", tmp_path / "labels.csv")
    assert result.exit_code == 3
    assert "refit up" in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "says"),
    [
        (404, {"error": {"code": "ModelNotFound", "message": "no model"}}, 2, "no model"),
        (403, {"message": "Forbidden"}, 3, "Forbidden"),
        (503, {"error": {"code": "ServiceThrottled", "message": "slow down"}}, 3, "slow down"),
        (500, {"message": "Internal server error"}, 1, "HTTP 500"),
        (202, {"unexpected": 1}, 1, "no list 'results'"),
        (202, {"results": []}, 1, "0 results for 1 label"),
    ],
)
def test_the_exit_code_names_the_cause_of_an_api_error(label, api, status, body, exit_code, says):
    api.add(responses.POST, URL, status=status, json=body)
    result = label("a,1\n")
    assert result.exit_code == exit_code
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_temporary_error_is_retried(api):
    api.add(responses.POST, URL, status=503, headers={"Retry-After": "0"})
    found = Model()
    api.add_callback(responses.POST, URL, callback=found)
    sender = GroundTruthApi(ApiAccess(API_URL, API_KEYS["label"], "digits", backoff_s=0.0))
    assert sender.send([{"inferenceId": "a", "label": 1}]) == [
        {"inferenceId": "a", "status": "new"}
    ]
    assert sender.calls == 1


def test_a_failure_in_between_still_prints_what_was_accepted(label, api):
    api.add_callback(responses.POST, URL, callback=Model(breaks_after=500))
    result = label("".join(f"id-{n},1\n" for n in range(501)))
    assert result.exit_code == 1
    assert result.stdout.split() == ["new", "500"]
    assert "HTTP 500" in result.stderr


def test_ctrl_c_still_prints_what_was_accepted(label, api):
    class Interrupted(Model):
        def __call__(self, request):
            if self.records:
                raise KeyboardInterrupt
            return super().__call__(request)

    api.add_callback(responses.POST, URL, callback=Interrupted())
    result = label("".join(f"id-{n},1\n" for n in range(501)))
    assert result.exit_code == 130
    assert result.stdout.split() == ["new", "500"]
