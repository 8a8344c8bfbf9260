"""Names: S3 keys of a model and its runs, SageMaker resources, run ids.

SageMaker names hold 63 characters of `[a-zA-Z0-9](-*[a-zA-Z0-9])*`; with a prefix of at most 12
characters and a model name of at most 24 characters every name fits.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import ModelNameInvalid

if TYPE_CHECKING:
    from datetime import datetime

MODEL_NAME_PATTERN = r"[a-z][a-z0-9-]{0,23}"
RUN_ID_LENGTH = 12
_PREDICTIONS = ".predictions.csv"
_MODEL_NAME = re.compile(rf"{MODEL_NAME_PATTERN}\Z")


def checked_model_name(name: str) -> str:
    """Return the name of a model if it is allowed.

    Raises:
        ModelNameInvalid: when it is not `[a-z][a-z0-9-]{0,23}`, or ends in a hyphen, which
            SageMaker refuses.
    """
    if not _MODEL_NAME.match(name) or name.endswith("-"):
        shown = name if len(name) <= 60 else f"{name[:57]}… ({len(name)} characters)"
        raise ModelNameInvalid(
            f"model name {shown!r} is not allowed: use 1 to 24 of a-z, 0-9 and hyphen, "
            "starting with a letter and not ending in a hyphen"
        )
    return name


def run_id(model: str, causes: list[tuple[str, str]]) -> str:
    """Return the id of a run; the same causes give the same id.

    Args:
        model: its name.
        causes: (S3 key, object version) of each file of the drop, in any order.
    """
    digest = hashlib.sha256(model.encode())
    for key, version in sorted(causes):
        digest.update(f"\0{key}\0{version}".encode())
    return digest.hexdigest()[:RUN_ID_LENGTH]


def retry_id(model: str, run: str) -> str:
    """Return the id of the run that repeats a run; the same run gives the same id."""
    return run_id(model, [("retry", run)])


def batch_id(model: str, key: str, version: str) -> str:
    """Return the id of the batch prediction of a file; the same version gives the same id."""
    return run_id(model, [(key, version)])


@dataclass(frozen=True)
class ModelKeys:
    """The S3 keys of one model."""

    model: str

    @property
    def settings(self) -> str:
        return f"{self.model}/model.toml"

    @property
    def raw(self) -> str:
        return f"{self.model}/raw/"

    @property
    def code(self) -> str:
        """The user's own training code."""
        return f"{self.model}/code/"

    @property
    def ground_truth(self) -> str:
        return f"{self.model}/ground-truth/"

    @property
    def capture(self) -> str:
        """Captured inferences, in the layout of SageMaker's data capture."""
        return f"{self.model}/capture/"

    @property
    def labelled(self) -> str:
        """The ledger of joined rows."""
        return f"{self.model}/labelled/"

    @property
    def labelled_slices(self) -> str:
        """The slices of the ledger, by day."""
        return f"{self.labelled}dt="

    def labelled_slices_of(self, day: str) -> str:
        """The slices of one day; `day` is YYYY-MM-DD."""
        return f"{self.labelled_slices}{day}/"

    def labelled_slice(self, day: str, digest: str) -> str:
        return f"{self.labelled_slices_of(day)}{digest}.jsonl"

    @property
    def labelled_days(self) -> str:
        """The days of the ledger whose slices were written into one object."""
        return f"{self.labelled}days/"

    def labelled_day(self, day: str) -> str:
        return f"{self.labelled_days}{day}.jsonl"

    def quarantined_capture(self, digest: str) -> str:
        return f"{self.model}/quarantine/capture/{digest}.jsonl"

    def quarantined_labels(self, digest: str) -> str:
        return f"{self.model}/quarantine/ground-truth/{digest}.jsonl"

    def cohort(self, version: int, start: datetime) -> str:
        """Input counts and constraint violations of one cohort."""
        return f"{self.model}/monitoring/v{version}/{start:%Y%m%dT%H%M%S}/"

    def input_counts(self, version: int, start: datetime, digest: str) -> str:
        """Input counts of the part of a cohort that one capture file holds."""
        return f"{self.cohort(version, start)}{digest}.npz"

    def input_totals(self, version: int, start: datetime) -> str:
        """Input counts of a version up to a cohort; not `.npz`, as its own counts end."""
        return f"{self.cohort(version, start)}totals.zip"

    def violations(self, version: int, start: datetime) -> str:
        return f"{self.cohort(version, start)}constraint_violations.json"

    def inputs(self, version: int, start: datetime) -> str:
        """Histograms of the inputs of one cohort beside those of the training data."""
        return f"{self.cohort(version, start)}inputs.json"

    def run(self, run: str) -> RunKeys:
        return RunKeys(self.model, run)

    @property
    def batch_input(self) -> str:
        """Files of rows to predict."""
        return f"{self.model}/batch/in/"

    def batch(self, batch: str) -> BatchKeys:
        return BatchKeys(self.model, batch)


@dataclass(frozen=True)
class RunKeys:
    """The S3 keys of one run. A key that ends in a slash is a prefix."""

    model: str
    run: str

    @property
    def root(self) -> str:
        return f"{self.model}/runs/{self.run}/"

    @property
    def drop(self) -> str:
        """What the run starts with: files and ledger slices, with their versions."""
        return f"{self.root}drop.json"

    @property
    def consumed(self) -> str:
        """Digests of all file versions that this run and the runs before it took from raw/."""
        return f"{self.root}consumed.txt"

    @property
    def manifest(self) -> str:
        """What the run trained on, and with which settings."""
        return f"{self.root}manifest.json"

    @property
    def schema(self) -> str:
        """Columns, classes and encodings, which the predict API applies again."""
        return f"{self.root}schema.json"

    @property
    def profile(self) -> str:
        """Statistics of the training rows: the baseline of the drift checks."""
        return f"{self.root}profile.json"

    @property
    def baseline(self) -> str:
        """What the version is compared with while it is live."""
        return f"{self.root}baseline.json"

    @property
    def features(self) -> str:
        """What was asked of the model that `[data] features_from` names; with this setting only."""
        return f"{self.root}features.json"

    @property
    def features_input(self) -> str:
        """Rows as that model reads them."""
        return f"{self.root}features/in/"

    @property
    def features_output(self) -> str:
        """Batch predictions of these rows."""
        return f"{self.root}features/out/"

    @property
    def train(self) -> str:
        return f"{self.root}train/"

    @property
    def validation(self) -> str:
        return f"{self.root}validation/"

    @property
    def test(self) -> str:
        """The held-out rows, label first."""
        return f"{self.root}test/"

    @property
    def evaluation_input(self) -> str:
        """Rows that both models predict: held-out rows in `new.csv`, `base.csv`, `fresh.csv`.

        `validation.csv` is there too if the settings have `[prediction] costs`.
        """
        return f"{self.root}evaluation/in/"

    def evaluation_output(self, side: str) -> str:
        """Batch predictions of `challenger` or `champion`."""
        return f"{self.root}evaluation/{side}/"

    def evaluation_labels(self, rows: str) -> str:
        """Labels of the rows `new`, `base`, `fresh` or `validation`, one per line."""
        return f"{self.root}evaluation/{rows}.labels"

    def evaluation_weights(self, rows: str) -> str:
        """Weights of the same rows in the same order, one per line; with `[data] weight` only."""
        return f"{self.root}evaluation/{rows}.weights"

    def evaluation_times(self, rows: str) -> str:
        """Times of the rows `new` in the same order, one per line; with `[data] time` only."""
        return f"{self.root}evaluation/{rows}.times"

    def fold_train(self, fold: int) -> str:
        """Training rows of a fold, numbered from 0; with `[training] folds` only."""
        return f"{self.root}folds/{fold}/train/"

    def fold_input(self, fold: int) -> str:
        """Features of the rows that the fold holds out, in `rows.csv`."""
        return f"{self.root}folds/{fold}/in/"

    def fold_output(self, fold: int) -> str:
        """Batch predictions of these rows."""
        return f"{self.root}folds/{fold}/out/"

    def fold_labels(self, fold: int) -> str:
        """Labels of the same rows in the same order, one per line."""
        return f"{self.root}folds/{fold}/rows.labels"

    def fold_weights(self, fold: int) -> str:
        """Weights of the same rows in the same order, one per line; with `[data] weight` only."""
        return f"{self.root}folds/{fold}/rows.weights"

    @property
    def decision(self) -> str:
        """Positive class and threshold of the version; with `[prediction]` only."""
        return f"{self.root}decision.json"

    @property
    def evaluation(self) -> str:
        """Metrics of challenger and champion, and their comparison."""
        return f"{self.root}evaluation.json"

    @property
    def evaluation_statistics(self) -> str:
        """Quality of the challenger in the format that SageMaker Studio reads."""
        return f"{self.root}evaluation_statistics.json"

    @property
    def evaluation_examples(self) -> str:
        """Some held-out rows with their predictions, for people to look at."""
        return f"{self.root}evaluation_examples.json"

    @property
    def curves(self) -> str:
        """The metrics of each round of the run's training jobs."""
        return f"{self.root}curves.json"

    @property
    def gate(self) -> str:
        """The decision of the gate, with all of its checks."""
        return f"{self.root}gate.json"

    @property
    def training_output(self) -> str:
        """SageMaker writes `<this><job>/output/model.tar.gz`."""
        return f"{self.root}training/"

    def code(self, digest: str) -> str:
        """The code of a training job in script mode; `digest` is of its content."""
        return f"{self.root}code/{digest}/sourcedir.tar.gz"

    @property
    def tuning(self) -> str:
        """The trials of the tuning job; with `[tuning] max_jobs` only."""
        return f"{self.root}tuning.json"

    @property
    def quarantine(self) -> str:
        return f"{self.model}/quarantine/{self.run}/"


@dataclass(frozen=True)
class BatchKeys:
    """The S3 keys of one batch prediction. A key that ends in a slash is a prefix."""

    model: str
    batch: str

    @property
    def root(self) -> str:
        return f"{self.model}/batch/runs/{self.batch}/"

    @property
    def input(self) -> str:
        """The encoded rows, in parts, which the transform job predicts."""
        return f"{self.root}in/"

    @property
    def output(self) -> str:
        """What the container answers, a file for each part."""
        return f"{self.root}out/"

    @property
    def prepared(self) -> str:
        """Version, rows of each part, and how the result is written."""
        return f"{self.root}prepared.json"

    @property
    def questions(self) -> str:
        """The same of what was asked of the model that `[data] features_from` names."""
        return f"{self.root}features/questions.json"

    @property
    def captured(self) -> str:
        """The encoded rows that will be captured, with their index."""
        return f"{self.root}captured.csv"

    @property
    def features_input(self) -> str:
        """The rows in parts as the model reads them that `[data] features_from` names."""
        return f"{self.root}features/in/"

    @property
    def features_output(self) -> str:
        """Batch predictions of these rows."""
        return f"{self.root}features/out/"

    def features_part(self, number: int) -> str:
        return f"{self.features_input}part-{number:05d}.csv"

    def features_part_output(self, number: int) -> str:
        return f"{self.features_output}part-{number:05d}.csv.out"

    def part(self, number: int) -> str:
        return f"{self.input}part-{number:05d}.csv"

    def part_output(self, number: int) -> str:
        """The object that the transform job writes for a part."""
        return f"{self.output}part-{number:05d}.csv.out"

    def part_rows(self, number: int) -> str:
        """Number and id of each row of a part, as CSV."""
        return f"{self.root}rows/part-{number:05d}.csv"

    def result(self, file: str) -> str:
        """The predictions of a file; `file` is its path below batch/in/.

        `a.csv` becomes `a.csv`, and `a.parquet` becomes `a.parquet.predictions.csv`. Two files
        never share a result, so `a.predictions.csv` becomes `a.predictions.csv.predictions.csv`.
        The result of a gzip file is one, too.
        """
        stem, gzip = (file[:-3], ".gz") if file.endswith(".gz") else (file, "")
        is_free = stem.endswith(".csv") and not stem.endswith(_PREDICTIONS)
        return f"{self.model}/batch/out/{stem if is_free else stem + _PREDICTIONS}{gzip}"

    def summary(self, file: str) -> str:
        return f"{self.result(file)}.summary.json"

    @property
    def quarantine(self) -> str:
        return f"{self.model}/quarantine/batch/{self.batch}/rows.jsonl"


@dataclass(frozen=True)
class ResourceNames:
    """Names of the SageMaker resources of a model. `prefix` distinguishes stacks."""

    prefix: str
    model: str

    @property
    def endpoint(self) -> str:
        return f"{self.prefix}-{self.model}"

    @property
    def model_package_group(self) -> str:
        return f"{self.prefix}-{self.model}"

    def job(self, run: str) -> str:
        """Stem of the job names of a run. Job names cannot be reused, so attempts add a number."""
        return f"{self.prefix}-{self.model}-{run}"

    def fold_job(self, run: str, fold: int) -> str:
        """Stem of the names of a fold's training job and model, and of its transform job."""
        return f"{self.job(run)}-f{fold}"

    def trained_by(self, run: str, job: str) -> str:
        """Return what a training job of the run trains, for a person: `training`, `fold 1`."""
        fold = re.match(r"-f(\d+)-", job.removeprefix(self.job(run)))
        return f"fold {int(fold[1]) + 1}" if fold else "training"

    def ensemble(self, run: str) -> str:
        """The model that consists of the models of all folds."""
        return f"{self.job(run)}-ensemble"

    def features(self, run: str) -> str:
        """SageMaker model of `[data] features_from`, and stem of its transform job's names."""
        return f"{self.job(run)}-features"

    def batch(self, batch: str) -> str:
        """SageMaker model of a batch prediction, and stem of the names of its transform jobs."""
        return f"{self.prefix}-{self.model}-{batch}-batch"

    def batch_features(self, batch: str) -> str:
        """The same of the model that `[data] features_from` names."""
        return f"{self.prefix}-{self.model}-{batch}-f-batch"

    def batch_models(self, batch: str) -> tuple[str, str]:
        """All SageMaker models that a batch can have."""
        return self.batch(batch), self.batch_features(batch)

    def tuning_job(self, run: str) -> str:
        """Stem of the tuning job names of a run, to which attempts add a number.

        These names have at most 32 characters, too few for the model's: the id of the run is a
        digest of its model and its cause.
        """
        return f"{self.prefix}-{run}"

    def deployed(self, version: int, deployment: str) -> str:
        """SageMaker model and endpoint config of one deployment of a version."""
        return f"{self.prefix}-{self.model}-v{version}-{deployment}"

    def is_deployed(self, config: str) -> bool:
        """Return whether a deployment of Refit created an endpoint config of this name."""
        stem = re.escape(f"{self.prefix}-{self.model}-v")
        return re.fullmatch(rf"{stem}[0-9]+-[0-9a-f]{{8}}", config) is not None

    @staticmethod
    def deployed_features(deployed: str) -> str:
        """SageMaker model of `[data] features_from` that a deployment serves beside its version."""
        return f"{deployed}-features"

    @staticmethod
    def features_variant(model: str, version: int) -> str:
        """Production variant of that model, which takes no traffic unless it is named."""
        return f"features-{model}-{version}"

    @staticmethod
    def variant(version: int) -> str:
        """Production variant: names the version in each answer and in the keys of capture files."""
        return f"v{version}"

    @staticmethod
    def version_of(variant: str) -> int:
        """Return the version that a variant serves; ValueError when Refit did not name it."""
        return int(variant.removeprefix("v"))


def model_tags(model: str) -> list[dict[str, str]]:
    """Return the tags of the SageMaker resources of a deployment."""
    return [{"Key": "refit:model", "Value": model}]


def model_of_group(prefix: str, group: str) -> str | None:
    """Return the model of a package group, or None when the group belongs to another stack."""
    head = f"{prefix}-"
    return group[len(head) :] if group.startswith(head) else None


def deployment_id(execution_arn: str) -> str:
    """Return the id of a deployment; the same execution gives the same id."""
    return hashlib.sha256(execution_arn.encode()).hexdigest()[:8]
