"""Measure drift detection when labels arrive late, and earlier for wrong predictions.

    python benchmarks/drift_delays.py [--quick] [--runs 100] [--wait 80]

Each run has hourly cohorts for 160 hours and an error rate of 8 %. Labels have exponential delays
with an average of 20 hours. The false-alarm figure is the share of runs with an alarm if the error
rate does not change. The detection figure is the number of hours until the alarm if the error rate
rises to 16 % at hour 100. Every rule checks once an hour. The cases are:
    full        every prediction is labelled at once
    selective   the delays of wrong predictions are a fifth of the others
    sampled     a random tenth of the predictions is labelled at once, the others never
"""

import argparse
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from drift_detectors import FALSE_ALARM_EVERY, START, baseline_of, cohort_of, in_own_environment

ERROR, RISEN = 0.08, 0.16
HOURS, CHANGE = 160, 100
AGE = 8
HELD_OUT = 10_000


@dataclass
class World:
    """The hour of each prediction, whether it is wrong, and the hour when its label arrives."""

    hour: np.ndarray
    wrong: np.ndarray
    label_at: np.ndarray

    @classmethod
    def drawn(cls, random, a_cohort, case, change):
        hour = np.repeat(np.arange(HOURS), a_cohort)
        wrong = random.random(len(hour)) < np.where(hour < change, ERROR, RISEN)
        delay = random.exponential(20, len(hour))
        if case == "selective":
            delay[wrong] /= 5
        if case == "sampled":
            delay = np.where(random.random(len(hour)) < 0.1, 0, np.inf)
        if case == "full":
            delay[:] = 0
        return cls(hour, wrong, hour + random.random(len(hour)) + delay)

    def counts(self, known):
        """Return the number of labelled predictions and of wrong ones among them, by cohort."""
        return (
            np.bincount(self.hour[known], minlength=HOURS),
            np.bincount(self.hour[known & self.wrong], minlength=HOURS),
        )

    def at(self, hour):
        """Return the cohorts that are known at this hour."""
        made = np.bincount(self.hour, minlength=HOURS)
        # Each prediction reaches the label age at its own time.
        in_time = self.counts(self.label_at <= self.hour + 1 + AGE)
        now = self.counts(self.label_at <= hour)
        return [
            cohort_of(number, int(n), (int(a), int(b)), (int(c), int(d)))
            for number, (n, a, b, c, d) in enumerate(zip(made, *in_time, *now, strict=True))
            if number < hour
        ]


def shipped(wait):
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.quality_drift import judge_quality

    settings = MonitoringSettings(
        label_age_s=AGE * 3600,
        label_wait_s=wait * 3600,
        cohort_s=3600,
        season_s=0,
        false_alarm_every=FALSE_ALARM_EVERY,
    )

    def alarm(world, baseline, begin):
        for hour in range(begin, HOURS + 1):
            now = START + timedelta(hours=hour)
            if judge_quality(world.at(hour), (), baseline, settings, now).drifted:
                return hour
        return None

    return alarm


def naive(labelled, wrong, baseline):
    """Return the logarithm of the evidence after each cohort if all labels are counted at once."""
    from refit.domain.monitoring.detectors import tolerated_error_rate
    from refit.domain.monitoring.evidence import (
        CountedPredictions,
        log_evidence,
        log_gains,
        log_mean,
        odds_ratios,
    )

    limit = tolerated_error_rate(baseline.errors, baseline.rows, 0.005)
    limits = np.full(len(labelled), limit)
    predictions = CountedPredictions(labelled, wrong, np.ones(len(labelled)))
    ratios = odds_ratios(limits, 1.08, 20)
    gains = log_gains(predictions, limits, ratios)
    return log_mean(log_evidence(gains, labelled[:, None]), np.full(20, 1 / 20))


def in_order_of_arrival(world, baseline, begin):
    hours = np.minimum(np.ceil(world.label_at), HOURS + 1).astype(int)
    known = hours <= HOURS
    labelled = np.bincount(hours[known], minlength=HOURS + 1)[: HOURS + 1]
    wrong = np.bincount(hours[known & world.wrong], minlength=HOURS + 1)[: HOURS + 1]
    over = np.flatnonzero(naive(labelled, wrong, baseline) >= np.log(FALSE_ALARM_EVERY))
    return next((int(hour) for hour in over if hour >= begin), None)


def by_event_time(world, baseline, begin):
    for hour in range(begin, HOURS + 1):
        labelled, wrong = world.counts(world.label_at <= hour)
        if naive(labelled[:hour], wrong[:hour], baseline)[-1] >= np.log(FALSE_ALARM_EVERY):
            return hour
    return None


def mostly_labelled(world, baseline, begin):
    """Count cohorts in order, and each only when 95 % of its predictions are labelled."""
    made = np.bincount(world.hour, minlength=HOURS)
    for hour in range(begin, HOURS + 1):
        labelled, wrong = world.counts(world.label_at <= hour)
        ready = np.cumprod(labelled >= 0.95 * made).astype(bool)
        if ready.any():
            log = naive(labelled[ready], wrong[ready], baseline)[-1]
            if log >= np.log(FALSE_ALARM_EVERY):
                return hour
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--a-cohort", type=int, default=200, help="predictions per hour")
    parser.add_argument("--wait", type=int, nargs="+", default=[80, 24], help="label_wait in hours")
    parser.add_argument("--quick", action="store_true", help="10 runs")
    options = parser.parse_args()
    in_own_environment()
    rules = {
        **{f"Refit, label_wait {wait} h": shipped(wait) for wait in options.wait},
        "same bets, labels in order of arrival": in_order_of_arrival,
        "same bets, all labels by cohort": by_event_time,
        "cohorts at least 95 % labelled": mostly_labelled,
    }
    runs = 10 if options.quick else options.runs
    print(f"{'':38}{'':12}{'false alarms':>18}{'hours to detect':>18}{'missed':>9}")
    for case in ("full", "selective", "sampled"):
        for name, rule in rules.items():
            early, delays = [], []
            for run in range(runs):
                random = np.random.default_rng([run, len(case)])
                baseline = baseline_of(random.binomial(HELD_OUT, ERROR), HELD_OUT)
                steady = World.drawn(random, options.a_cohort, case, HOURS)
                early.append(rule(steady, baseline, 1) is not None)
                risen = World.drawn(random, options.a_cohort, case, CHANGE)
                alarm = rule(risen, baseline, CHANGE + 1)
                delays.append(None if alarm is None else alarm - CHANGE)
            seen = [delay for delay in delays if delay is not None]
            median = f"{np.median(seen):.0f}" if seen else "none"
            missed = 1 - len(seen) / runs
            print(f"{name:38}{case:12}{np.mean(early):18.2f}{median:>18}{missed:9.2f}", flush=True)


if __name__ == "__main__":
    main()
