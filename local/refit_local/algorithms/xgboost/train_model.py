"""Run one training job: validate it, load its data, train, save the model."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from refit_local.algorithms.xgboost import channels, datasets, hyperparameters, metrics
from refit_local.algorithms.xgboost.content_types import CSV, PARQUET, data_format
from refit_local.algorithms.xgboost.cross_validation import HeldOutPredictions, folds, train_folds
from refit_local.algorithms.xgboost.errors import AlgorithmError, PlatformError, UserError
from refit_local.algorithms.xgboost.job_files import TrainingJob
from refit_local.algorithms.xgboost.round_callbacks import (
    MODEL_NAME,
    EarlyStoppingRule,
    EvaluationLog,
    RoundPlan,
    callbacks,
    start_from,
)
from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)

# XGBoost's messages for invalid data or hyperparameters.
_USER_ERRORS = (
    "label must be in [0,1] for logistic regression",
    "label must be in [0, num_class)",
    "Target is multiclass but average='binary'",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels_.size()",
    "Check failed: !auc_error AUC: the dataset only contains pos or neg samples",
    "Check failed: base_score > 0.0f && base_score < 1.0f base_score must be in (0,1) "
    "for logistic loss",
    "Check failed: label_correct PoissonRegression: label must be nonnegative",
    "Check failed: label_correct TweedieRegression: label must be nonnegative",
    "Parameter reg_lambda should be greater equal to 0",
)
_TRAIN_ERRORS = (
    xgb.core.XGBoostError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class _TrainingData:
    """The matrices of a job.

    `to_fold` has the rows that k-fold training splits: those of both channels.
    """

    train: xgb.DMatrix
    validation: xgb.DMatrix | None
    to_fold: xgb.DMatrix

    @property
    def evaluated(self) -> list[tuple[xgb.DMatrix, str]]:
        """The matrices whose metrics are printed after each round, with their names."""
        evaluated = [(self.train, "train")]
        if self.validation is not None:
            evaluated.append((self.validation, "validation"))
        return evaluated


def run(job: TrainingJob) -> None:
    """Train and save the model, or the model of each fold, in the model folder.

    Raises:
        UserError: the hyperparameters, the channels or the data are invalid.
        AlgorithmError: XGBoost failed for another reason.
        PlatformError: the job has no host.
    """
    parameters = hyperparameters.validate(job.hyperparameters)
    if "updater" in parameters:
        parameters["updater"] = ",".join(parameters["updater"])
    train_channel = channels.validate(job.channels)["train"]
    channel_format = data_format(train_channel["ContentType"])
    _refuse_unsupported(parameters, train_channel, channel_format, job)

    data = _load(job, channel_format, parameters)
    if len(job.hosts) == 0:
        raise PlatformError("Number of hosts should be an int greater than or equal to 1")
    _log.info("Single node training.")
    shape = (data.train.num_row(), data.train.num_col())
    _log.info("Train matrix has %d rows and %d columns", *shape)
    if data.validation is not None:
        _log.info("Validation matrix has %d rows", data.validation.num_row())

    try:
        boosters = _BoostingRun(job, parameters, data).train()
    except _TRAIN_ERRORS as error:
        if any(message in str(error) for message in _USER_ERRORS):
            raise UserError(str(error)) from error
        raise AlgorithmError(f"XGB train call failed with exception:\n {error}") from error
    job.folders.model.mkdir(parents=True, exist_ok=True)
    for name, booster in boosters.items():
        booster.save_model(job.folders.model / name)


def _refuse_unsupported(
    parameters: dict[str, Any], train: dict[str, Any], channel_format: str, job: TrainingJob
) -> None:
    if parameters.pop("use_dask_gpu_training", "false") == "true":
        reasons = ["Dask training is only available for `gpu_hist` training on GPU instances."]
        if train["TrainingInputMode"] == "Pipe":
            reasons.append("Dask training is not supported for pipe mode input.")
        if channel_format not in (CSV, PARQUET):
            reasons.append("Dask training is only supported for CSV and Parquet input.")
        raise UserError(
            "Some configurations unsuitable for Dask GPU training were found: " + ". ".join(reasons)
        )
    if train["TrainingInputMode"] == "Pipe":
        raise UserError("Pipe mode is not supported by this container: use TrainingInputMode File")
    if len(job.hosts) > 1:
        raise UserError(
            f"Training on several instances is not supported by this container: got {job.hosts}"
        )


def _load(job: TrainingJob, channel_format: str, parameters: dict[str, Any]) -> _TrainingData:
    if job.validation is not None:
        datasets.warn_about_shared_files(job.train, job.validation)
    train_bytes = datasets.size_bytes(job.train)
    validation_bytes = datasets.size_bytes(job.validation) if job.validation else 0
    if train_bytes:
        datasets.check_format(job.train, channel_format)
    if job.validation and validation_bytes:
        datasets.check_format(job.validation, channel_format)
    if not train_bytes:
        raise UserError(f"No data in training channel path {job.train}")

    weighted = parameters.get("csv_weights") == 1
    train = datasets.load([job.train], channel_format, weighted=weighted)
    if job.validation is None:
        return _TrainingData(train, None, train)
    if not validation_bytes:
        raise UserError(f"No data in validation channel path {job.validation}")
    validation = datasets.load([job.validation], channel_format, weighted=weighted)
    to_fold = train
    if "_kfold" in parameters:
        to_fold = datasets.load([job.train, job.validation], channel_format, weighted=weighted)
    return _TrainingData(train, validation, to_fold)


class _BoostingRun:
    """The boosting of one job: a single model, or one for each fold."""

    def __init__(self, job: TrainingJob, parameters: dict[str, Any], data: _TrainingData) -> None:
        self._job = job
        self._data = data
        self._parameters = dict(parameters)
        pop = self._parameters.pop
        self._num_round: int = pop("num_round")
        self._folds: int | None = pop("_kfold", None)
        plan = metrics.plan_metrics(pop("eval_metric", None), pop("_tuning_objective_metric", None))
        if plan.native:
            self._parameters["eval_metric"] = list(plan.native)
        self._custom_metric = metrics.custom_metric(plan.custom, parameters.get("objective"))
        self._rounds = RoundPlan(
            model=job.folders.model / MODEL_NAME,
            save_each_round=pop("save_model_on_termination", "false") == "true",
            checkpoints=job.checkpoints,
            stopping=self._early_stopping(pop("early_stopping_rounds", None), plan.stopping),
        )

    def train(self) -> dict[str, xgb.Booster]:
        """Train and return the boosters by their file names."""
        if self._folds is None:
            return {MODEL_NAME: self._boost(self._data.train, self._rounds)[0]}
        boosters = self._cross_validate(self._folds)
        return {f"{MODEL_NAME}-{fold}": booster for fold, booster in enumerate(boosters)}

    def _early_stopping(self, rounds: int | None, metric: str | None) -> EarlyStoppingRule | None:
        if rounds is None:
            return None
        missing = []
        if self._data.validation is None:
            missing.append("a validation channel")
        if metric is None:
            missing.append("an explicit eval_metric")
        if metric is None or missing:
            _log.warning(
                "early_stopping_rounds has no effect: it needs %s, here as in the image on AWS",
                " and ".join(missing),
            )
            return None
        return EarlyStoppingRule(rounds, metric, "validation")

    def _boost(self, matrix: xgb.DMatrix, plan: RoundPlan) -> tuple[xgb.Booster, EvaluationLog]:
        start = start_from(plan.checkpoints)
        evaluations: EvaluationLog = {}
        booster = xgb.train(
            self._parameters,
            matrix,
            num_boost_round=self._num_round - start.rounds,
            evals=self._data.evaluated,
            custom_metric=self._custom_metric,
            evals_result=evaluations,
            callbacks=callbacks(plan, start),
            xgb_model=start.model,
            verbose_eval=False,
        )
        return booster, evaluations

    def _cross_validate(self, count: int) -> list[xgb.Booster]:
        repeats = self._parameters.pop("_num_cv_round", 1)
        objective = self._parameters.get("objective")
        classification = "num_class" in self._parameters
        if not classification:
            # Without an objective the image fails here, with exactly this message.
            if objective is None:
                raise AttributeError("'NoneType' object has no attribute 'startswith'")
            classification = objective.startswith("binary:")
        if objective in ("multi:softmax", "binary:hinge"):
            _log.warning(
                "The models of the folds of %s cannot be served: their predictions cannot be "
                "combined, here as in the image on AWS. Use multi:softprob or binary:logistic.",
                objective,
            )
        _log.warning(
            "The metrics printed for the folds are in-sample. output/data/predictions.csv contains "
            "the predictions of the held-out rows"
        )
        matrix = self._data.to_fold
        labels = matrix.get_label()
        _log.info(
            "Run %d-round of %d-fold cross validation with %d rows",
            repeats,
            count,
            matrix.num_row(),
        )
        held_out = HeldOutPredictions(labels, repeats, classification=classification)
        boosters = train_folds(
            folds(labels, count, repeats, stratified=classification),
            matrix,
            train_fold=lambda fold, rows: self._boost(rows, self._fold_plan(fold)),
            held_out=held_out,
            count=count,
            num_round=self._num_round,
        )
        held_out.write(self._job.folders.output_data / "predictions.csv")
        return boosters

    def _fold_plan(self, fold: int) -> RoundPlan:
        model = self._rounds.model.with_name(f"{MODEL_NAME}-{fold}")
        folder = self._rounds.checkpoints
        return replace(
            self._rounds, model=model, checkpoints=folder / f"model-{fold}" if folder else None
        )
