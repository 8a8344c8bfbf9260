"""The container trains with Refit's plan, and stops on the metric that matches the gate's."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import RULES
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.quality_metrics import JUDGING, METRICS
from refit.domain.training_settings import TrainingSettings
from xgboost_container import metric_lines

MAXIMIZED = ("auc", "aucpr")


def table(generator: np.random.Generator, rows: int, classes: int | None) -> str:
    """Return CSV rows whose label depends on the first of three columns, with noise."""
    features = generator.normal(size=(rows, 3))
    signal = features[:, 0] + generator.normal(size=rows)
    if classes is None:
        labels = signal + 10
    else:
        labels = np.searchsorted(np.linspace(-1, 1, classes + 1)[1:-1], signal)
    return "".join(
        ",".join(f"{value:.6g}" for value in (label, *row)) + "\n"
        for label, row in zip(labels, features, strict=True)
    )


@pytest.mark.parametrize(
    ("metric", "classes"),
    [
        (metric, classes)
        for metric in JUDGING
        for classes in (2, 4)
        if classes == 2 or not METRICS[metric].needs_two_classes
    ],
)
def test_the_training_stops_at_the_best_round_by_the_planned_metric(
    metric: str, classes: int, job, train_here, capsys
):
    judging = METRICS[metric]
    number_of_classes = classes if judging.task == "classification" else None
    shape = DataShape(judging.task, 400, 3, number_of_classes, 1000, 500, True, 200, 0.25)
    planned = plan_training(shape, TrainingSettings(), metric).hyperparameters
    generator = np.random.default_rng(1)
    train, validation = (table(generator, rows, number_of_classes) for rows in (400, 200))
    job.write(planned, train=train, validation=validation)
    assert train_here(job) == 0, job.failure
    stopping = planned["eval_metric"].split(",")[-1]
    scores = np.array(
        [
            float(cell.rpartition(":")[2])
            for line in metric_lines(capsys.readouterr().out)
            for cell in line.split("\t")
            if cell.startswith(f"validation-{stopping}:")
        ]
    )
    assert len(scores) < 200, "the training stopped early"
    best = scores.argmax() if stopping in MAXIMIZED else scores.argmin()
    from refit_local.algorithms.xgboost.xgboost_library import xgb

    booster = xgb.Booster(model_file=job.model / "xgboost-model")
    assert abs(booster.num_boosted_rounds() - (best + 1)) <= 1, "lines have five decimals"


def test_a_ranking_metric_without_rare_rows_would_stop_at_the_first_round(job, train_here, capsys):
    # Why the plan falls back to the log loss: no validation row is positive.
    shape = DataShape("classification", 400, 3, 2, 1000, 500, True, 200, 0.25)
    planned = plan_training(shape, TrainingSettings(), "roc_auc").hyperparameters
    generator = np.random.default_rng(1)
    train, validation = (table(generator, rows, 2) for rows in (400, 200))
    negative = "".join(f"0{line[1:]}\n" for line in validation.splitlines())
    job.write(planned, train=train, validation=negative)
    train_here(job)
    rounds = len(metric_lines(capsys.readouterr().out))
    fallback = replace(shape, rare_share=0.001)
    stopping = plan_training(fallback, TrainingSettings(), "roc_auc").hyperparameters["eval_metric"]
    assert rounds <= 11
    assert stopping == "error,logloss"


@pytest.mark.parametrize(
    ("objective", "classes"),
    [
        ("binary:logistic", 2),
        ("multi:softprob", 2),
        ("multi:softprob", 4),
        ("reg:squarederror", None),
        ("count:poisson", None),
    ],
)
def test_the_container_computes_each_metric_that_the_plan_allows(
    objective: str, classes: int | None, job, train_here
):
    task = "regression" if classes is None else "classification"
    shape = DataShape(task, 40, 3, classes, 1000, 500, True, 20, 0.25)
    generator = np.random.default_rng(1)
    train, validation = (table(generator, rows, classes) for rows in (40, 20))
    deciding = "rmse" if classes is None else "accuracy"

    def planned(metrics: list[str]) -> dict[str, str]:
        given = {"objective": objective, "eval_metric": ",".join(metrics), "num_round": 1}
        return plan_training(
            shape, TrainingSettings(hyperparameters=given), deciding
        ).hyperparameters

    allowed = []
    for metric in RULES["eval_metric"].texts:
        with suppress(SettingsInvalid):
            planned([metric])
            allowed.append(metric)
    assert len(allowed) >= 8
    job.write(planned(allowed), train=train, validation=validation)
    assert train_here(job) == 0, job.failure
