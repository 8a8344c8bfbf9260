"""Every name Refit gives: S3 keys of a model and its runs, SageMaker resources, run ids.

SageMaker names hold 63 characters of `[a-zA-Z0-9](-*[a-zA-Z0-9])*`; with a prefix of at most 12
characters and a model's name of at most 24 every name made here fits.
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
_MODEL_NAME = re.compile(rf"{MODEL_NAME_PATTERN}\Z")


def checked_model_name(name: str) -> str:
    """Return the name, or raise.

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
    """Return the id of the run that these causes start: the same causes give the same run.

    Args:
        model: the model's name.
        causes: (S3 key, object version) of each file of the drop, in any order.
    """
    digest = hashlib.sha256(model.encode())
    for key, version in sorted(causes):
        digest.update(f"\0{key}\0{version}".encode())
    return digest.hexdigest()[:RUN_ID_LENGTH]


@dataclass(frozen=True)
class ModelKeys:
    """The S3 keys of one model (design 4.1), all relative to the bucket."""

    model: str

    @property
    def settings(self) -> str:
        return f"{self.model}/model.toml"

    @property
    def raw(self) -> str:
        return f"{self.model}/raw/"

    @property
    def ground_truth(self) -> str:
        return f"{self.model}/ground-truth/"

    @property
    def capture(self) -> str:
        """Captured inferences, as SageMaker's data capture lays them out."""
        return f"{self.model}/capture/"

    @property
    def labelled(self) -> str:
        """The ledger of joined rows."""
        return f"{self.model}/labelled/"

    def labelled_slice(self, day: str, digest: str) -> str:
        """One slice of the ledger; `day` is YYYY-MM-DD."""
        return f"{self.labelled}dt={day}/{digest}.jsonl"

    def quarantined_capture(self, digest: str) -> str:
        return f"{self.model}/quarantine/capture/{digest}.jsonl"

    def quarantined_labels(self, digest: str) -> str:
        return f"{self.model}/quarantine/ground-truth/{digest}.jsonl"

    def cohort(self, version: int, start: datetime) -> str:
        """What is counted of one cohort's inputs, and what was found in it."""
        return f"{self.model}/monitoring/v{version}/{start:%Y%m%dT%H%M%S}/"

    def input_counts(self, version: int, start: datetime, digest: str) -> str:
        """The part of a cohort's input counts that one capture file gave."""
        return f"{self.cohort(version, start)}{digest}.npz"

    def violations(self, version: int, start: datetime) -> str:
        return f"{self.cohort(version, start)}constraint_violations.json"

    def run(self, run: str) -> RunKeys:
        return RunKeys(self.model, run)


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
        """The files that caused the run, with their versions."""
        return f"{self.root}drop.json"

    @property
    def manifest(self) -> str:
        """What went into the run and with which settings."""
        return f"{self.root}manifest.json"

    @property
    def schema(self) -> str:
        """Columns, classes and encodings; the predict API applies it again."""
        return f"{self.root}schema.json"

    @property
    def profile(self) -> str:
        """Statistics of the training rows: the baseline of the drift checks."""
        return f"{self.root}profile.json"

    @property
    def baseline(self) -> str:
        """What the version is held against while it is live."""
        return f"{self.root}baseline.json"

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
        """What both models predict in batch: `new.csv`, the champion's `base.csv`, `fresh.csv`."""
        return f"{self.root}evaluation/in/"

    def evaluation_output(self, side: str) -> str:
        """Where the batch predictions of `challenger` or `champion` go."""
        return f"{self.root}evaluation/{side}/"

    def evaluation_labels(self, rows: str) -> str:
        """The true labels of the held-out rows `new`, `base` or `fresh`, one per line."""
        return f"{self.root}evaluation/{rows}.labels"

    @property
    def evaluation(self) -> str:
        """Every metric of challenger and champion, with intervals, and their comparison."""
        return f"{self.root}evaluation.json"

    @property
    def evaluation_statistics(self) -> str:
        """The challenger's quality in the form that SageMaker Studio reads."""
        return f"{self.root}evaluation_statistics.json"

    @property
    def gate(self) -> str:
        """What the gate decided, and every check behind it."""
        return f"{self.root}gate.json"

    @property
    def training_output(self) -> str:
        """SageMaker writes `<this><job>/output/model.tar.gz`."""
        return f"{self.root}training/"

    @property
    def quarantine(self) -> str:
        return f"{self.model}/quarantine/{self.run}/"


@dataclass(frozen=True)
class ResourceNames:
    """The names of a model's SageMaker resources. `prefix` sets one stack apart from another."""

    prefix: str
    model: str

    @property
    def endpoint(self) -> str:
        return f"{self.prefix}-{self.model}"

    @property
    def model_package_group(self) -> str:
        return f"{self.prefix}-{self.model}"

    def job(self, run: str) -> str:
        """The stem of a run's job names; an attempt's number is added, names are used once."""
        return f"{self.prefix}-{self.model}-{run}"

    def deployed(self, version: int, deployment: str) -> str:
        """The model and endpoint config of one deployment of one package version."""
        return f"{self.prefix}-{self.model}-v{version}-{deployment}"

    @staticmethod
    def variant(version: int) -> str:
        """The production variant says which version answered, and captured files are under it."""
        return f"v{version}"

    @staticmethod
    def version_of(variant: str) -> int:
        """Return the version that a variant of ours serves; ValueError for another's name."""
        return int(variant.removeprefix("v"))


def model_of_group(prefix: str, group: str) -> str | None:
    """Return the model whose package group this is, or None when it is not of this stack."""
    head = f"{prefix}-"
    return group[len(head) :] if group.startswith(head) else None


def deployment_id(execution_arn: str) -> str:
    """Return the short id of one deployment: the same execution gives the same id."""
    return hashlib.sha256(execution_arn.encode()).hexdigest()[:8]
