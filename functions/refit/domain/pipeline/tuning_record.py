"""The trials of a tuning job: the format of `tuning.json`, and what the run's record keeps."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Trial(BaseModel):
    """One training job of the tuning job.

    Attributes:
        hyperparameters: the values that were searched.
        objective: the last value of the metric; None if there is none.
        seconds: training time; None if the trial never started.
        reason: why it failed.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    status: str
    hyperparameters: dict[str, str]
    objective: float | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def has_model(self) -> bool:
        """Whether the trial can be used: a trial that was stopped early has saved no model."""
        return self.status == "Completed" and self.objective is not None


class TuningRecord(BaseModel):
    """All of tuning.json.

    Attributes:
        metric: such as `validation:mlogloss`.
        maximize: whether a higher value is better.
        best: name of the best trial.
    """

    model_config = ConfigDict(frozen=True)

    job: str
    status: str
    metric: str
    maximize: bool
    trials: tuple[Trial, ...]
    reason: str | None = None

    @property
    def best(self) -> Trial | None:
        """The best trial that has a model; the first of several that are equal."""
        sign = -1 if self.maximize else 1
        usable = [trial for trial in self.trials if trial.has_model]
        return min(usable, key=lambda trial: sign * (trial.objective or 0.0), default=None)


class TuningSummary(BaseModel):
    """What the record of a run keeps of its tuning.

    Attributes:
        failed: number of trials that failed.
        trial: name of the best one, whose hyperparameters and metric follow.
    """

    model_config = ConfigDict(frozen=True)

    trials: int
    failed: int
    metric: str
    trial: str
    value: float
    hyperparameters: dict[str, str]

    @property
    def sentence(self) -> str:
        """The result, for a person."""
        failed = f", {self.failed} failed" if self.failed else ""
        values = ", ".join(
            f"{name} {_short(value)}" for name, value in self.hyperparameters.items()
        )
        # SageMaker compares the last values; with early stopping, the best one came rounds before.
        result = f"{self.metric} {self.value:.4g} in the last round"
        return f"best of {self.trials} trials{failed}: {result}, with {values}"


def _short(value: str) -> str:
    """Return a number with four significant digits, and another text as it is."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def summary_of(record: TuningRecord, best: Trial) -> TuningSummary:
    """Return what the record of the run keeps."""
    return TuningSummary(
        trials=len(record.trials),
        failed=sum(trial.status == "Failed" for trial in record.trials),
        metric=record.metric,
        trial=best.name,
        value=best.objective or 0.0,
        hyperparameters=best.hyperparameters,
    )


def failure_text(record: TuningRecord) -> str:
    """Say why a tuning job has no model that can be used."""
    reasons = [trial.reason for trial in record.trials if trial.reason]
    ended = f"the tuning job {record.job} is {record.status}"
    if record.status == "Stopped":
        return f"{ended}: it was stopped after {len(record.trials)} trials"
    reason = f": {record.reason}" if record.reason else ""
    first = f" Reason of the first trial that failed: {reasons[0]}" if reasons else ""
    return f"{ended}{reason}{first}"
