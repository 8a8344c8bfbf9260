"""Compare rules for input drift: false flags per day without a shift, and detected shifts.

    python benchmarks/drift_inputs.py [--quick] [--days 10]

64 features are checked once an hour. Each rule compares the rows of the hour with 20,000 training
rows in the bins of profile.json. A shift moves one normally distributed feature by a part of its
standard deviation.

The last table is of a daily season: eight features move with the hour, by up to one standard
deviation, and the training rows are of whole days. Single hours are compared, or the last day.

The last line is the time to count 100,000 rows.
"""

import argparse
import math
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
from drift_detectors import baseline_of, in_own_environment

FEATURES, SEASONAL = 64, 8
TRAINING = 20_000
HOURS_A_DAY = 24
DAY_S = 86_400
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


def columns_for(sample):
    from refit.domain.monitoring.input_counts import columns_of
    from refit.domain.schema import Feature, Schema
    from refit.tabular.profile import profile_of

    schema = Schema(
        task="classification",
        label="label",
        features=tuple(Feature(name=f"f{number}", type="number") for number in range(FEATURES)),
        classes=("a", "b"),
    )
    labelled = np.column_stack([np.zeros(TRAINING), sample])
    return columns_of(
        profile_of(schema, Counter(train=TRAINING), Counter(), labelled), baseline_of(0, 1)
    )


def rules():
    """Return, by name, functions that state whether a rule flags a finding."""

    def kolmogorov_smirnov(finding):
        """Return whether p < 0.05, computed from the binned gap by the limit distribution."""
        effective = finding.n * finding.reference_n / (finding.n + finding.reference_n)
        reach = (math.sqrt(effective) + 0.12 + 0.11 / math.sqrt(effective)) * finding.value
        terms = range(1, 101)
        p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * reach * reach) for k in terms)
        return p < 0.05

    return {
        "Refit": lambda finding: finding.flagged,
        "Refit, without the effect floor": lambda finding: finding.value > noise(finding),
        "Deequ's robust distance > 0.1": lambda finding: finding.robust_distance > 0.1,
        "PSI > 0.2": lambda finding: finding.psi > 0.2,
        "√JS > 0.1": lambda finding: math.sqrt(finding.js) > 0.1,
        "KS p < 0.05": kolmogorov_smirnov,
        "always fires": lambda finding: True,
    }


def noise(finding):
    from refit.domain.monitoring.input_drift import threshold_of

    chance = 1 / (8760 * 2 * FEATURES)
    return threshold_of(finding.n, finding.reference_n, chance, 0.0)


def findings(columns, matrix):
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.input_counts import InputCounter
    from refit.domain.monitoring.input_drift import check_columns

    counter = InputCounter(columns)
    counter.add(matrix)
    found = check_columns(columns, counter.counts(), MonitoringSettings(season_s=0))
    return [finding for finding in found if finding.check == "distribution"]


def rows_at(random, hours, shift=0.0):
    """Return a row for each hour of the day; the first feature is shifted."""
    matrix = random.normal(size=(len(hours), FEATURES))
    matrix[:, :SEASONAL] += np.sin(2 * np.pi * (hours[:, None] / HOURS_A_DAY))
    matrix[:, 0] += shift
    return matrix


def flagged_by_hour(columns, hours, season_s):
    """Return, for each hour, which checks failed in it."""
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.input_counts import merged
    from refit.domain.monitoring.input_seasons import InputSpan, check_inputs

    settings = MonitoringSettings(cohort_s=3600, season_s=season_s)
    length = max(season_s // 3600, 1)
    flagged = []
    for number, counts in enumerate(hours):
        start = BEGIN + timedelta(hours=number)
        span = InputSpan.of_cohort(start, settings)
        if season_s:
            span = InputSpan.of_season(start, BEGIN, (), settings)
        total = merged(hours[max(number + 1 - length, 0) : number + 1])
        found = check_inputs(span, columns, counts, total, settings)
        flagged.append({(finding.name, finding.check) for finding in found if finding.flagged})
    return flagged


def counts_of(columns, matrices):
    from refit.domain.monitoring.input_counts import InputCounter

    found = []
    for matrix in matrices:
        counter = InputCounter(columns)
        counter.add(matrix)
        found.append(counter.counts())
    return found


def seasons(random, size, days):
    columns = columns_for(rows_at(random, random.integers(0, HOURS_A_DAY, TRAINING)))
    hours = [np.full(size, hour % HOURS_A_DAY) for hour in range(days * HOURS_A_DAY)]
    steady = counts_of(columns, (rows_at(random, hour) for hour in hours))
    print(f"a daily season, {size:,} rows per hour")
    for name, season_s in (("single hours", 0), ("the last day", DAY_S)):
        flagged = flagged_by_hour(columns, steady, season_s)
        share = sum(map(bool, flagged)) / len(flagged)
        print(f"{name:34}hours with a false warning: {share:6.1%}", flush=True)
    change = HOURS_A_DAY
    for shift in (0.2, 0.3, 0.5, 1.0):
        moved = counts_of(columns, (rows_at(random, hour, shift) for hour in hours[:change]))
        flagged = flagged_by_hour(columns, steady[:change] + moved, DAY_S)[change:]
        after = [hour for hour, found in enumerate(flagged, 1) if ("f0", "distribution") in found]
        print(
            f"a shift of +{shift} sd is found after {after[0] if after else 'more than 24'} hours"
        )
    for share in (0.02, 0.1, 0.3):
        broken = [rows_at(random, hour) for hour in hours[:change]]
        for matrix in broken:
            matrix[: round(share * size), 0] = 1e6
        flagged = flagged_by_hour(columns, counts_of(columns, broken), DAY_S)
        found = sum(("f0", "unseen numbers") in each for each in flagged) / len(flagged)
        print(f"{share:.0%} of the values out of range: found in {found:.0%} of the first hours")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=10, help="days without a shift, for each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--quick", action="store_true", help="one day")
    options = parser.parse_args()
    in_own_environment()
    random = np.random.default_rng(7)
    columns = columns_for(random.normal(size=(TRAINING, FEATURES)))
    hours = HOURS_A_DAY * (1 if options.quick else options.days)
    shifts = (0.1, 0.2, 0.3, 0.5, 1.0)
    shown = "".join(f"{f'+{shift} sd':>9}" for shift in shifts)
    for size in options.sizes:
        print(f"{f'{size:,} rows per hour':34}{'false/day':>12}  detected in hours:  {shown}")
        false, seen = Counter(), Counter()
        for _ in range(hours):
            matrix = random.normal(size=(size, FEATURES))
            steady = findings(columns, matrix)
            for name, rule in rules().items():
                false[name] += sum(map(rule, steady))
        trials = min(hours, 50)
        for shift in shifts:
            for _ in range(trials):
                matrix = random.normal(size=(size, FEATURES))
                matrix[:, 0] += shift
                moved = findings(columns, matrix)[0]
                for name, rule in rules().items():
                    seen[name, shift] += rule(moved)
        for name in rules():
            power = "".join(f"{seen[name, shift] / trials:>9.2f}" for shift in shifts)
            print(f"{name:34}{false[name] / hours * HOURS_A_DAY:12.1f}{'':22}{power}", flush=True)
    for size in options.sizes:
        seasons(random, size, 2 if options.quick else options.days)
    matrix = random.normal(size=(100_000, FEATURES))
    begin_s = time.process_time()
    findings(columns, matrix)
    print(f"100,000 rows × {FEATURES} features: {time.process_time() - begin_s:.2f} s of CPU")


if __name__ == "__main__":
    main()
