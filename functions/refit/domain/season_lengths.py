"""The lengths of seasons: which of them a cohort does not average, and which cohorts fit them.

A season of whole days contains the day, too. This module does not import NumPy, because the
settings and the command line read it.
"""

from __future__ import annotations

DAY_S = 86_400
WEEK_S = 7 * DAY_S

_NAMES = {DAY_S: "day", WEEK_S: "week"}


def lengths_of(season_s: int) -> tuple[int, ...]:
    """Return the lengths of the seasons in `season_s` seconds, shortest first; () for 0."""
    if season_s > DAY_S and season_s % DAY_S == 0:
        return DAY_S, season_s
    return (season_s,) if season_s else ()


def seasons_longer_than(cohort_s: int, season_s: int) -> tuple[int, ...]:
    """Return the lengths of the seasons that a cohort does not average, shortest first."""
    return tuple(length for length in lengths_of(season_s) if length > cohort_s)


def fits(cohort_s: int, season_s: int) -> bool:
    """Return whether cohorts divide each season, or contain it a whole number of times."""
    return all(length % cohort_s == 0 or cohort_s % length == 0 for length in lengths_of(season_s))


def season_name(seconds: int) -> str:
    """Return the name of a season."""
    return _NAMES.get(seconds, f"season of {seconds:,} s")
