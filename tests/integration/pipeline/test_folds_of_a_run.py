"""Prepare writes the folds, their jobs are planned, packed and measured."""

from __future__ import annotations

import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from refit.domain.errors import DatasetInvalid, EnsembleNotPacked, EvaluationIncomplete
from refit.domain.pipeline.algorithms import AnswerForm
from refit.handlers import evaluate, gate, pack_ensemble, plan_evaluation, plan_folds
from refit.handlers.wiring import services
from refit.usecases import evaluate_folds, write_folds
from refit_local.sagemaker.integration_fields import unsupported_fields

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.model_files import archive_of, manifest, trained_model
from tests.support.prepare_runs import RUN, csv_table, drop_files, prepare_run
from tests.support.sagemaker_requests import assert_valid_request

FOLDS = 3
SETTINGS = f"[training]\nfolds = {FOLDS}\nfolds_at_a_time = 2\n"
MEBIBYTE = 1024**2


def prepared(stack: Stack, settings: str = SETTINGS) -> None:
    stack.put("digits/model.toml", settings)
    drop_files(stack, {"drop.csv": csv_table(600)})
    prepare_run()


def test_the_files_of_a_fold_hold_its_own_rows_and_those_of_the_others(stack: Stack) -> None:
    prepared(stack)
    train = Counter(stack.read(f"{RUN.train}train.csv").splitlines())
    for fold in range(FOLDS):
        features = stack.read(f"{RUN.fold_input(fold)}rows.csv").splitlines()
        labels = stack.read(RUN.fold_labels(fold)).splitlines()
        held_out = Counter(b",".join(pair) for pair in zip(labels, features, strict=True))
        others = Counter(stack.read(f"{RUN.fold_train(fold)}train.csv").splitlines())
        assert held_out + others == train
        assert sum(held_out.values()) == pytest.approx(sum(train.values()) / FOLDS, abs=2)


def test_with_folds_costs_need_no_validation_rows(stack: Stack) -> None:
    settings = "[data]\nvalidation_fraction = 0.0\n[prediction]\n"
    settings += "costs = { false_positive = 1, false_negative = 2 }\n"
    stack.put("digits/model.toml", SETTINGS + settings)
    drop_files(stack, {"drop.csv": csv_table(300, classes=("0", "1"))})
    prepare_run()
    assert stack.read(RUN.fold_labels(0))


def test_folds_that_are_too_large_together_are_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_folds, "MAX_FOLD_BYTES", 15_000)
    with pytest.raises(DatasetInvalid, match=r"folds = 3: .* Set \[training\] folds to at most 2"):
        prepared(stack)


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run(RUN.model, RUN.run, "drop", None)
    stack.put(RUN.manifest, manifest(RUN.run, SETTINGS))
    stack.put(*trained_model(RUN.run))
    return stack


def test_the_jobs_of_a_fold_are_valid_requests_for_its_files(active: Stack) -> None:
    planned = plan_folds.handler(sample("plan_folds"), CONTEXT)
    assert planned["at_a_time"] == 2
    assert len(planned["items"]) == FOLDS
    job = sample("plan_folds")["job"]["request"]
    for number, fold in enumerate(planned["items"]):
        train = fold["train"] | {"TrainingJobName": f"{fold['stem']}-0"}
        assert_valid_request("CreateTrainingJob", train)
        assert not unsupported_fields("createTrainingJob", train)
        uris = {
            channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
            for channel in train["InputDataConfig"]
        }
        assert uris["train"].endswith(f"/folds/{number}/train/")
        assert uris["validation"].endswith("/validation/"), "the rows of the fold decide nothing"
        assert fold["train"] | {"InputDataConfig": job["InputDataConfig"]} == job
        predict = fold["predict"] | {"TransformJobName": "t", "ModelName": "m"}
        assert_valid_request("CreateTransformJob", predict)
        assert not unsupported_fields("createTransformJob", predict)


def test_folds_have_the_hyperparameters_of_the_job_that_was_trained(active: Stack) -> None:
    class Tuned:
        def describe_training_job(self, TrainingJobName: str) -> dict[str, object]:
            assert TrainingJobName == "refit-digits-t-001"
            tuned = {"eta": "0.05", "_tuning_objective_metric": "validation:mlogloss"}
            return {"HyperParameters": tuned}

    active.replace_clients(sagemaker=Tuned())
    training = {"name": "refit-digits-t-001", "image": "i", "artifacts": "s3://b/m.tar.gz"}
    planned = plan_folds.handler(sample("plan_folds") | {"training": training}, CONTEXT)
    assert [fold["train"]["HyperParameters"] for fold in planned["items"]] == [
        {"eta": "0.05"}
    ] * FOLDS


def put_models(stack: Stack, *archives: bytes) -> dict[str, object]:
    """Store the models of folds; return the event of PackEnsemble."""
    uris = []
    for number, content in enumerate(archives):
        key = f"{RUN.training_output}f{number}/output/model.tar.gz"
        stack.put(key, content)
        uris.append(f"s3://{stack.bucket}/{key}")
    return sample("pack_ensemble") | {"artifacts": uris}


def test_the_models_of_the_folds_become_one_archive(stack: Stack) -> None:
    noise = np.random.default_rng(1).bytes(9 * MEBIBYTE)  # more than one part of an upload
    event = put_models(
        stack, archive_of({"xgboost-model": b"first"}), archive_of({"xgboost-model": noise})
    )
    ensemble = pack_ensemble.handler(event, CONTEXT)
    assert ensemble["name"] == "refit-digits-0f1e2d3c4b5a-ensemble"
    assert ensemble["environment"] == {"SAGEMAKER_INFERENCE_ENSEMBLE": "true"}
    key = ensemble["artifacts"].removeprefix(f"s3://{stack.bucket}/")
    with tarfile.open(fileobj=io.BytesIO(stack.read(key))) as packed:
        assert packed.getnames() == ["xgboost-model-0", "xgboost-model-1"]
        contents = [packed.extractfile(name) for name in packed.getnames()]
        assert [file.read() for file in contents if file] == [b"first", noise]
    first = stack.read(key)
    pack_ensemble.handler(event, CONTEXT)
    assert stack.read(key) == first, "a repeated call writes the same bytes"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive_of({"other": b"x"}), "holds no file xgboost-model"),
        (b"no archive", "cannot be read"),
        (archive_of({"xgboost-model": b"x" * 5000})[:60], "cannot be read"),
    ],
)
def test_a_fold_without_a_model_is_named(stack: Stack, content: bytes, message: str) -> None:
    event = put_models(stack, archive_of({"xgboost-model": b"first"}), content)
    with pytest.raises(EnsembleNotPacked, match=rf"f1/output/model.tar.gz {message}"):
        pack_ensemble.handler(event, CONTEXT)
    assert not [key for key in stack.keys(RUN.root) if "ensemble" in key]


def test_an_ensemble_is_created_with_its_environment(active: Stack) -> None:
    event = sample("plan_evaluation")
    environment = {"SAGEMAKER_INFERENCE_ENSEMBLE": "true"}
    event["training"] = event["training"] | {"environment": environment}
    request = plan_evaluation.handler(event | {"comparable": False}, CONTEXT)["model_request"]
    assert_valid_request("CreateModel", request)
    assert request["PrimaryContainer"]["Environment"] == environment


def put_evaluation(stack: Stack, settings: str) -> None:
    """Store what evaluation reads: 400 test rows, and folds of 100 rows that are right more often.

    The model of fold i is right on all but 10 + 5 i rows.
    """
    stack.put(RUN.manifest, manifest(RUN.run, settings))
    schema = {"task": "classification", "label": "l", "features": [], "classes": ["no", "yes"]}
    stack.put(RUN.schema, schema)
    stack.put(RUN.profile, {"label": {"classes": {"no": 150, "yes": 150}}})
    stack.put(f"{RUN.evaluation_input}new.csv", "0\n" * 400)
    put_rows(
        stack, RUN.evaluation_labels("new"), f"{RUN.evaluation_output('challenger')}new", 400, 40
    )
    for fold in range(FOLDS):
        output = f"{RUN.fold_output(fold)}rows"
        put_rows(stack, RUN.fold_labels(fold), output, 100, 10 + 5 * fold)


def put_rows(stack: Stack, labels: str, output: str, rows: int, wrong: int) -> None:
    truth = np.arange(rows) % 2
    scores = np.where(truth == 1, 0.8, 0.3)
    scores[:wrong] = np.where(truth[:wrong] == 1, 0.2, 0.7)
    stack.put(labels, "".join(f"{label}\n" for label in truth))
    stack.put(f"{output}.csv.out", "".join(f"{score}\n" for score in scores))


def test_each_fold_is_measured_and_their_mean_and_spread_are_told(active: Stack) -> None:
    put_evaluation(active, SETTINGS)
    metrics = evaluate.handler(sample("evaluate_first"), CONTEXT)["metrics"]
    assert metrics["accuracy"] == 0.9, "of the test rows"
    assert metrics["folds"] == FOLDS
    assert metrics["folds_accuracy"] == pytest.approx(0.85)
    assert metrics["folds_spread"] == pytest.approx(0.05)
    folds = active.get(RUN.evaluation)["folds"]
    assert folds["rows"] == 300
    assert [fold["metrics"]["accuracy"] for fold in folds["each"]] == pytest.approx(
        [0.9, 0.85, 0.8]
    )
    reasons = gate.handler(sample("gate"), CONTEXT)["reasons"]
    assert reasons[-2 if "live version" in reasons[-1] else -1] == (
        "Over 3 folds of the training rows, the accuracy is 85.00% out of fold, with a standard "
        "deviation of 5.00 points."
    )


def test_costs_choose_the_threshold_on_the_out_of_fold_rows(active: Stack) -> None:
    costs = "[prediction]\ncosts = { false_positive = 1, false_negative = 20 }\n"
    put_evaluation(active, SETTINGS + costs)
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    rule = active.get(RUN.decision)
    assert (rule["chosen"], rule["chosen_on"]) == ("costs", "out-of-fold")
    assert rule["threshold"] < 0.2, "a missed row of the positive class costs 20"
    note = " ".join(gate.handler(sample("gate"), CONTEXT)["reasons"])
    assert "chosen on the out-of-fold rows by [prediction] costs" in note


def test_very_many_rows_are_sampled_for_the_threshold(
    active: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_evaluation(active, SETTINGS)
    files = evaluate_folds.FoldFiles(
        services(), RUN, FOLDS, is_weighted=False, form=AnswerForm.LISTS
    )
    whole = files.scored(["no", "yes"], 1)
    monkeypatch.setattr(evaluate_folds, "_MOST_SCORED", 150)
    sample = files.scored(["no", "yes"], 1)
    assert (len(whole.labels), len(sample.labels)) == (300, 150)
    assert np.array_equal(sample.labels, whole.labels[::2])
    assert np.array_equal(sample.scores, whole.scores[::2])


def test_a_fold_without_predictions_fails_the_run(active: Stack) -> None:
    put_evaluation(active, SETTINGS)
    active.delete(f"{RUN.fold_output(1)}rows.csv.out")
    with pytest.raises(EvaluationIncomplete, match=r"folds/1/out/rows\.csv\.out"):
        evaluate.handler(sample("evaluate_first"), CONTEXT)
