"""A request gets the image's answer: status, content type, and every byte that is the image's."""

import json
import math
import os
import pickle
import struct

import numpy as np
import pytest
from refit_local.algorithms.xgboost.xgboost_library import xgb
from xgboost_container import FIXTURES, Reply, recordings, serving

RECORDED = recordings("oracle/*/requests_*.json")
ROW = "-0.80193,-1.32436,-0.24836,0.42045,1.13605"
ANSWER = "0.15067484974861145\n"
PAGES = (404, 405, 413, 500)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_requests_get_the_recorded_answers(path):
    recording = json.loads(path.read_text())
    model = path.parent / "model"
    names = [file.name for file in model.iterdir()]
    if len(names) > 1 and names[0] != "xgboost-model-0" and "ENSEMBLE" in str(recording["env"]):
        pytest.skip("the file system lists another fold first than where this was recorded")
    with serving(model, **recording["env"]) as client:
        for case in recording["cases"]:
            reply = client.ask(
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
        # In which order a mean is added up is the file system's business.
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


@pytest.fixture
def trained(tmp_path):
    """Trains a small model and returns its folder and its booster."""

    def train(objective, labels, folds=1, **parameters):
        random = np.random.default_rng(3)
        rows = random.normal(size=(60, 3)).astype(np.float32)
        folder = tmp_path / "model"
        folder.mkdir()
        for fold in range(folds):
            booster = xgb.train(
                {"objective": objective, "seed": fold, "subsample": 0.7, **parameters},
                xgb.DMatrix(rows, label=[labels[n % len(labels)] for n in range(60)]),
                num_boost_round=3,
            )
            booster.save_model(folder / f"xgboost-model-{fold}.ubj")
        return folder, booster

    return train


def test_more_columns_than_features_are_a_bad_request(binary):
    reply = binary.ask(ROW + ",1")
    assert reply.status == 400
    assert reply.body.startswith("Unable to evaluate payload provided: ")
    assert "Number of columns does not match number of features in booster" in reply.body


@pytest.mark.parametrize("number", ["inf", "-Infinity", "1e39", "1e400"])
def test_an_infinite_number_is_unsupported(binary, number):
    reply = binary.ask(f"1,2,{number},4,5")
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
def test_what_is_not_csv_is_refused_in_the_images_words(binary, body, error):
    reply = binary.ask(body)
    assert reply.status == 415
    assert reply.body.startswith(
        f"Loading csv data failed with Exception, please ensure data is in csv format:\n {error}"
    )


@pytest.mark.parametrize(
    "body", ["\ufeff1,2,3,4,5".encode(), b"a:b", b"1,2;label_size=1", b"0x10,1,1,1,1"]
)
def test_other_odd_bodies_are_unsupported(binary, body):
    assert binary.ask(body).status == 415


@pytest.mark.parametrize(
    "same", [f" {ROW}\n\n", ROW.replace(",", ", "), ROW.replace(",", ",+0").replace("+0-", "-")]
)
def test_spaces_and_signs_do_not_matter(binary, same):
    assert binary.ask(same).body == ANSWER


def test_the_body_of_a_form_is_no_body(binary):
    reply = binary.ask(ROW, "application/x-www-form-urlencoded")
    assert (reply.status, reply.body) == (204, "")


def test_quoted_parameters_of_a_content_type_are_read(binary):
    assert binary.ask(ROW, 'text/csv; label_size="1"').status == 200
    assert binary.ask(ROW, 'text/csv; label_size="2"').status == 415


def test_a_recordio_body_is_predicted(binary):
    from recordio_writer import record, recordio

    values = [float(cell) for cell in ROW.split(",")]
    dense = recordio([record(values)] * 2)
    assert binary.ask(dense, "application/x-recordio-protobuf").body == ANSWER * 2
    sparse = recordio([record(values, [0, 1, 2, 3, 4], 5)])
    assert binary.ask(sparse, "application/x-recordio-protobuf").body == ANSWER


def test_one_based_libsvm_is_not_shifted(binary):
    shifted = " ".join(f"{number + 1}:{cell}" for number, cell in enumerate(ROW.split(",")))
    assert binary.ask(shifted, "text/libsvm").status == 400


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
def test_routes_take_their_methods_only(binary, method, path, status, allow):
    reply = binary.ask("x" * 100 if method == "POST" else "", method=method, path=path)
    assert (reply.status, reply.headers.get("Allow")) == (status, allow)


def test_a_body_above_the_limit_is_too_large():
    model = FIXTURES / "oracle" / "binary_logistic" / "model"
    with serving(model, MAX_CONTENT_LENGTH="100") as client:
        assert client.ask(ROW).status == 200
        assert client.ask("1" * 101).status == 413
        parameters = client.ask(method="GET", path="/execution-parameters").body
        assert json.loads(parameters)["MaxPayloadInMB"] == 0
    with serving(model, MAX_CONTENT_LENGTH="999999999") as client:
        parameters = client.ask(method="GET", path="/execution-parameters").body
        assert json.loads(parameters)["MaxPayloadInMB"] == 20


def test_code_in_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    model = tmp_path / "model"
    model.mkdir()
    (model / "xgboost-model").write_bytes(pickle.dumps(Trap()))
    with serving(model) as client:
        assert client.ask(method="GET", path="/ping").status == 500
        reply = client.ask(ROW)
    assert reply.status == 500
    assert reply.body.startswith("Unable to load model: ")
    assert not (tmp_path / "ran").exists()


def test_an_empty_model_folder_fails_the_health_check_until_a_model_comes(tmp_path, trained):
    with serving(tmp_path / "model") as client:
        assert client.ask(method="GET", path="/ping").status == 500
        trained("reg:squarederror", [0, 1])
        assert client.ask(method="GET", path="/ping").status == 200
        assert client.ask("1,2,3").status == 200


def test_files_that_start_with_a_dot_are_no_models(trained):
    folder, _ = trained("reg:squarederror", [0, 1])
    (folder / ".DS_Store").write_bytes(b"junk")
    with serving(folder) as client:
        assert client.ask("1,2,3").status == 200


@pytest.mark.filterwarnings("ignore::UserWarning")  # XGBoost's, on parameters it does not use
@pytest.mark.parametrize(
    ("objective", "labels", "parameters"),
    [
        ("reg:squarederror", [0.5, 1, 2], {}),
        ("reg:tweedie", [0.5, 1, 2], {}),
        ("count:poisson", [0, 1, 2], {}),
        ("binary:logitraw", [0, 1], {}),
        ("binary:hinge", [0, 1], {}),
        ("multi:softmax", [0, 1, 2], {"num_class": 3}),
        ("multi:softprob", [0, 1, 2], {"num_class": 3}),
        ("rank:pairwise", [0, 1], {}),
        ("survival:cox", [1, 2], {}),
        ("binary:logistic", [0, 1], {"booster": "dart", "rate_drop": 0.5}),
        ("reg:squarederror", [0, 1], {"booster": "gblinear"}),
        ("reg:squarederror", [0, 1], {"num_parallel_tree": 4}),
    ],
)
def test_any_model_answers_as_xgboost_predicts(trained, objective, labels, parameters):
    folder, booster = trained(objective, labels, **parameters)
    rows = np.random.default_rng(9).normal(size=(40, 3)).round(3)
    rows[3, 1] = np.nan
    expected = booster.predict(xgb.DMatrix(rows))
    body = "\n".join(
        ",".join("" if math.isnan(cell) else repr(cell) for cell in row.tolist()) for row in rows
    )
    with serving(folder) as client:
        lines = client.ask(body).body.splitlines()
    answered = [[float(cell) for cell in line.split(",")] for line in lines]
    assert np.array_equal(np.array(answered, np.float32), expected.reshape(40, -1))


@pytest.mark.parametrize(
    ("objective", "labels", "parameters", "line"),
    [
        ("binary:hinge", [1], {"base_score": 0.5}, '1.0,"[0, 1]",nan,nan,1.0,"[0.0, 1.0]",nan'),
        (
            "multi:softmax",
            [2],
            {"num_class": 3},
            '2.0,"[0, 1, 2]",nan,nan,2.0,"[-1.0, 2.0]",nan',
        ),
    ],
)
def test_selected_keys_of_classes(trained, objective, labels, parameters, line):
    folder, _ = trained(objective, labels, **parameters)
    keys = "predicted_label, labels,probability,probabilities,raw_score,raw_scores,predicted_score"
    with serving(folder, SAGEMAKER_INFERENCE_OUTPUT=keys) as client:
        assert client.ask("1,2,3").body == line
        assert client.ask("1,2,3", accept="application/xml").status == 406


def test_selected_keys_travel_as_recordio(trained):
    folder, booster = trained("binary:logistic", [0, 1])
    score = booster.predict(xgb.DMatrix(np.array([[1.0, 2.0, 3.0]])))[0]
    with serving(folder, SAGEMAKER_INFERENCE_OUTPUT="probability") as client:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", client.port)
        headers = {"Content-Type": "text/csv", "Accept": "application/x-recordio-protobuf"}
        connection.request("POST", "/invocations", "1,2,3", headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
    assert response.getheader("Content-Type") == "application/x-recordio-protobuf"
    magic, length = struct.unpack_from("<II", content)
    assert magic == 0xCED7230A
    assert content[8 : 8 + length].endswith(b"\n\x04" + struct.pack("<f", score))
    assert b"probability" in content


def test_selected_keys_of_another_objective_are_an_error(trained):
    folder, _ = trained("count:poisson", [0, 1])
    with serving(folder, SAGEMAKER_INFERENCE_OUTPUT="predicted_score") as client:
        reply = client.ask("1,2,3")
    assert reply.status == 500
    assert reply.body == (
        "Objective `count:poisson` unsupported for selectable inference predictions."
    )


@pytest.mark.parametrize("objective", ["multi:softmax", "binary:hinge"])
def test_a_vote_of_several_models_fails_as_in_the_image(trained, objective):
    parameters = {"num_class": 2} if objective == "multi:softmax" else {}
    folder, _ = trained(objective, [0, 1], folds=2, **parameters)
    with serving(folder) as client:
        assert client.ask("1,2,3").status == 500
        assert client.ask(method="GET", path="/ping").status == 200
    with serving(folder, SAGEMAKER_INFERENCE_ENSEMBLE="false") as client:
        assert client.ask("1,2,3").status == 200
