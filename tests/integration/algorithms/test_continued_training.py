"""Refit's script continues a model in the container as the built-in mode trains one."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import refit
from refit_local.algorithms.xgboost.xgboost_library import xgb
from xgboost_container import CSV_CHANNEL, JobFolder, metric_lines, serving

SCRIPT = Path(refit.__path__[0]) / "training_code" / "refit_continue.py"
PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": "error,logloss",
    "eta": "0.3",
    "max_depth": "3",
    "tree_method": "hist",
    "seed": "1",
}


def rows(seed: int, count: int, weighted: bool = False) -> str:
    """Return CSV rows of two classes that overlap."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, 3))
    labels = (features[:, 0] + generator.normal(size=count) > 0).astype(int)
    weight = ",1" if weighted else ""
    return "".join(
        f"{label}{weight},{','.join(f'{value:.6g}' for value in row)}\n"
        for label, row in zip(labels, features, strict=True)
    )


def earlier_model(base: Path, train_here, **hyperparameters: str) -> bytes:
    """Train in the built-in mode; return its model.tar.gz."""
    job = JobFolder(base / "earlier").write(
        {**PARAMETERS, "num_round": "10", **hyperparameters},
        train=rows(1, 300),
        validation=rows(2, 100),
    )
    assert train_here(job) == 0, job.failure
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(job.model / "xgboost-model", "xgboost-model")
    return packed.getvalue()


def continued_job(
    base: Path, model: bytes, weighted: bool = False, validation: bool = True, **hyperparameters
) -> JobFolder:
    given = {
        "sagemaker_program": SCRIPT.name,
        "sagemaker_submit_directory": "/opt/ml/input/data/code",
    }
    names = ["train", "model", "code", *(["validation"] if validation else [])]
    job = JobFolder(base / "continued").write(
        {**PARAMETERS, **given, **hyperparameters},
        train=rows(3, 300, weighted),
        validation=rows(2, 100, weighted) if validation else None,
        channels=dict.fromkeys(names, CSV_CHANNEL),
    )
    (job.base / "input/data/model/model.tar.gz").write_bytes(model)
    (job.base / "input/data/code" / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    return job


def run(job: JobFolder) -> str:
    """Run the container in a process; return its standard output."""
    process = job.start("train")
    output, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return output


@pytest.fixture
def model(tmp_path, train_here):
    return earlier_model(tmp_path, train_here)


def test_further_rounds_are_added_to_the_rounds_of_the_earlier_model(tmp_path, model):
    job = continued_job(tmp_path, model, num_round="5")
    lines = metric_lines(run(job))
    assert [line.split("\t")[0] for line in lines] == [f"[{number}]" for number in range(5)]
    names = [cell.partition(":")[0] for cell in lines[0].split("\t")[1:]]
    assert names == ["train-error", "train-logloss", "validation-error", "validation-logloss"]
    trained = xgb.Booster(model_file=job.model / "xgboost-model")
    assert trained.num_boosted_rounds() == 15
    earlier = xgb.Booster(model_file=tmp_path / "earlier" / "model" / "xgboost-model")
    assert trained[:10].get_dump() == earlier.get_dump()


def test_the_training_stops_early_and_keeps_its_best_round(tmp_path, model):
    job = continued_job(tmp_path, model, num_round="200", early_stopping_rounds="5")
    lines = metric_lines(run(job))
    losses = [float(line.rpartition(":")[2]) for line in lines]
    assert len(losses) == losses.index(min(losses)) + 1 + 5, "the last round is printed, too"
    trained = xgb.Booster(model_file=job.model / "xgboost-model")
    assert trained.num_boosted_rounds() == 10 + losses.index(min(losses)) + 1
    assert float(trained.attr("best_score")) == pytest.approx(min(losses), abs=1e-5)


def test_without_validation_rows_all_rounds_are_kept(tmp_path, model):
    job = continued_job(tmp_path, model, validation=False, num_round="4", early_stopping_rounds="2")
    assert len(metric_lines(run(job))) == 4
    assert xgb.Booster(model_file=job.model / "xgboost-model").num_boosted_rounds() == 14


def test_row_weights_are_no_feature(tmp_path, model):
    job = continued_job(tmp_path, model, weighted=True, num_round="2", csv_weights="1")
    run(job)
    assert xgb.Booster(model_file=job.model / "xgboost-model").num_features() == 3


def test_the_built_in_mode_serves_the_continued_model(tmp_path, model):
    job = continued_job(tmp_path, model, num_round="3")
    run(job)
    trained = xgb.Booster(model_file=job.model / "xgboost-model")
    expected = trained.predict(xgb.DMatrix(np.array([[0.5, 0.1, -1.0]])))
    with serving(job.model) as server:
        answer = server.send("0.5,0.1,-1.0")
    assert answer.status == 200
    assert float(answer.body) == pytest.approx(float(expected[0]))


def test_an_archive_without_a_model_fails_the_job(tmp_path, train_here):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz"):
        pass
    job = continued_job(tmp_path, packed.getvalue(), num_round="1")
    assert train_here(job) == 1
    assert job.failure.startswith("ExecuteUserScriptError:")
