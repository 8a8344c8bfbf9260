"""Run one training job: check what was asked, load the data, boost, save the model."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from refit_local.algorithms.xgboost import channels, datasets, hyperparameters, metrics
from refit_local.algorithms.xgboost.content_types import CSV, PARQUET, data_format
from refit_local.algorithms.xgboost.cross_validation import HeldOut, Results, folds, train_folds
from refit_local.algorithms.xgboost.errors import AlgorithmError, PlatformError, UserError
from refit_local.algorithms.xgboost.job import TrainingJob
from refit_local.algorithms.xgboost.library import xgb
from refit_local.algorithms.xgboost.rounds import (
    MODEL_NAME,
    EarlyStopping,
    RoundPlan,
    callbacks,
    start_from,
)

_log = logging.getLogger(__name__)

# What XGBoost says when it is the data or a hyperparameter that it cannot work with.
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
class _Data:
    """The matrices of a job; `both` is train and validation in one, for k-fold only."""

    train: Any
    validation: Any | None
    both: Any | None

    @property
    def watched(self) -> list[tuple[Any, str]]:
        watched = [(self.train, "train")]
        if self.validation is not None:
            watched.append((self.validation, "validation"))
        return watched


def run(job: TrainingJob) -> None:
    """Train as asked and leave the model in the model folder.

    Raises:
        UserError: the hyperparameters, the channels or the data are not usable.
        AlgorithmError: XGBoost failed for another reason.
        PlatformError: the job names no host.
    """
    settings = hyperparameters.validate(job.hyperparameters)
    if "updater" in settings:
        settings["updater"] = ",".join(settings["updater"])
    checked = channels.validate(job.channels)
    kind = data_format(checked["train"]["ContentType"])
    _refuse_what_is_not_here(settings, checked["train"], kind, job)

    data = _load(job, kind, settings)
    if len(job.hosts) == 0:
        raise PlatformError("Number of hosts should be an int greater than or equal to 1")
    _log.info("Single node training.")
    shape = (data.train.num_row(), data.train.num_col())
    _log.info("Train matrix has %d rows and %d columns", *shape)
    if data.validation is not None:
        _log.info("Validation matrix has %d rows", data.validation.num_row())

    try:
        boosters = _Trainer(job, settings, data).train()
    except _TRAIN_ERRORS as error:
        if any(message in str(error) for message in _USER_ERRORS):
            raise UserError(str(error)) from error
        raise AlgorithmError(f"XGB train call failed with exception:\n {error}") from error
    job.folders.model.mkdir(parents=True, exist_ok=True)
    for name, booster in boosters.items():
        booster.save_model(job.folders.model / name)


def _refuse_what_is_not_here(
    settings: dict[str, Any], train: dict[str, Any], kind: str, job: TrainingJob
) -> None:
    if settings.pop("use_dask_gpu_training", "false") == "true":
        reasons = ["Dask training is only available for `gpu_hist` training on GPU instances."]
        if train["TrainingInputMode"] == "Pipe":
            reasons.append("Dask training is not supported for pipe mode input.")
        if kind not in (CSV, PARQUET):
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


def _load(job: TrainingJob, kind: str, settings: dict[str, Any]) -> _Data:
    if job.validation is not None:
        datasets.warn_of_shared_files(job.train, job.validation)
    train_bytes = datasets.size_bytes(job.train)
    validation_bytes = datasets.size_bytes(job.validation) if job.validation else 0
    if train_bytes:
        datasets.check_format(job.train, kind)
    if job.validation and validation_bytes:
        datasets.check_format(job.validation, kind)
    if not train_bytes:
        raise UserError(f"No data in training channel path {job.train}")

    weighted = settings.get("csv_weights") == 1
    train = datasets.load([job.train], kind, weighted=weighted)
    if job.validation is None:
        return _Data(train, None, train)
    if not validation_bytes:
        raise UserError(f"No data in validation channel path {job.validation}")
    validation = datasets.load([job.validation], kind, weighted=weighted)
    both = None
    if "_kfold" in settings:
        both = datasets.load([job.train, job.validation], kind, weighted=weighted)
    return _Data(train, validation, both)


class _Trainer:
    """One job's boosting, once or once for each fold."""

    def __init__(self, job: TrainingJob, settings: dict[str, Any], data: _Data) -> None:
        self._job = job
        self._data = data
        self._parameters = dict(settings)
        take = self._parameters.pop
        self._num_round: int = take("num_round")
        self._folds: int | None = take("_kfold", None)
        plan = metrics.plan(take("eval_metric", None), take("_tuning_objective_metric", None))
        if plan.native:
            self._parameters["eval_metric"] = list(plan.native)
        self._custom_metric = metrics.custom_metric(plan.custom, settings.get("objective"))
        self._rounds = RoundPlan(
            model=job.folders.model / MODEL_NAME,
            save_each_round=take("save_model_on_termination", "false") == "true",
            checkpoints=job.checkpoints,
            stopping=self._early_stopping(take("early_stopping_rounds", None), plan.stopping),
        )

    def train(self) -> dict[str, Any]:
        """Return the boosters by the names of their files."""
        if self._folds is None:
            return {MODEL_NAME: self._boost(self._data.train, self._rounds)[0]}
        boosters = self._cross_validate(self._folds)
        return {f"{MODEL_NAME}-{fold}": booster for fold, booster in enumerate(boosters)}

    def _early_stopping(self, rounds: int | None, metric: str | None) -> EarlyStopping | None:
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
        return EarlyStopping(rounds, metric, "validation")

    def _boost(self, matrix: Any, plan: RoundPlan) -> tuple[Any, Results]:
        start = start_from(plan.checkpoints)
        results: Results = {}
        booster = xgb.train(
            self._parameters,
            matrix,
            num_boost_round=self._num_round - start.rounds,
            evals=self._data.watched,
            custom_metric=self._custom_metric,
            evals_result=results,
            callbacks=callbacks(plan, start),
            xgb_model=start.model,
            verbose_eval=False,
        )
        return booster, results

    def _cross_validate(self, count: int) -> list[Any]:
        repeats = self._parameters.pop("_num_cv_round", 1)
        objective = self._parameters.get("objective")
        classification = "num_class" in self._parameters
        if not classification:
            # Without an objective the image fails here, and with this very message.
            if objective is None:
                raise AttributeError("'NoneType' object has no attribute 'startswith'")
            classification = objective.startswith("binary:")
        if objective in ("multi:softmax", "binary:hinge"):
            _log.warning(
                "The folds of %s cannot be served: the vote over their answers fails, here as in "
                "the image on AWS. Use multi:softprob or binary:logistic.",
                objective,
            )
        _log.warning(
            "The metrics printed for the folds are in-sample: the rows held out are predicted in "
            "output/data/predictions.csv"
        )
        both = self._data.both
        labels = both.get_label()
        _log.info(
            "Run %d-round of %d-fold cross validation with %d rows", repeats, count, both.num_row()
        )
        held_out = HeldOut(labels, repeats, classification=classification)
        boosters = train_folds(
            folds(labels, count, repeats, stratified=classification),
            both,
            train_fold=lambda fold, matrix: self._boost(matrix, self._plan_of(fold)),
            held_out=held_out,
            count=count,
            num_round=self._num_round,
        )
        held_out.write(self._job.folders.output_data / "predictions.csv")
        return boosters

    def _plan_of(self, fold: int) -> RoundPlan:
        model = self._rounds.model.with_name(f"{MODEL_NAME}-{fold}")
        folder = self._rounds.checkpoints
        return replace(
            self._rounds, model=model, checkpoints=folder / f"model-{fold}" if folder else None
        )
