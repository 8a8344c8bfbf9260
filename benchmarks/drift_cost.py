"""Measure what a judgement of the quality costs: a year of hourly cohorts, ten classes.

    python benchmarks/drift_cost.py [--cohorts 8760] [--classes 10] [--repeat 5]

Each cohort has 200 labelled predictions. With incomplete labels, 20 of them are labelled after the
label age, wrong predictions somewhat sooner. The least of the repetitions is shown, in CPU seconds;
nothing is kept between them.
"""

import argparse
import time
from datetime import timedelta

import numpy as np
from drift_detectors import START, cohort_of, in_own_environment

ERROR = 0.08
BY_HOUR, LATE = 200, 20
SEASONS = {"without a season": 0, "season_s = 86400": 86_400, "the default": 604_800}


def baseline_of(classes):
    from refit.domain.monitoring.baseline import Baseline, ClassBaseline

    quality = {"recall": 1 - ERROR, "precision": 1 - ERROR, "f1": 1 - ERROR}
    held_out = ClassBaseline(support=1000, missed=80, **quality)
    return Baseline(
        task="classification",
        rows_of="new",
        rows=10_000,
        errors=800,
        quality={"accuracy": 1 - ERROR},
        classes={str(code): held_out for code in range(classes)},
    )


def cohorts_of(random, options, complete):
    from refit.domain.monitoring.cohort import ClassCounts

    cohorts = []
    for hour in range(options.cohorts):
        rows = random.multinomial(BY_HOUR, np.full(options.classes, 1 / options.classes))
        wrong = random.binomial(rows, ERROR)
        late = (
            np.zeros_like(rows) if complete else np.minimum(rows - wrong, LATE // options.classes)
        )
        now = {code: (int(n), int(k)) for code, (n, k) in enumerate(zip(rows, wrong, strict=True))}
        in_time = {code: (n - int(late[code]), k) for code, (n, k) in now.items()}
        totals = [
            (sum(n for n, _ in counts.values()), sum(k for _, k in counts.values()))
            for counts in (in_time, now)
        ]
        cohorts.append(cohort_of(hour, BY_HOUR, *totals, ClassCounts(in_time), ClassCounts(now)))
    return cohorts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cohorts", type=int, default=8760)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    in_own_environment()
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.quality_drift import judge_quality

    names = tuple(map(str, range(options.classes)))
    baseline = baseline_of(options.classes)
    now = START + timedelta(days=365 * 10)
    print(f"{options.cohorts:,} cohorts, {options.classes} classes")
    for labels, complete in (("complete labels", True), ("incomplete labels", False)):
        cohorts = cohorts_of(np.random.default_rng(1), options, complete)
        for name, season_s in SEASONS.items():
            settings = MonitoringSettings(label_age_s=0, label_wait_s=0, season_s=season_s)
            seconds = []
            for _ in range(options.repeat):
                begin = time.process_time()
                judge_quality(cohorts, names, baseline, settings, now)
                seconds.append(time.process_time() - begin)
            print(f"{labels:18} {name:18} {min(seconds):.2f} s")


if __name__ == "__main__":
    main()
