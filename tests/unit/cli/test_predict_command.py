"""`refit predict`: how rows are sent, in which order answers are printed, what is rejected."""

from __future__ import annotations

import json

import pytest
import responses
from refit_cli.api import prediction_api
from refit_cli.api.model_api import ApiAccess
from refit_cli.api.prediction_api import PredictionApi
from refit_cli.rows import InputTable, numbered

from tests.support.cli import API_KEY, API_URL

URL = f"{API_URL}/models/digits/predictions"


class Model:
    """An API that answers each row with its first cell, and keeps what it was asked."""

    def __init__(self, most_rows: int = 10**9, classes: bool = True) -> None:
        self.most_rows = most_rows
        self.classes = classes
        self.sizes: list[int] = []
        self.requests: list = []

    def __call__(self, request):
        self.requests.append(request)
        body = request.body.decode()
        if request.headers["content-type"] == "application/json":
            firsts = [next(iter(row.values())) for row in json.loads(body)["instances"]]
        else:
            firsts = [line.partition(",")[0] for line in body.splitlines()]
        self.sizes.append(len(firsts))
        if len(firsts) > self.most_rows:
            error = {"code": "PayloadTooLarge", "message": f"at most {self.most_rows} rows"}
            return 413, {}, json.dumps({"error": error})
        return (
            200,
            {},
            json.dumps(
                {
                    "model": "digits",
                    "modelVersion": 3,
                    "predictions": list(map(self.answer, firsts)),
                }
            ),
        )

    def answer(self, first: str) -> dict:
        if not self.classes:
            return {"inferenceId": f"id-{first}", "prediction": float(first)}
        return {"inferenceId": f"id-{first}", "prediction": first, "probabilities": {first: 0.75}}


@pytest.fixture
def api():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def serve(api, model: Model) -> Model:
    api.add_callback(responses.POST, URL, callback=model)
    return model


def predicted_ids(rows: list[list[str]], **limits: int) -> list[str]:
    """Get predictions of the rows, and return their inference ids."""
    access = ApiAccess(API_URL, API_KEY, "digits", retries=2, backoff_s=0.0)
    predicted = PredictionApi(access, **limits).predict(InputTable(None, numbered(rows)))
    return [row.answer["inferenceId"] for row in predicted]


def test_each_row_is_answered_by_one_line_of_json_in_order(refit, stack, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"{number},9\n" for number in range(250)))
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers[7] == {"inferenceId": "id-7", "prediction": "7", "probabilities": {"7": 0.75}}
    assert [answer["prediction"] for answer in answers] == [str(number) for number in range(250)]
    assert model.requests[0].headers["x-api-key"] == API_KEY
    assert model.requests[0].headers["content-type"] == "text/csv"
    assert "250 rows in 2 requests" in result.stderr


def test_rows_with_names_are_sent_by_name(refit, stack, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("width,colour\n5,red\n6,\n")
    assert refit("predict", "digits", rows, "--header", "yes").exit_code == 0
    assert json.loads(model.requests[0].body) == {
        "instances": [{"width": "5", "colour": "red"}, {"width": "6", "colour": ""}]
    }


def test_for_people_each_row_is_a_line_with_its_probability(refit, stack, api, tmp_path):
    serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    line = refit("predict", "digits", rows).stdout
    assert line.split() == ["1", "4", "75.00%", "id-4"]


def test_with_labels_the_accuracy_is_printed_and_the_label_is_not_sent(refit, stack, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("4,4\n5,5\n6,5\n7,7\n")
    result = refit("predict", "digits", rows, "--label", "0", "--json")
    assert "accuracy 75.00% (3 correct)" in result.stderr
    assert model.requests[0].body == b"4\n5\n5\n7"
    assert json.loads(result.stdout.splitlines()[2])["label"] == "6"


def test_for_a_regression_the_rmse_is_printed(refit, stack, api, tmp_path):
    serve(api, Model(classes=False))
    rows = tmp_path / "rows.csv"
    rows.write_text("1,4\n5,5\n")
    assert "RMSE 2.1213" in refit("predict", "digits", rows, "--label", "0").stderr


def test_many_rows_are_sent_in_requests_below_the_size_limit(api):
    model = serve(api, Model())
    rows = [[str(number), "1" * 90] for number in range(1_000)]
    assert predicted_ids(rows, request_bytes=2_000) == [f"id-{number}" for number in range(1_000)]
    assert max(len(request.body) for request in model.requests) <= 2_000
    assert len(model.requests) < 70


def test_the_size_of_the_first_response_limits_the_rows_of_later_requests(api):
    model = serve(api, Model())
    rows = [[str(number)] for number in range(2_000)]
    assert len(predicted_ids(rows, response_bytes=20_000)) == 2_000
    assert model.sizes[0] == prediction_api.FIRST_CALL_ROWS
    answer_bytes = len(json.dumps(model.answer("1999")))
    assert 100 < max(model.sizes) <= 20_000 / (answer_bytes - 20)


def test_a_batch_rejected_as_too_large_is_halved_until_it_fits(api):
    model = serve(api, Model(most_rows=30))
    assert predicted_ids([[str(number)] for number in range(500)]) == [
        f"id-{n}" for n in range(500)
    ]
    assert model.sizes[:3] == [100, 50, 25]


def test_one_row_that_is_too_large_is_rejected_by_its_number(refit, stack, api, tmp_path):
    serve(api, Model(most_rows=0))
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == 2
    assert "one request cannot carry row 1" in result.stderr


@pytest.mark.parametrize("status", [429, 503])
def test_a_temporary_error_is_retried(api, status):
    model = Model()
    api.add(responses.POST, URL, status=status, headers={"Retry-After": "0"})
    serve(api, model)
    assert predicted_ids([["1"]]) == ["id-1"]


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "says"),
    [
        (400, {"error": {"code": "PayloadInvalid", "message": "instance 1: NaN"}}, 2, "NaN"),
        (404, {"error": {"code": "ModelNotFound", "message": "no such model"}}, 2, "no such"),
        (403, {"message": "Forbidden"}, 3, "Forbidden"),
        (503, {"error": {"code": "EndpointNotReady", "message": "wait"}}, 3, "not ready"),
        (500, {"message": "Internal server error"}, 1, "HTTP 500"),
        (200, {"unexpected": 1}, 1, "no list 'predictions'"),
        (200, {"predictions": []}, 1, "0 predictions for 1 rows"),
    ],
)
def test_the_exit_code_names_the_cause_of_an_api_error(
    refit, stack, api, tmp_path, status, body, exit_code, says
):
    api.add(responses.POST, URL, status=status, json=body)
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == exit_code
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_answers_before_a_rejected_batch_are_printed_and_the_error_names_its_rows(
    refit, stack, api, tmp_path
):
    class Strict(Model):
        def __call__(self, request):
            if b"bad" in request.body:
                error = {"code": "PayloadInvalid", "message": "instance 51: not a number"}
                return 400, {}, json.dumps({"error": error})
            return super().__call__(request)

    serve(api, Strict())
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"{'bad' if n == 150 else n}\n" for n in range(200)))
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 100
    assert "the API rejected rows 101-200" in result.stderr
    assert "counted from row 101" in result.stderr


def test_an_api_that_does_not_respond_is_not_reachable(refit, stack, api, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == 3
    assert "does not respond" in result.stderr
