"""Compare rules for input drift: false flags per day without a shift, and detected shifts.

    python benchmarks/drift_inputs.py [--quick] [--days 10]

64 features are checked once an hour. Each rule compares the rows of the hour with 20,000 training
rows in the bins of profile.json. A shift moves one normally distributed feature by a part of its
standard deviation. The last line is the time to count 100,000 rows.
"""

import argparse
import math
import time
from collections import Counter

import numpy as np
from drift_detectors import baseline_of, in_own_environment

FEATURES = 64
TRAINING = 20_000
HOURS_A_DAY = 24


def columns_for(random):
    from refit.domain.monitoring.input_counts import columns_of
    from refit.domain.schema import Feature, Schema
    from refit.tabular.profile import profile_of

    schema = Schema(
        task="classification",
        label="label",
        features=tuple(Feature(name=f"f{number}", type="number") for number in range(FEATURES)),
        classes=("a", "b"),
    )
    sample = random.normal(size=(TRAINING, FEATURES + 1))
    return columns_of(
        profile_of(schema, Counter(train=TRAINING), Counter(), sample), baseline_of(0, 1)
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
    found = check_columns(columns, counter.counts(), MonitoringSettings())
    return [finding for finding in found if finding.check == "distribution"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=10, help="days without a shift, for each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--quick", action="store_true", help="one day")
    options = parser.parse_args()
    in_own_environment()
    random = np.random.default_rng(7)
    columns = columns_for(random)
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
    matrix = random.normal(size=(100_000, FEATURES))
    begin_s = time.process_time()
    findings(columns, matrix)
    print(f"100,000 rows × {FEATURES} features: {time.process_time() - begin_s:.2f} s of CPU")


if __name__ == "__main__":
    main()
