"""`GET /models/{model}/runs` and `GET /models/{model}/runs/{run}`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from refit.domain.answers.answer import Answer, Page
from refit.domain.evaluation.gate import GateDecision
from refit.domain.evaluation.report import FoldScores, ModelQuality, NaiveBaseline
from refit.domain.evaluation.training_curves import BestRound
from refit.domain.feature_source import FeatureSource
from refit.domain.learned import Learned
from refit.domain.moments import Moment
from refit.domain.pipeline.continuation import Continuation
from refit.domain.pipeline.manifest import SideRows
from refit.domain.pipeline.script_record import ScriptRecord
from refit.domain.pipeline.tuning_record import Trial, TuningSummary
from refit.domain.vocabulary import RunCause, RunStatus, Task


class RunSummary(Answer):
    """A run in a list."""

    run: str
    status: RunStatus
    cause: RunCause
    cause_text: str = Field(description="Why the run began, in one sentence.")
    version: int | None
    started_at: Moment
    finished_at: Moment | None
    metrics: dict[str, float | str] = Field(description="Headline metrics on the held-out rows.")
    error: str | None
    message: str | None = Field(description="Why it ended as it did; at most 2,000 characters.")


class RunsAnswer(Page):
    """`GET /models/{model}/runs`, newest first."""

    model: str
    runs: tuple[RunSummary, ...]


class StateVisit(Answer):
    """One visit of a state of a state machine."""

    machine: Literal["train", "deploy"]
    state: str
    entered_at: Moment
    left_at: Moment | None
    seconds: float = Field(description="Up to now if the run is in the state.")


class TrainingProgress(Answer):
    """The newest round of a training job."""

    title: str
    rounds: int
    metric: str
    value: float
    best: BestRound | None

    @property
    def text(self) -> str:
        """The newest round in one line."""
        best = ""
        if self.best and self.best.round + 1 < self.rounds:
            best = f", best {self.best.value:.4g} in round {self.best.round + 1}"
        return f"{self.title}: round {self.rounds}, {self.metric} {self.value:.4g}{best}"


class TuningProgressAnswer(Answer):
    """How far the tuning job is."""

    trial: int
    of: int
    metric: str
    best: float | None


class CurvePoint(Answer):
    """The value of a metric after a round; rounds count from 1."""

    round: int
    value: float | None


class Curve(Answer):
    """One metric of one training job."""

    job: str
    title: str
    metric: str
    rounds: int = Field(description="All rounds, of which at most 200 are listed.")
    points: tuple[CurvePoint, ...]


class EvaluatedAnswer(Answer):
    """Challenger and champion on one set of held-out rows."""

    rows: int
    challenger: ModelQuality = Field(
        description="The confusion matrix and the classes are left out above 100 classes."
    )
    champion: ModelQuality | None
    baseline: NaiveBaseline


class EvaluationAnswer(Answer):
    """How good the model of the run is, on rows that it was not trained on."""

    task: Task
    classes: tuple[str, ...] | None = Field(description="Null above 100 classes.")
    confidence: float
    metric: str | None = Field(description="The metric that decides at the gate.")
    champion_version: int | None
    new: EvaluatedAnswer
    base: EvaluatedAnswer | None
    fresh: EvaluatedAnswer | None
    folds: FoldScores | None
    notes: tuple[str, ...]


class TuningAnswer(Answer):
    """The trials of the tuning job, best first."""

    metric: str
    maximize: bool
    total: int
    trials: tuple[Trial, ...] = Field(description="At most 100.")


class FileAnswer(Answer):
    """A file of the drop."""

    key: str
    version: str
    size: int


class DataAnswer(Answer):
    """The data that made the run."""

    files: tuple[FileAnswer, ...] = Field(description="At most 100; in lists at most 10.")
    files_total: int
    rows: SideRows | None
    labelled: int = Field(description="Labelled predictions among the rows.")
    lost: dict[str, int] = Field(description="Labelled rows that were not used, by reason.")


class ExampleAnswer(Answer):
    """A held-out row."""

    values: tuple[str | None, ...] = Field(
        description="In the order of `columns`, as a file has them; null if missing."
    )
    truth: str | float = Field(description="Its label.")
    predicted: str | float = Field(description="What the version of the run predicts.")
    probability: float | None = Field(description="Of the predicted class; null for a regression.")
    live: str | float | None = Field(
        description="What the version that was live predicted; null without one that could."
    )
    wrong: bool | None = Field(description="Null for a regression.")


class ExamplesAnswer(Answer):
    """Some held-out rows, for people to look at."""

    columns: tuple[str, ...] = Field(
        description="The columns that the model uses; those of a picture are all columns."
    )
    image_side: int | None = Field(description="As in the form of the model.")
    image_max: float | None = Field(description="As in the form of the model.")
    rows: tuple[ExampleAnswer, ...] = Field(
        description="At most 12, and fewer if rows are long. First come those that are predicted "
        "wrong with the highest probability; of a regression those with the largest error."
    )


class RunAnswer(RunSummary):
    """`GET /models/{model}/runs/{run}`. A part that the run has not written (yet) is null."""

    model: str
    learned: Learned | None = Field(description="Wide tables: at most 200 columns.")
    tuning: TuningSummary | None
    features_from: FeatureSource | None
    script: ScriptRecord | None
    continued: Continuation | None
    states: tuple[StateVisit, ...] = Field(description="In their order; at most 500.")
    training: tuple[TrainingProgress, ...]
    tuning_progress: TuningProgressAnswer | None = Field(description="While the run trains.")
    curves: tuple[Curve, ...] = Field(description="At most 60.")
    gate: GateDecision | None
    evaluation: EvaluationAnswer | None
    examples: ExamplesAnswer | None = Field(description="Held-out rows with their predictions.")
    trials: TuningAnswer | None
    data: DataAnswer | None
