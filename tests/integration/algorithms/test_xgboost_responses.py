"""Responses of the model server are those of the image: status, content type and body."""

import json
import os

import pytest
from xgboost_container import FIXTURES, Reply, recordings, serving

RECORDED = recordings("oracle/*/requests_*.json")
ROW = "-0.80193,-1.32436,-0.24836,0.42045,1.13605"
RESPONSE = "0.15067484974861145\n"
PAGES = (404, 405, 413, 500)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_requests_get_the_recorded_responses(path):
    recording = json.loads(path.read_text())
    model = path.parent / "model"
    names = [file.name for file in model.iterdir()]
    if len(names) > 1 and names[0] != "xgboost-model-0" and "ENSEMBLE" in str(recording["env"]):
        pytest.skip("the file system lists another fold first than where this was recorded")
    with serving(model, **recording["env"]) as client:
        for case in recording["cases"]:
            reply = client.send(
                case.get("body") or "",
                case.get("ct"),
                case.get("accept"),
                method=case.get("method", "POST"),
                path=case.get("path", "/invocations"),
            )
            check(reply, case, is_mean=len(names) > 1)


def check(reply: Reply, case, *, is_mean: bool) -> None:
    assert reply.status == case["status"], (case, reply)
    if reply.status in PAGES:
        return
    assert reply.content_type == case["content_type"], case
    if case.get("path") == "/execution-parameters":
        recorded = json.loads(case["response"]) | {"MaxConcurrentTransforms": os.cpu_count()}
        assert json.loads(reply.body) == recorded
    elif is_mean and reply.status == 200:
        # The file system decides over the order of the models, and so over the last digits.
        assert numbers(reply.body) == pytest.approx(
            numbers(case["response"]), rel=1e-6, nan_ok=True
        )
    elif reply.content_type.startswith("application/json"):
        assert parsed(reply.body) == parsed(case["response"]), case
    else:
        assert reply.body == case["response"], case


def parsed(body: str) -> list[str]:
    return [json.dumps(json.loads(line), sort_keys=True) for line in body.splitlines()]


def numbers(body: str) -> list[float]:
    letters = str.maketrans({character: " " for character in '{}[],":'})
    words = [word for line in body.splitlines() for word in line.translate(letters).split()]
    return sorted(float(word) for word in words if not word.replace("_", "").isalpha())


@pytest.fixture(scope="module")
def binary():
    with serving(FIXTURES / "oracle" / "binary_logistic" / "model") as client:
        yield client


def test_more_columns_than_features_are_a_bad_request(binary):
    reply = binary.send(ROW + ",1")
    assert reply.status == 400
    assert reply.body.startswith("Unable to evaluate payload provided: ")
    assert "Number of columns does not match number of features in booster" in reply.body


@pytest.mark.parametrize("number", ["inf", "-Infinity", "1e39", "1e400"])
def test_an_infinite_number_is_an_unsupported_body(binary, number):
    reply = binary.send(f"1,2,{number},4,5")
    assert reply.status == 415
    assert reply.body.startswith(
        "Loading csv data failed with Exception, please ensure data is in csv format:\n "
        "<class 'xgboost.core.XGBoostError'>\n "
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"\n", "<class '_csv.Error'>\n Could not determine delimiter"),
        (b"1,2\xff", "<class 'UnicodeDecodeError'>\n 'utf-8' codec can't decode byte 0xff"),
        (b"1,2\n\n3,4", "<class 'ValueError'>\n setting an array element with a sequence."),
        (b'"1","2"', "<class 'ValueError'>\n could not convert string to float: np.str_('\"1\"')"),
        (b"1,2-3", "<class 'ValueError'>\n could not convert string to float: np.str_('2-3')"),
    ],
)
def test_an_invalid_csv_body_is_refused_with_the_message_of_the_image(binary, body, error):
    reply = binary.send(body)
    assert reply.status == 415
    assert reply.body.startswith(
        f"Loading csv data failed with Exception, please ensure data is in csv format:\n {error}"
    )


@pytest.mark.parametrize(
    "body", ["\ufeff1,2,3,4,5".encode(), b"a:b", b"1,2;label_size=1", b"0x10,1,1,1,1"]
)
def test_other_invalid_bodies_are_refused(binary, body):
    assert binary.send(body).status == 415


@pytest.mark.parametrize(
    "same", [f" {ROW}\n\n", ROW.replace(",", ", "), ROW.replace(",", ",+0").replace("+0-", "-")]
)
def test_spaces_and_plus_signs_do_not_change_the_prediction(binary, same):
    assert binary.send(same).body == RESPONSE


def test_the_body_of_an_html_form_is_ignored(binary):
    reply = binary.send(ROW, "application/x-www-form-urlencoded")
    assert (reply.status, reply.body) == (204, "")


def test_quoted_parameters_of_a_content_type_are_parsed(binary):
    assert binary.send(ROW, 'text/csv; label_size="1"').status == 200
    assert binary.send(ROW, 'text/csv; label_size="2"').status == 415


def test_a_recordio_body_is_predicted(binary):
    from recordio_writer import record, recordio

    values = [float(cell) for cell in ROW.split(",")]
    dense = recordio([record(values)] * 2)
    assert binary.send(dense, "application/x-recordio-protobuf").body == RESPONSE * 2
    sparse = recordio([record(values, [0, 1, 2, 3, 4], 5)])
    assert binary.send(sparse, "application/x-recordio-protobuf").body == RESPONSE


def test_one_based_libsvm_indexes_are_not_shifted(binary):
    shifted = " ".join(f"{number + 1}:{cell}" for number, cell in enumerate(ROW.split(",")))
    assert binary.send(shifted, "text/libsvm").status == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/ping", 200, None),
        ("POST", "/ping", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/invocations", 200, "POST, OPTIONS"),
        ("PUT", "/invocations", 405, "POST, OPTIONS"),
        ("GET", "/ping?x=1", 200, None),
        ("GET", "/ping/", 404, None),
        ("POST", "/models", 404, None),
    ],
)
def test_each_path_accepts_only_its_methods(binary, method, path, status, allow):
    reply = binary.send("x" * 100 if method == "POST" else "", method=method, path=path)
    assert (reply.status, reply.headers.get("Allow")) == (status, allow)


def test_a_body_above_the_limit_is_refused():
    model = FIXTURES / "oracle" / "binary_logistic" / "model"
    with serving(model, MAX_CONTENT_LENGTH="100") as client:
        assert client.send(ROW).status == 200
        assert client.send("1" * 101).status == 413
        parameters = client.send(method="GET", path="/execution-parameters").body
        assert json.loads(parameters)["MaxPayloadInMB"] == 0
    with serving(model, MAX_CONTENT_LENGTH="999999999") as client:
        parameters = client.send(method="GET", path="/execution-parameters").body
        assert json.loads(parameters)["MaxPayloadInMB"] == 20
