"""Compare drift detectors on simulated errors: false alarms, and labels until a rise is detected.

    python benchmarks/drift_errors.py [--quick] [--runs 50] [--held-out 10000] [--cohort 25]

The error rate is 8 % for 100,000 labels, or for 500 labels as after a deployment. Then it rises
suddenly or slowly. The held-out errors are drawn again for each run.
"""

import argparse
from collections import defaultdict

import numpy as np
from drift_detectors import Chunks, Refit, baseline_of, in_own_environment, opponents, scored

ERROR = 0.08
HORIZON = 20_000


def detectors(random, options):
    from refit.domain.monitoring.detectors import LIMIT_CONFIDENCE
    from refit.domain.monitoring.evidence import upper_bound

    def ours(rows, tolerance=0.005, stacked=False, season_s=0):
        wrong = random.binomial(rows, ERROR)
        if stacked:  # the limit is the sum of both allowances instead of the larger one
            tolerance += upper_bound(wrong, rows, LIMIT_CONFIDENCE) - wrong / rows
        return Refit(baseline_of(wrong, rows), options.cohort, tolerance, season_s)

    deviation = (ERROR * (1 - ERROR) / 1000) ** 0.5
    return {
        f"Refit, {options.held_out:,} held out": ours(options.held_out),
        "Refit, season of 24 cohorts": ours(options.held_out, season_s=24 * 3600),
        "Refit, default season, 168 cohorts": ours(options.held_out, season_s=168 * 3600),
        "Refit, 2,000 held out": ours(2000),
        "Refit, 100,000 held out, no tolerance": ours(100_000, tolerance=0.0),
        f"limit = bound + tolerance, {options.held_out:,}": ours(options.held_out, stacked=True),
        **opponents(),
        "chunks of 1000, ±3 sd": Chunks(ERROR + 3 * deviation),
        "chunks of 1000, worse than baseline": Chunks(ERROR),
    }


def errors(random, before, after):
    shares = np.concatenate([np.full(before, ERROR), after])
    return random.random(len(shares)) < shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50, help="number of runs for each figure")
    parser.add_argument("--held-out", type=int, default=10_000, help="held-out rows of Refit")
    parser.add_argument("--cohort", type=int, default=25, help="labels in a cohort of Refit")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="5 runs")
    options = parser.parse_args()
    in_own_environment()
    ramp = np.concatenate([np.linspace(ERROR, 2 * ERROR, 60_000), np.full(HORIZON, 2 * ERROR)])
    cases = {
        f"+{points} pp": (100_000, np.full(HORIZON, ERROR + points / 100))
        for points in (2, 4, 8, 16)
    } | {
        "+4 pp after 500": (500, np.full(HORIZON, ERROR + 0.04)),
        "ramp 8→16 %": (100_000, ramp),
    }
    false, delays = defaultdict(list), defaultdict(list)
    for run in range(5 if options.quick else options.runs):
        for case, (before, after) in cases.items():
            random = np.random.default_rng([options.seed, run, before, int(1e6 * after.sum())])
            wrong = errors(random, before, after)
            for name, detector in detectors(random, options).items():
                early, delay = scored(detector.alarms(wrong), before, len(after))
                delays[name, case].append(delay)
                if before == 100_000:
                    false[name].append(early > 0)
    print(f"{'':40}{'P(false alarm)':>18}" + "".join(f"{case:>18}" for case in cases))
    for name, false_runs in false.items():
        cells = ""
        for case in cases:
            known = [delay for delay in delays[name, case] if delay is not None]
            missed = 1 - len(known) / len(delays[name, case])
            median = f"{np.median(known):,.0f}" if known else "none"
            cells += f"{median + f' / {missed:.2f}':>18}"
        print(f"{name:40}{np.mean(false_runs):18.2f}{cells}", flush=True)


if __name__ == "__main__":
    main()
