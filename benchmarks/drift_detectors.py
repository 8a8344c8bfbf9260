"""The detectors that the drift benchmarks compare, and how they are scored.

Refit's detector is the one in functions/refit/domain, checked after every cohort. The others are
those of river with default settings, updated with one label at a time. After a false alarm, every
detector continues with a new state, as after a retraining.
"""

import math
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
START = datetime(2026, 1, 1, tzinfo=UTC)
COHORT = timedelta(hours=1)
FOREVER = START + timedelta(days=365 * 1000)
FALSE_ALARM_EVERY = 8760


def in_own_environment():
    """Run this script again in an environment with river, which is created at the first run."""
    sys.path.insert(0, str(HERE.parent / "functions"))
    try:
        import river  # noqa: F401
    except ImportError:
        python = VENV / "bin" / "python"
        if sys.executable == str(python):
            raise
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        requirements = ["-r", HERE / "requirements.txt"]
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
        os.execv(python, [str(python), *sys.argv])


def cohort_of(hour, predictions, in_time, by_now, classes=None, classes_by_now=None):
    """Return a cohort for Refit's detector.

    Args:
        hour: number of the cohort.
        predictions: number of predictions.
        in_time: (labelled, errors) at the label age.
        by_now: (labelled, errors) now.
        classes: (labelled, errors) by class code, at the label age.
        classes_by_now: the same now, if it differs.
    """
    from refit.domain.monitoring.cohort import Cohort, Matured, Shown

    classes = classes or {}
    return Cohort(
        version=1,
        start=START + hour * COHORT,
        seconds=3600,
        predictions=predictions,
        files=frozenset({1, 2}),
        shown=Shown(*by_now, classes=classes_by_now or classes),
        matured=Matured(*in_time, classes),
    )


class Refit:
    """Refit's detector on cohorts with a fixed number of labels.

    The evidence after each cohort is the evidence that a check at that time would have computed.
    The full verdict is computed only for cohorts after which the evidence exceeds the threshold.
    """

    def __init__(self, baseline, cohort_labels, tolerance=0.005, season_s=0):
        from refit.domain.model_settings import MonitoringSettings

        self._baseline = baseline
        self._classes = tuple(baseline.classes or ())
        self._cohort_labels = cohort_labels
        self._settings = MonitoringSettings(
            label_age_s=0,
            label_wait_s=0,
            cohort_s=COHORT // timedelta(seconds=1),
            tolerance=tolerance,
            season_s=season_s,
            false_alarm_every=FALSE_ALARM_EVERY,
        )

    def alarms(self, errors, labels=None):
        """Return the number of labels at each alarm; the detector is reset after an alarm."""
        alarms, begin = [], 0
        cohorts = self._cohorts(errors, labels)
        while begin < len(cohorts):
            at = self._first_alarm(cohorts[begin:])
            if at is None:
                break
            begin += at + 1
            alarms.append(begin * self._cohort_labels)
        return alarms

    def _cohorts(self, errors, labels):
        size = self._cohort_labels
        cohorts = len(errors) // size
        wrong = errors[: cohorts * size].reshape(cohorts, size)
        classes = [{} for _ in range(cohorts)]
        if labels is not None:
            actual = labels[: cohorts * size].reshape(cohorts, size)
            for code, name in enumerate(self._classes):
                of_class = actual == int(name)
                for counts, n, k in zip(
                    classes, of_class.sum(axis=1), (of_class & wrong).sum(axis=1), strict=True
                ):
                    counts[code] = (int(n), int(k))
        return [
            cohort_of(hour, size, (size, k), (size, k), counts)
            for hour, (k, counts) in enumerate(
                zip(wrong.sum(axis=1).tolist(), classes, strict=True)
            )
        ]

    def _first_alarm(self, cohorts):
        from refit.domain.monitoring.quality_drift import judge_quality, log_evidence_after_each

        logs = log_evidence_after_each(cohorts, self._classes, self._baseline, self._settings)
        for at in np.flatnonzero(logs >= math.log(FALSE_ALARM_EVERY)):
            verdict = judge_quality(
                cohorts[: at + 1], self._classes, self._baseline, self._settings, FOREVER
            )
            if verdict.drifted:
                return int(at)
        return None


class River:
    """One of river's detectors."""

    def __init__(self, make):
        self._make = make

    def alarms(self, errors, labels=None):
        alarms, detector = [], self._make()
        for position, error in enumerate(errors.tolist(), 1):
            detector.update(error)
            if detector.drift_detected:
                alarms.append(position)
                detector = self._make()
        return alarms


class Always:
    """Raises an alarm at every label, to show what immediate detection alone is worth."""

    def alarms(self, errors, labels=None):
        return range(1, len(errors) + 1)


class Chunks:
    """Compares the error rate of chunks of labels with a fixed limit."""

    def __init__(self, limit, labels=1000):
        self._limit, self._labels = limit, labels

    def alarms(self, errors, labels=None):
        size = self._labels
        shares = errors[: len(errors) // size * size].reshape(-1, size).mean(axis=1)
        return ((np.flatnonzero(shares > self._limit) + 1) * size).tolist()


def opponents():
    from river.drift import ADWIN, PageHinkley
    from river.drift.binary import DDM, EDDM, HDDMA, HDDMW

    makes = {
        "ADWIN": ADWIN,
        "HDDM_A": HDDMA,
        "HDDM_W": HDDMW,
        "DDM": DDM,
        "PageHinkley": PageHinkley,
        "EDDM": EDDM,
    }
    return {name: River(make) for name, make in makes.items()} | {"always fires": Always()}


def scored(alarms, change, horizon):
    """Return the number of alarms before the change, and the delay of the first one after it.

    Args:
        alarms: number of labels at each alarm, ascending.
        change: number of labels before the change.
        horizon: number of labels after the change in which an alarm must come; otherwise the
            change is missed and the delay is None.
    """
    false = sum(1 for at in alarms if at <= change)
    after = next((at - change for at in alarms if change < at <= change + horizon), None)
    return false, after


def baseline_of(errors, rows):
    """Return a baseline that contains only the number of held-out errors."""
    from refit.domain.monitoring.baseline import Baseline

    return Baseline(
        task="classification",
        rows_of="new",
        rows=rows,
        errors=int(errors),
        quality={"accuracy": 1 - errors / rows},
    )
