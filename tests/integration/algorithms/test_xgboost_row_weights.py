"""Row weights of a drop change the trained model as they do with XGBoost itself."""

import io

import numpy as np
import pytest
from refit.domain.data_settings import DataSettings
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.training_settings import TrainingSettings
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import prepare
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from refit_local.algorithms.xgboost.xgboost_library import xgb

HYPERPARAMETERS = {
    "num_round": 20,
    "max_depth": 3,
    "eta": 0.3,
    "subsample": 1,
    "colsample_bynode": 1,
    "nthread": 1,
}


def drop() -> bytes:
    """Return rows of contradictory labels: the weight tells which of them counts."""
    random = np.random.default_rng(4)
    x = random.random((600, 2)).round(4)
    positive = (x[:, 0] > 0.5) ^ (np.arange(600) % 2 == 0)
    weight = np.where(np.arange(600) % 2 == 0, 0.25, 4)
    lines = [f"{int(y)},{a},{w},{b}" for y, (a, b), w in zip(positive, x, weight, strict=True)]
    return "\n".join(["label,a,w,b", *lines]).encode() + b"\n"


def trained(job, train_here, tmp_path, **settings):
    """Prepare and train as a run does; return the model and the training rows as numbers."""
    data = drop()
    file = DroppedFile("drop.csv", len(data), lambda: io.BytesIO(data))
    prepared = prepare(
        tables_of([file], tmp_path).tables,
        DataSettings(**settings),
        None,
        tmp_path,
        7,
        Quarantine(io.BytesIO()),
    )
    train, validation = io.BytesIO(), io.BytesIO()
    prepared.write_train(train)
    prepared.write_validation(validation)
    size = len(train.getvalue())
    shape = DataShape(
        "classification", 480, 2, 2, size, 100, True, has_weights=prepared.has_weights
    )
    plan = plan_training(shape, TrainingSettings(hyperparameters=HYPERPARAMETERS), "log_loss")
    hyperparameters = plan.hyperparameters | {"early_stopping_rounds": "20"}
    job.write(hyperparameters, train=train.getvalue(), validation=validation.getvalue())
    assert train_here(job) == 0
    return xgb.Booster(model_file=job.model / "xgboost-model"), np.loadtxt(
        io.BytesIO(train.getvalue()), delimiter=","
    )


def reference(label, weight, features):
    """Train with xgboost directly, from arrays."""
    matrix = xgb.DMatrix(features, label=label, weight=weight)
    parameters = {key: value for key, value in HYPERPARAMETERS.items() if key != "num_round"}
    parameters |= {"objective": "binary:logistic", "tree_method": "hist", "seed": 1}
    return xgb.train(parameters, matrix, HYPERPARAMETERS["num_round"])


@pytest.fixture
def grid():
    return xgb.DMatrix(np.random.default_rng(9).random((500, 2)))


def test_the_model_is_the_one_that_xgboost_trains_with_these_weights(
    job, train_here, tmp_path, grid
):
    booster, rows = trained(job, train_here, tmp_path, weight="w")
    assert rows.shape[1] == 4
    weighted = reference(rows[:, 0], rows[:, 1], rows[:, 2:])
    unweighted = reference(rows[:, 0], None, rows[:, 2:])
    rounds = booster.num_boosted_rounds()
    expected = weighted.predict(grid, iteration_range=(0, rounds))
    np.testing.assert_allclose(booster.predict(grid), expected, atol=1e-5)
    other = unweighted.predict(grid, iteration_range=(0, rounds))
    assert np.abs(booster.predict(grid) - other).max() > 0.2


def test_the_rows_with_large_weights_decide_what_is_learned(job, train_here, tmp_path, grid):
    booster, _ = trained(job, train_here, tmp_path, weight="w")
    truth = np.random.default_rng(9).random((500, 2))[:, 0] > 0.5
    assert ((booster.predict(grid) > 0.5) == truth).mean() > 0.9


def test_without_the_setting_the_same_rows_teach_nothing(job, train_here, tmp_path, grid):
    booster, rows = trained(job, train_here, tmp_path, ignore=["w"])
    assert rows.shape[1] == 3
    truth = np.random.default_rng(9).random((500, 2))[:, 0] > 0.5
    assert ((booster.predict(grid) > 0.5) == truth).mean() < 0.8
