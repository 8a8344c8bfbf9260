"""A live version with the artifacts of its run, its counters and its verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from refit.domain.inferences.cohort_key import CohortKey, cohort_start
from refit.domain.model_settings import ModelSettings
from refit.domain.moments import iso, utc_now
from refit.domain.monitoring.verdict import DriftAlarm, LiveQuality, QualityVerdict, Verdict
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.manifest import Drop, Manifest, ObjectVersion, SideRows, UsedSlice
from refit.domain.pipeline.model_state import Champion
from refit.domain.vocabulary import RunStatus
from refit.handlers.wiring import services

from tests.support.aws_stack import forget_services
from tests.support.captured_digits import BASELINE, PROFILE, SCHEMA

MODEL = "digits"
COHORT_S = 60
SETTINGS = {
    "monitoring": {
        "cohort_s": COHORT_S,
        "season_s": 0,
        "label_age_s": 60,
        "label_wait_s": 120,
        "min_labels": 20,
    },
    "retraining": {"min_labels": 100, "cooldown_s": 0},
}


def go_live(
    version: int,
    settings: dict[str, Any] | None = None,
    slices: tuple[UsedSlice, ...] = (),
    labels: int = 0,
    run: str | None = None,
) -> RunKeys:
    """Make a version live, with the artifacts of its run.

    Args:
        version: version number.
        settings: model.toml of the run.
        slices: slices of labelled rows that the version was trained on.
        labels: number of labelled predictions in the ledger when the run began.
        run: the run that made it; None for one that is named after the version.
    """
    keys = RunKeys(MODEL, run or f"run{version}")
    bucket, models = services().bucket, services().models
    file = ObjectVersion(
        key=f"{MODEL}/raw/a.csv", version="v-a", size=10, last_modified=datetime.now(UTC)
    )
    manifest = Manifest(
        model=MODEL,
        run=keys.run,
        cause="drop",
        files=(file,),
        slices=slices,
        settings=ModelSettings.model_validate(SETTINGS if settings is None else settings),
        rows=SideRows(train=1, validation=0, test=1, quarantined=0),
        created_at=None,
    )
    drop = Drop(model=MODEL, run=keys.run, cause="drop", files=(file,), labels=labels)
    bucket.put_json(keys.manifest, manifest.model_dump(mode="json"))
    bucket.put_json(keys.drop, drop.model_dump(mode="json"))
    bucket.put_json(keys.schema, SCHEMA.as_json())
    bucket.put_json(keys.baseline, BASELINE.model_dump(mode="json"))
    bucket.put_json(keys.profile, PROFILE)
    models.begin_run(MODEL, keys.run, "drop", None)
    models.record_version(MODEL, version, keys.run, f"arn:{version}")
    models.promote(
        MODEL,
        Champion(
            version=version,
            run=keys.run,
            package_arn=f"arn:{version}",
            endpoint="refit-digits",
            endpoint_config=f"refit-digits-v{version}",
            variant=f"v{version}",
            promoted_at=iso(utc_now()),
        ),
    )
    models.update_run(MODEL, keys.run, status=RunStatus.DEPLOYED)
    models.release_run(MODEL, keys.run)
    forget_services()
    _promotions.append(datetime.now(UTC))
    return keys


def count_cohort(version: int, start: datetime, labelled: int, errors: int) -> None:
    """Add the counters of predictions whose labels all arrived in time."""
    key = CohortKey(MODEL, version, cohort_start(start, COHORT_S), COHORT_S)
    right = labelled - errors
    sums = {
        "predictions": labelled,
        "labelled": labelled,
        "errors": errors,
        "delay_sum": 2 * labelled,
        "delay_n": labelled,
        "s|0|n": right - right // 2 + errors - errors // 2,
        "s|0|k": errors - errors // 2,
        "s|1|n": right // 2 + errors // 2,
        "s|1|k": errors // 2,
        "t_labelled": labelled,
        "t_errors": errors,
        "t|0|n": right - right // 2 + errors - errors // 2,
        "t|0|k": errors - errors // 2,
        "t|1|n": right // 2 + errors // 2,
        "t|1|k": errors // 2,
    }
    for write in services().monitoring.additions(MODEL, {key: sums}, {1, 2}):
        services().model_table.apply(write)


_promotions = [datetime.now(UTC)]


def ago(minutes: float) -> datetime:
    """Return a moment before the last promotion, which is the same for equal minutes in a test."""
    return _promotions[-1] - timedelta(minutes=minutes)


def put_slice(name: str) -> str:
    key = ModelKeys(MODEL).labelled_slice("2026-11-20", name)
    services().bucket.put(key, b'{"inferenceId":"x"}\n')
    return key


def store_verdict(version: int, drifted: bool = True) -> None:
    """Store the verdict of a check, which replaces the previous verdict."""
    before = services().monitoring.verdict(MODEL)
    now = utc_now()
    sentence = "Drift: 40 of 100 predictions are wrong." if drifted else "No drift."
    quality = QualityVerdict(
        drifted=drifted,
        log10_evidence=5.5 if drifted else 0.5,
        threshold=8760,
        labels=100,
        cohorts=3,
        since=now - timedelta(hours=24),
        counted=100,
        errors=40,
        error_rate=0.4,
        tolerated_error_rate=0.06,
        baseline_error=0.05,
        coverage=1.0,
        selectivity=1.0,
        class_name=None,
        alarm_cohort=now if drifted else None,
        held_back=None,
        sentence=sentence,
    )
    live = LiveQuality(
        since=now,
        until=now,
        cohorts=3,
        predictions=100,
        labelled=100,
        coverage=1.0,
        label_delay_s=2.0,
        metrics={"accuracy": 0.6},
        baseline={"accuracy": 0.95},
    )
    alarm = DriftAlarm(
        version=version, raised_at=now, claimed_at=now, notified=True, sentence=sentence
    )
    verdict = Verdict(
        version=version,
        run=f"run{version}",
        checked_at=now,
        quality=quality,
        live=live,
        inputs=None,
        alarm=alarm if drifted else None,
        revision=before.revision if before else 0,
    )
    assert services().monitoring.save_verdict(MODEL, verdict)
