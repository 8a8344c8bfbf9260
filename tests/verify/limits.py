"""What one verification may use, at most."""

from __future__ import annotations

from refit_cli.readiness.needs import QuotaNeed

HOURS = 3
RUNS = 8
DOLLARS = 10

# us-east-1, list price an hour, as in docs/aws.md.
INSTANCE_DOLLARS = 0.115
# An endpoint and a probe's endpoint, each twice while they are updated, two transform jobs and one
# training job.
INSTANCES = 7
PROBE_INSTANCE = "ml.t2.medium"
PROBE_NEEDS = (QuotaNeed(f"{PROBE_INSTANCE} for endpoint usage", 2, "an endpoint of the probes"),)
# Requests, storage, alarms and metrics, for the hours in which they exist.
OTHER_DOLLARS = 1

PLAN = f"""\
It deploys a stack of its own, trains and deploys a model of handwritten digits, retrains it, rolls
it back, asks AWS the open questions, and removes everything.
At most: {HOURS} hours, {RUNS} runs, ${DOLLARS}. Usually: 1½ to 2 hours, 3 runs, $1 to $2.
"""


def worst_cost(hours: float = HOURS) -> float:
    """Return the dollars of a verification that uses all instances all the time."""
    return INSTANCES * INSTANCE_DOLLARS * hours + OTHER_DOLLARS
