"""A training job gives the same model, metric lines and errors as the image."""

import json
import signal
import subprocess

import numpy as np
import pytest
from xgboost_container import (
    CSV_CHANNEL,
    ROWS,
    JobFolder,
    failure_message,
    metric_lines,
    oracle_job,
    recordings,
    wait_for,
)

TRAININGS = [path.parent for path in recordings("oracle/*/metrics.log")]
REPEATABLE = [
    case
    for case in TRAININGS
    if "_kfold" not in json.loads((case / "hyperparameters.json").read_text())
]


@pytest.mark.parametrize("case", REPEATABLE, ids=lambda case: case.name)
def test_a_recorded_training_gives_the_same_model_bytes_and_metric_lines(case, job):
    process = oracle_job(case, job.base).start("train")
    output, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    assert metric_lines(output) == (case / "metrics.log").read_text().splitlines()
    assert sorted(path.name for path in job.model.iterdir()) == ["xgboost-model"]
    assert (job.model / "xgboost-model").read_bytes() == (
        case / "model" / "xgboost-model"
    ).read_bytes()
    assert not (job.base / "output" / "failure").exists()


def test_two_concurrent_trainings_do_not_affect_each_other(oracle, tmp_path):
    cases = [oracle("binary_logistic"), oracle("reg_squarederror")]
    jobs = [oracle_job(case, tmp_path / case.name) for case in cases]
    processes = [job.start("train") for job in jobs]
    for process in processes:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 0, log
    for job, case in zip(jobs, cases, strict=True):
        trained = (job.model / "xgboost-model").read_bytes()
        assert trained == (case / "model" / "xgboost-model").read_bytes()


def test_a_training_leaves_no_files_outside_the_job_folder(oracle, job, tmp_path):
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    process = oracle_job(oracle("binary_logistic"), job.base).start("train", TMPDIR=str(elsewhere))
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert list(elsewhere.iterdir()) == []


def test_kfold_trains_a_model_for_each_fold_and_predicts_the_held_out_rows(
    oracle, job, train_here, capsys
):
    case = oracle("binary_logistic_kfold3")
    assert train_here(oracle_job(case, job.base, _num_cv_round="2")) == 0
    assert len(list(job.model.iterdir())) == 6
    lines = metric_lines(capsys.readouterr().out)
    # Five rounds for each of six folds, and the means of each repeat and of both.
    assert len(lines) == 5 * 6 + 3
    assert [line.split("\t")[0] for line in lines[-2:]] == ["[5]", "[5]"]
    fields = lines[-1].split("\t")[1:]
    assert [field.partition(":")[0] for field in fields] == [
        "train-logloss",
        "validation-logloss",
    ]
    held_out = np.loadtxt(job.base / "output" / "data" / "predictions.csv", delimiter=",")
    rows = (case / "train.csv").read_text().count("\n")
    assert held_out.shape == (rows + rows // 3, 3)
    labels, probabilities, classes = held_out.T
    assert set(labels) == set(classes) == {0.0, 1.0}
    assert ((probabilities > 0.5) == (classes == 1)).mean() > 0.9


def test_kfold_of_a_regression_writes_the_mean_prediction(oracle, job, train_here):
    assert train_here(oracle_job(oracle("reg_squarederror"), job.base, _kfold="2")) == 0
    held_out = np.loadtxt(job.base / "output" / "data" / "predictions.csv", delimiter=",")
    assert held_out.shape[1] == 2
    assert np.corrcoef(held_out.T)[0, 1] > 0.7


def test_kfold_without_validation_fails_as_in_the_image(job, train_here):
    job.write({"num_round": "1", "objective": "binary:logistic", "_kfold": "2"}, train=ROWS)
    assert train_here(job) == 1
    assert job.failure.endswith("XGB train call failed with exception:\n 'validation'")


def test_early_stopping_keeps_the_best_round(oracle, job, train_here, capsys):
    hyperparameters = {"num_round": "200", "early_stopping_rounds": "3", "eval_metric": "logloss"}
    job = oracle_job(oracle("binary_logistic"), job.base, **hyperparameters)
    valid = job.base / "input" / "data" / "validation" / "v.csv"
    flipped = [
        f"{1 - int(line[0]) if number % 3 == 0 else line[0]}{line[1:]}"
        for number, line in enumerate(valid.read_text().splitlines())
    ]
    valid.write_text("\n".join(flipped) + "\n")
    assert train_here(job) == 0
    lines = metric_lines(capsys.readouterr().out)
    scores = [float(line.rpartition(":")[2]) for line in lines]
    assert len(lines) == np.argmin(scores) + 1 + 3 < 200
    from refit_local.algorithms.xgboost.xgboost_library import xgb

    booster = xgb.Booster(model_file=job.model / "xgboost-model")
    assert booster.num_boosted_rounds() == np.argmin(scores) + 1
    assert booster.attr("best_iteration") == str(np.argmin(scores))


@pytest.mark.parametrize("missing", ["validation", "eval_metric"])
def test_early_stopping_without_effect_is_logged(job, train_here, caplog, missing):
    hyperparameters = {"num_round": "9", "objective": "binary:logistic"}
    hyperparameters["early_stopping_rounds"] = "1"
    if missing != "eval_metric":
        hyperparameters["eval_metric"] = "error"
    job.write(hyperparameters, train=ROWS, validation=None if missing == "validation" else ROWS)
    assert train_here(job) == 0
    assert "early_stopping_rounds has no effect" in caplog.text


def test_metric_lines_list_the_metrics_of_xgboost_before_those_of_the_container(
    oracle, job, train_here, capsys
):
    case = oracle("reg_squarederror")
    assert train_here(oracle_job(case, job.base, eval_metric="r2,mae,mape,rmse")) == 0
    line = metric_lines(capsys.readouterr().out)[-1]
    names = [field.partition(":")[0] for field in line.split("\t")[1:]]
    metrics = ["mape", "r2", "mae", "rmse"]
    assert names == [f"{data}-{metric}" for data in ("train", "validation") for metric in metrics]
    recorded = (case / "metrics.log").read_text().splitlines()[-1]
    assert line.endswith(recorded.rpartition("\t")[2])


def test_accuracy_of_binary_logistic_is_wrong_as_in_the_image_and_the_log_warns(
    oracle, job, train_here, capsys, caplog
):
    case = oracle("binary_logistic")
    labels = [line[0] for line in (case / "train.csv").read_text().splitlines()]
    assert train_here(oracle_job(case, job.base, eval_metric="accuracy,error")) == 0
    lines = metric_lines(capsys.readouterr().out)
    share_of_ones = labels.count("1") / len(labels)
    assert all(f"\ttrain-accuracy:{share_of_ones:.5f}\t" in line for line in lines)
    assert "accuracy: wrong for binary:logistic" in caplog.text


def test_accuracy_of_multi_softprob_is_correct(oracle, job, train_here, capsys):
    job = oracle_job(oracle("multi_softprob"), job.base, eval_metric="accuracy,merror")
    assert train_here(job) == 0
    for line in metric_lines(capsys.readouterr().out):
        values = dict(field.split(":") for field in line.split("\t")[1:])
        assert float(values["train-accuracy"]) == pytest.approx(1 - float(values["train-merror"]))


def test_the_tuning_objective_is_added_to_the_metrics(oracle, job, train_here, capsys):
    hyperparameters = {"_tuning_objective_metric": "validation:auc", "eval_metric": "logloss"}
    assert train_here(oracle_job(oracle("binary_logistic"), job.base, **hyperparameters)) == 0
    line = metric_lines(capsys.readouterr().out)[0]
    assert "\tvalidation-auc:" in line
    assert "\tvalidation-logloss:" in line


def test_hyperparameters_are_checked_before_channels(job, train_here):
    job.write({}, train=ROWS, channels={"train": CSV_CHANNEL, "model": CSV_CHANNEL})
    assert failure_message(job, train_here) == "Missing required hyperparameter: num_round"


def test_labels_out_of_range_are_a_user_error(job, train_here):
    job.write({"num_round": "1", "objective": "binary:logistic"}, train="2,1,1\n" + ROWS)
    assert train_here(job) == 1
    assert "label must be in [0,1] for logistic regression" in job.failure
    assert "errors.UserError: " in job.failure


def test_another_failure_of_xgboost_is_an_algorithm_error(job, train_here):
    job.write({"num_round": "1", "tree_method": "gpu_hist"}, train=ROWS)
    assert train_here(job) == 1
    assert "errors.AlgorithmError: XGB train call failed with exception:\n " in job.failure


def test_sigterm_ends_a_training_immediately_without_a_model(job):
    process = long_training(job)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert list(job.model.iterdir()) == []


def test_sigterm_keeps_the_latest_model_with_save_model_on_termination(job):
    process = long_training(job, save_model_on_termination="true")
    (job.model / "half.tmp").write_text("")
    wait_for((job.model / "xgboost-model").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert [path.name for path in job.model.iterdir()] == ["xgboost-model"]
    from refit_local.algorithms.xgboost.xgboost_library import xgb

    assert xgb.Booster(model_file=job.model / "xgboost-model").num_boosted_rounds() > 0


def long_training(job: JobFolder, **hyperparameters: str) -> subprocess.Popen[str]:
    job.write({"num_round": "1000000", "nthread": "1", **hyperparameters}, train=ROWS)
    process = job.start("train")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("[0]\ttrain-rmse:")
    return process


def test_a_checkpoint_is_written_once_and_never_resumed_from(job, train_here, capsys, caplog):
    checkpoints = job.base / "checkpoints"
    config = {"S3Uri": "s3://bucket/key", "LocalPath": "/opt/ml/checkpoints"}
    job.write({"num_round": "4"}, train=ROWS, checkpointconfig=config)
    assert train_here(job) == 0
    assert [path.name for path in checkpoints.iterdir()] == ["xgboost-checkpoint_0.ubj"]
    capsys.readouterr()
    assert train_here(job) == 0
    assert len(metric_lines(capsys.readouterr().out)) == 4
    assert "starts at round 0" in caplog.text


def test_a_checkpoint_that_the_user_provides_is_resumed_from(job, train_here, capsys):
    checkpoints = job.base / "checkpoints"
    config = {"S3Uri": "s3://bucket/key", "LocalPath": "/opt/ml/checkpoints"}
    job.write({"num_round": "3"}, train=ROWS)
    assert train_here(job) == 0
    checkpoints.mkdir()
    (job.model / "xgboost-model").rename(checkpoints / "xgboost-checkpoint.2")
    job.write({"num_round": "5"}, train=ROWS, checkpointconfig=config)
    capsys.readouterr()
    assert train_here(job) == 0
    lines = metric_lines(capsys.readouterr().out)
    assert [line.split("\t")[0] for line in lines] == ["[0]", "[1]"]


def test_training_on_several_instances_is_refused(job, train_here):
    job.write({"num_round": "1"}, train=ROWS, resourceconfig={"hosts": ["algo-1", "algo-2"]})
    assert "Training on several instances is not supported" in failure_message(job, train_here)


def test_a_missing_config_file_ends_with_the_error_number_of_the_system(job, train_here):
    assert train_here(job) == 2
    assert "hyperparameters.json" in job.message
