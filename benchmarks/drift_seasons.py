"""Compare drift detectors on errors that rise and fall with the day and the week.

    python benchmarks/drift_seasons.py [--quick] [--runs 30] [--processes 2] [--only healthy]

Each run has 60 days of hourly cohorts, all of which are labelled. The error rate of a healthy model
is 8 % times 1 + a·sin(…), with a period of a day, a week, or the product of both, at a random
phase. The tolerated error rate comes from 5,000 held-out rows, drawn anew for each run from whole
seasons. The parts are:
    healthy   share of runs with a false alarm, for each season of the error
    traffic   the same, when traffic or the share of classes has a season, too
    late      the same, when errors and correct predictions are not labelled in time equally often
    rises     hours until a rise at day 20 is detected
    others    share of healthy runs with a false alarm of other detectors, at river's defaults
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from drift_detectors import (
    FALSE_ALARM_EVERY,
    Chunks,
    baseline_of,
    cohort_of,
    in_own_environment,
    opponents,
)

ERROR = 0.08
HELD_OUT = 5_000
DAY, WEEK = 24, 168
DAYS, CHANGE = 60, 20 * 24
HOURS = DAYS * DAY
RISES = (0.02, 0.04, 0.08, 0.16, 0.40)
SWINGS = (0.0, 0.2, 0.3, 0.5, 0.8)
TRAFFIC = (20, 200, 2000)
SEASONS = {"daily": (DAY,), "weekly": (WEEK,), "both": (DAY, WEEK)}
IN_TIME = ((0.95, 0.9), (0.9, 0.7), (0.9, 0.45), (0.9, 0.18), (0.6, 0.3), (0.5, 0.5))
"""Share of the errors that are labelled in time, and of the correct predictions."""
SETTINGS = {"without a season": 0, "season_s = 86400": DAY * 3600, "default": WEEK * 3600}


def factors(random, swing, lengths):
    """Return (HOURS,) factors around 1, as of a season."""
    hours, product = np.arange(HOURS), np.ones(HOURS)
    for length in lengths:
        product *= 1 + swing * np.sin(2 * np.pi * hours / length + random.uniform(0, 2 * np.pi))
    return product


def first_alarm(cohorts, baseline, season_s):
    """Return the number of cohorts until the first alarm, or None."""
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.quality_drift import log_evidence_after_each

    settings = MonitoringSettings(
        label_age_s=0, label_wait_s=0, season_s=season_s, false_alarm_every=FALSE_ALARM_EVERY
    )
    classes = tuple(baseline.classes or ())
    logs = log_evidence_after_each(cohorts, classes, baseline, settings)
    over = np.flatnonzero(logs >= np.log(FALSE_ALARM_EVERY))
    return int(over[0]) + 1 if len(over) else None


def cohorts_of(random, error, counts):
    wrong = random.binomial(counts, np.clip(error, 0, 1))
    return [
        cohort_of(hour, n, (n, k), (n, k))
        for hour, (n, k) in enumerate(zip(counts.tolist(), wrong.tolist(), strict=True))
    ]


def held_out(random, error, counts):
    """Return the baseline of held-out rows of the same seasons."""
    return baseline_of(random.binomial(HELD_OUT, float(error @ counts / counts.sum())), HELD_OUT)


def healthy(seed, run, n, swing, season):
    """Return whether each setting raises a false alarm."""
    random = np.random.default_rng([seed, run, n, int(100 * swing), len(season)])
    counts = np.full(HOURS, n)
    error = ERROR * factors(random, swing, SEASONS[season])
    baseline, cohorts = held_out(random, error, counts), cohorts_of(random, error, counts)
    return [first_alarm(cohorts, baseline, each) is not None for each in SETTINGS.values()]


def traffic(seed, run, n, kind):
    """Return whether each setting raises a false alarm when more than the error has a season."""
    random = np.random.default_rng([seed, run, n, len(kind)])
    lengths = SEASONS["both"]
    if kind == "traffic":
        counts = random.poisson(n * factors(random, 0.5, lengths)) + 1
        error = ERROR * factors(random, 0.5, lengths)
        baseline, cohorts = held_out(random, error, counts), cohorts_of(random, error, counts)
    else:
        baseline, cohorts = mixed(random, n, factors(random, 0.5, lengths))
    return [first_alarm(cohorts, baseline, each) is not None for each in SETTINGS.values()]


def late(seed, run, n, swing, in_time):
    """Return whether the settings with a season raise a false alarm, each in its own season."""
    random = np.random.default_rng([seed, run, n, *(int(100 * share) for share in in_time)])
    counts = np.full(HOURS, n)
    alarms = []
    for lengths, season_s in zip(((DAY,), (DAY, WEEK)), list(SETTINGS.values())[1:], strict=True):
        error = ERROR * factors(random, swing, lengths)
        wrong = random.binomial(counts, np.clip(error, 0, 1))
        errors = random.binomial(wrong, in_time[0])
        labelled = errors + random.binomial(counts - wrong, in_time[1])
        cohorts = [
            cohort_of(hour, n, (int(labelled[hour]), int(errors[hour])), (n, int(wrong[hour])))
            for hour in range(HOURS)
        ]
        alarms.append(first_alarm(cohorts, held_out(random, error, counts), season_s) is not None)
    return alarms


def mixed(random, n, swing):
    """Return a baseline and cohorts of three classes; the share of the hardest has a season."""
    from refit.domain.monitoring.baseline import ClassBaseline

    rates = np.array([0.02, 0.08, 0.2])
    hard = 0.2 * swing
    shares = np.stack([0.5 * (1 - hard) / 0.8, 0.3 * (1 - hard) / 0.8, hard], axis=1)
    actual = np.array([random.multinomial(n, each) for each in shares])
    wrong = random.binomial(actual, rates)
    support = random.multinomial(HELD_OUT, shares.mean(axis=0))
    missed = random.binomial(support, rates)
    classes = {
        str(code): ClassBaseline(support=int(rows), missed=int(errors))
        for code, (rows, errors) in enumerate(zip(support, missed, strict=True))
    }
    baseline = baseline_of(missed.sum(), HELD_OUT).model_copy(update={"classes": classes})
    cohorts = []
    for hour in range(HOURS):
        counts = {
            code: (int(actual[hour, code]), int(wrong[hour, code])) for code in range(len(rates))
        }
        total = (n, int(wrong[hour].sum()))
        cohorts.append(cohort_of(hour, n, total, total, counts))
    return baseline, cohorts


def rise(seed, run, n, points, swing):
    """Return for each setting the hours until the alarm; −1 for a false one, None for none."""
    random = np.random.default_rng([seed, run, n, int(1000 * points), int(100 * swing)])
    counts = np.full(HOURS, n)
    error = ERROR * factors(random, swing, (DAY,))
    baseline = held_out(random, error, counts)
    error[CHANGE:] += points
    cohorts = cohorts_of(random, error, counts)
    alarms = [first_alarm(cohorts, baseline, each) for each in SETTINGS.values()]
    return [None if at is None else max(at - CHANGE, -1) for at in alarms]


def others(seed, run, n, swing):
    """Return the names of the other detectors that raise a false alarm."""
    random = np.random.default_rng([seed, run, n, int(100 * swing), 5])
    share = np.repeat(ERROR * factors(random, swing, (DAY,)), n)
    errors = random.random(len(share)) < share
    deviation = (ERROR * (1 - ERROR) / 1000) ** 0.5
    compared = {
        name: detector
        for name, detector in opponents().items()
        if name in ("ADWIN", "HDDM_A", "HDDM_W", "PageHinkley")
    } | {"chunks of 1,000, ±3 sd": Chunks(ERROR + 3 * deviation)}
    return {name: bool(list(detector.alarms(errors))) for name, detector in compared.items()}


def print_shares(title, seen):
    print_row(title, (f"{sum(column)}/{len(seen)}" for column in zip(*seen, strict=True)))


def print_row(title, cells):
    print(f"{title:44}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def print_healthy(pool):
    print_row("healthy: runs with a false alarm", SETTINGS)
    for season in SEASONS:
        for swing in SWINGS:
            for n in TRAFFIC:
                seen = pool(partial(healthy, n=n, swing=swing, season=season))
                print_shares(f"{season}, ±{swing:.0%}, {n:,} an hour", seen)


def print_traffic(pool):
    print_row("healthy: runs with a false alarm", SETTINGS)
    for kind in ("traffic", "class mix"):
        for n in TRAFFIC:
            seen = pool(partial(traffic, n=n, kind=kind))
            print_shares(f"{kind} ±50%, daily and weekly, {n:,} an hour", seen)


def print_late(pool):
    print_row("healthy: runs with a false alarm", list(SETTINGS)[1:])
    for in_time in IN_TIME:
        for swing in (0.5, 0.8):
            for n in (200, 2000):
                seen = pool(partial(late, n=n, swing=swing, in_time=in_time))
                title = (
                    f"in time {in_time[0]:.0%} and {in_time[1]:.0%}, ±{swing:.0%}, {n:,} an hour"
                )
                print_shares(title, seen)


def print_rises(pool):
    print_row("median hours until the alarm (false, missed)", SETTINGS)
    for n in TRAFFIC:
        for swing in (0.0, 0.5) if n == 200 else (0.0,):
            for points in RISES:
                seen = pool(partial(rise, n=n, points=points, swing=swing))
                title = f"+{points:.0%} at {n:,} an hour, season ±{swing:.0%}"
                print_row(title, (_delay(column) for column in zip(*seen, strict=True)))


def _delay(column):
    known = [at for at in column if at is not None and at >= 0]
    false = sum(at == -1 for at in column)
    missed = sum(at is None for at in column)
    longest = f" to {max(known):,}" if known else ""
    return (f"{np.median(known):,.0f}{longest}" if known else "–") + f" ({false}, {missed})"


def print_others(pool):
    first = True
    for n in (20, 200):
        for swing in (0.0, 0.3, 0.8):
            seen = pool(partial(others, n=n, swing=swing))
            if first:
                print_row("healthy: runs with a false alarm", seen[0])
                first = False
            title = f"daily, ±{swing:.0%}, {n:,} an hour"
            print_shares(title, [tuple(each.values()) for each in seen])


PARTS = {
    "healthy": print_healthy,
    "traffic": print_traffic,
    "late": print_late,
    "rises": print_rises,
    "others": print_others,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30, help="number of runs for each figure")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=list(PARTS), help="one part of the table")
    parser.add_argument("--quick", action="store_true", help="3 runs")
    options = parser.parse_args()
    in_own_environment()
    options.runs = 3 if options.quick else options.runs
    print(f"seed {options.seed}, {options.runs} runs for each figure")
    began = time.monotonic()
    with ProcessPoolExecutor(options.processes) as processes:

        def pool(measure):
            return list(processes.map(partial(measure, options.seed), range(options.runs)))

        for name in [options.only] if options.only else PARTS:
            PARTS[name](pool)
    print(f"took {(time.monotonic() - began) / 60:.0f} min")


if __name__ == "__main__":
    main()
