"""The model server loads and combines models as the image does, but never unpickles them."""

import math
import os
import pickle
import struct

import numpy as np
import pytest
from refit_local.algorithms.xgboost.xgboost_library import xgb
from xgboost_container import serving

ROW = "-0.80193,-1.32436,-0.24836,0.42045,1.13605"


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


def test_a_pickled_model_is_refused_and_its_code_never_runs(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    model = tmp_path / "model"
    model.mkdir()
    (model / "xgboost-model").write_bytes(pickle.dumps(Trap()))
    with serving(model) as client:
        assert client.send(method="GET", path="/ping").status == 500
        reply = client.send(ROW)
    assert reply.status == 500
    assert reply.body.startswith("Unable to load model: ")
    assert not (tmp_path / "ran").exists()


def test_an_empty_model_folder_fails_the_health_check_until_a_model_is_added(tmp_path, trained):
    with serving(tmp_path / "model") as client:
        assert client.send(method="GET", path="/ping").status == 500
        trained("reg:squarederror", [0, 1])
        assert client.send(method="GET", path="/ping").status == 200
        assert client.send("1,2,3").status == 200


def test_hidden_files_in_the_model_folder_are_ignored(trained):
    folder, _ = trained("reg:squarederror", [0, 1])
    (folder / ".DS_Store").write_bytes(b"junk")
    with serving(folder) as client:
        assert client.send("1,2,3").status == 200


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # XGBoost warns about parameters that the booster ignores
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
def test_any_model_responds_with_the_predictions_of_xgboost(trained, objective, labels, parameters):
    folder, booster = trained(objective, labels, **parameters)
    rows = np.random.default_rng(9).normal(size=(40, 3)).round(3)
    rows[3, 1] = np.nan
    expected = booster.predict(xgb.DMatrix(rows))
    body = "\n".join(
        ",".join("" if math.isnan(cell) else repr(cell) for cell in row.tolist()) for row in rows
    )
    with serving(folder) as client:
        lines = client.send(body).body.splitlines()
    predicted = [[float(cell) for cell in line.split(",")] for line in lines]
    assert np.array_equal(np.array(predicted, np.float32), expected.reshape(40, -1))


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
def test_selected_keys_of_a_model_that_predicts_classes(
    trained, objective, labels, parameters, line
):
    folder, _ = trained(objective, labels, **parameters)
    keys = "predicted_label, labels,probability,probabilities,raw_score,raw_scores,predicted_score"
    with serving(folder, SAGEMAKER_INFERENCE_OUTPUT=keys) as client:
        assert client.send("1,2,3").body == line
        assert client.send("1,2,3", accept="application/xml").status == 406


def test_selected_keys_are_encoded_as_recordio(trained):
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


def test_selected_keys_of_an_objective_without_keys_are_an_error(trained):
    folder, _ = trained("count:poisson", [0, 1])
    with serving(folder, SAGEMAKER_INFERENCE_OUTPUT="predicted_score") as client:
        reply = client.send("1,2,3")
    assert reply.status == 500
    assert reply.body == (
        "Objective `count:poisson` unsupported for selectable inference predictions."
    )


@pytest.mark.parametrize("objective", ["multi:softmax", "binary:hinge"])
def test_combining_the_classes_of_several_models_fails_as_in_the_image(trained, objective):
    parameters = {"num_class": 2} if objective == "multi:softmax" else {}
    folder, _ = trained(objective, [0, 1], folds=2, **parameters)
    with serving(folder) as client:
        assert client.send("1,2,3").status == 500
        assert client.send(method="GET", path="/ping").status == 200
    with serving(folder, SAGEMAKER_INFERENCE_ENSEMBLE="false") as client:
        assert client.send("1,2,3").status == 200
