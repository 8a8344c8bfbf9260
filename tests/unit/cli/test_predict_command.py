"""`refit predict`: how rows are sent, in which order answers are printed, what is rejected."""

from __future__ import annotations

import json

import pytest
import responses
from refit.domain.number_forms import NumberForm
from refit.domain.schema import Feature, Schema
from refit_cli.api import prediction_api
from refit_cli.api.model_api import ApiAccess
from refit_cli.api.prediction_api import PredictionApi
from refit_cli.rows import InputTable, numbered

from tests.support.cli import API_KEYS, API_URL, CHAMPION

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


def schema(*names: str, classes: tuple[str, ...] | None = None, **more) -> Schema:
    """Return a schema of columns of numbers, or of texts whose name begins with t."""
    features = tuple(
        Feature(name=name, type="category", values=("red",))
        if name.startswith("t")
        else Feature(name=name, type="number")
        for name in names
    )
    task = "regression" if classes is None else "classification"
    return Schema(task=task, label="y", features=features, classes=classes, **more)


DIGITS = tuple(map(str, range(250)))


@pytest.fixture
def live(stack):
    """Return a function that makes a version with a schema the live one."""

    def put(found: Schema) -> None:
        stack.set_state("digits", CHAMPION)
        stack.put("digits/runs/r1/schema.json", found.as_json())

    put(schema("a", "b", classes=DIGITS))
    return put


@pytest.fixture
def api():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def serve(api, model: Model) -> Model:
    api.add_callback(responses.POST, URL, callback=model)
    return model


def predicted_ids(rows: list[list[str]], **limits: int) -> list[str]:
    """Get predictions of the rows, and return their inference ids."""
    access = ApiAccess(API_URL, API_KEYS["predict"], "digits", retries=2, backoff_s=0.0)
    predicted = PredictionApi(access, **limits).predict(InputTable(None, numbered(rows)))
    return [row.answer["inferenceId"] for row in predicted]


def test_each_row_is_answered_by_one_line_of_json_in_order(refit, live, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"{number},9\n" for number in range(250)))
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers[7] == {
        "row": 8,
        "inferenceId": "id-7",
        "prediction": "7",
        "probabilities": {"7": 0.75},
    }
    assert [answer["prediction"] for answer in answers] == [str(number) for number in range(250)]
    assert model.requests[0].headers["x-api-key"] == API_KEYS["predict"]
    assert model.requests[0].headers["content-type"] == "text/csv"
    assert "250 rows in 2 requests" in result.stderr


def test_rows_with_names_are_sent_by_name(refit, live, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    live(schema("width", "tint", classes=DIGITS))
    rows.write_text("tint,width\nred,5\n,6\n")
    assert refit("predict", "digits", rows).exit_code == 0
    assert json.loads(model.requests[0].body) == {
        "instances": [{"width": "5", "tint": "red"}, {"width": "6", "tint": ""}]
    }


def test_for_people_each_row_is_a_line_with_its_probability(refit, live, api, tmp_path):
    serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    line = refit("predict", "digits", rows).stdout
    assert line.split() == ["1", "4", "75.00%", "id-4"]


def test_with_labels_the_accuracy_is_printed_and_the_label_is_not_sent(refit, live, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    live(schema("a", classes=DIGITS))
    rows.write_text("4,4\n5,5\n6,5\n7,7\n")
    result = refit("predict", "digits", rows, "--label", "0", "--json")
    assert "accuracy 75.00% (3 correct)" in result.stderr
    assert model.requests[0].body == b"4\n5\n5\n7"
    assert json.loads(result.stdout.splitlines()[2])["label"] == "6"


def test_for_a_regression_the_rmse_is_printed(refit, live, api, tmp_path):
    serve(api, Model(classes=False))
    live(schema("a"))
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


def test_one_row_that_is_too_large_is_rejected_by_its_number(refit, live, api, tmp_path):
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
        (200, {"predictions": []}, 1, "0 predictions for 1 row"),
    ],
)
def test_the_exit_code_names_the_cause_of_an_api_error(
    refit, live, api, tmp_path, status, body, exit_code, says
):
    api.add(responses.POST, URL, status=status, json=body)
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == exit_code
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_answers_before_a_rejected_batch_are_printed_and_the_error_names_its_rows(
    refit, live, api, tmp_path
):
    class Strict(Model):
        def __call__(self, request):
            if b"\n150" in request.body:
                error = {"code": "PayloadInvalid", "message": "instance 51: not a number"}
                return 400, {}, json.dumps({"error": error})
            return super().__call__(request)

    serve(api, Strict())
    rows = tmp_path / "rows.csv"
    live(schema("a", classes=DIGITS))
    rows.write_text("".join(f"{n}\n" for n in range(200)))
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 100
    assert "the API rejected rows 101-200" in result.stderr
    assert "counted from row 101" in result.stderr


def test_an_api_that_does_not_respond_is_not_reachable(refit, live, api, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("4,1\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == 3
    assert "does not respond" in result.stderr


def test_the_label_of_the_model_is_found_and_said(refit, live, api, tmp_path):
    model = serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("b,y,a\n9,4,4\n9,7,5\n")
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 0
    assert "'y' is the label: it is not sent" in result.stderr
    assert "accuracy 50.00% (1 correct)" in result.stderr
    assert json.loads(model.requests[0].body)["instances"][0] == {"a": "4", "b": "9"}


@pytest.mark.parametrize(
    ("labels", "classes", "answers"),
    [
        (["1.0", " 2", "01"], ("1", "2"), ["1", "2", "1"]),
        (["True", "false", "TRUE"], ("false", "true"), ["true", "false", "true"]),
        ([" <=50K", "  >50K ", "<=50K"], ("<=50K", ">50K"), ["<=50K", ">50K", "<=50K"]),
    ],
)
def test_labels_are_compared_as_classes_and_not_as_texts(
    refit, live, api, tmp_path, labels, classes, answers
):
    class Fixed(Model):
        def answer(self, first):
            return {
                "inferenceId": first,
                "prediction": answers[int(first)],
                "probabilities": {},
            } | {"probabilities": {answers[int(first)]: 1.0}}

    serve(api, Fixed())
    kind = "boolean" if "true" in classes else "number" if "1" in classes else "category"
    live(schema("a", classes=classes, label_type=kind))
    rows = tmp_path / "rows.csv"
    rows.write_text("a,y\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels)))
    result = refit("predict", "digits", rows)
    assert "accuracy 100.00% (3 correct)" in result.stderr
    assert "wrong" not in result.stdout


def test_decimal_commas_in_the_label_of_a_regression_are_numbers(refit, live, api, tmp_path):
    serve(api, Model(classes=False))
    live(schema("a", label_form=NumberForm(decimal=",")))
    rows = tmp_path / "rows.csv"
    rows.write_text("a;y\n1;1,5\n2;2,5\n3;\n")
    result = refit("predict", "digits", rows)
    assert "RMSE 0.5, 1 labels are missing or cannot be read" in result.stderr


def test_labels_of_unknown_classes_are_wrong_and_counted(refit, live, api, tmp_path):
    serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,y\n4,9,4\n5,9,999\n")
    result = refit("predict", "digits", rows)
    assert "accuracy 50.00% (1 correct), 1 labels are classes that the model has not" in (
        result.stderr
    )


def test_a_few_rows_that_cannot_be_read_are_skipped_as_in_training(refit, live, api, tmp_path):
    serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n" + "".join(f"{n},{'' if n == 7 else 1}\n" for n in range(199)) + "x,1\n")
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 199
    assert "1 of 200 rows cannot be read: line 201: column 'a'" in result.stderr


def test_many_rows_that_cannot_be_read_are_an_error(refit, live, api, tmp_path):
    serve(api, Model())
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,1\nx,1\n")
    result = refit("predict", "digits", rows, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["row"] == 1
    assert "1 of 2 rows cannot be read: line 3" in result.stderr


def test_a_model_without_a_live_version_is_named_with_what_to_do(refit, stack, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n")
    result = refit("predict", "digits", rows)
    assert result.exit_code == 2
    assert "'digits' has no live version" in result.stderr
    assert "refit put digits FILE" in result.stderr
