"""Verify by its config and its answers that the live endpoint serves the new version.

After an update, an endpoint is InService whether the update succeeded or SageMaker rolled it back.
Only the name of the live endpoint config shows the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import (
    DeploymentRejected,
    EndpointDidNotStart,
    EndpointNotProvisioned,
    EndpointNotReady,
)
from refit.domain.inferences.capture_reader import VERIFICATION_ID
from refit.domain.naming import ResourceNames, RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.pipeline.deployment import CHANGING_STATUSES, first_mismatch, scores
from refit.domain.pipeline.failures_of_aws import is_reason_of_aws

if TYPE_CHECKING:
    from refit.usecases.services import Services

_MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True)
class DeployedVersion:
    """A version that a deployment has brought to the endpoint.

    Attributes:
        config: the endpoint config that should be live.
        variant: the production variant that should answer.
    """

    model: str
    run: str
    endpoint: str
    config: str
    variant: str


def verify_deployment(services: Services, deployed: DeployedVersion) -> int:
    """Compare the answers of the live endpoint with the evaluation.

    Returns:
        The number of held-out rows for which the endpoint's answers equal those of the evaluation.

    Raises:
        EndpointNotReady: when the endpoint is changing or gone.
        EndpointNotProvisioned: when SageMaker did not deploy it for reasons of AWS's own.
        EndpointDidNotStart: when it failed for another reason.
        DeploymentRejected: when SageMaker rolled it back for another reason, when another variant
            is live, or when an answer differs.
    """
    _check_config(services, deployed)
    keys = RunKeys(deployed.model, deployed.run)
    manifest = services.artifacts.manifest(deployed.model, deployed.run)
    count = manifest.settings.deployment.verification_rows
    if source := manifest.features_from:
        _compare(
            services,
            deployed.endpoint,
            _Answers(
                variant=ResourceNames.features_variant(source.model, source.version),
                rows=f"{keys.features_input}test.csv",
                expected=f"{keys.features_output}test.csv.out",
                is_target=True,
            ),
            count,
        )
    answers = _Answers(
        variant=deployed.variant,
        rows=f"{keys.evaluation_input}new.csv",
        expected=f"{keys.evaluation_output('challenger')}new.csv.out",
        accept=algorithm_of(manifest.settings.training).accept,
    )
    return _compare(services, deployed.endpoint, answers, count)


@dataclass(frozen=True)
class _Answers:
    """What a variant should answer.

    Attributes:
        rows: key of the rows.
        expected: key of the answers of the transform job.
        is_target: whether the request names the variant.
        accept: content type that is asked for.
    """

    variant: str
    rows: str
    expected: str
    is_target: bool = False
    accept: str = "text/csv"


def _compare(services: Services, endpoint: str, answers: _Answers, count: int) -> int:
    """Compare the answers to the first rows; return the number of them."""
    rows = _first_lines(services, answers.rows, count)
    expected = _first_lines(services, answers.expected, len(rows))
    target = answers.variant if answers.is_target else None
    body = "\n".join(rows).encode()
    answer = services.endpoints.invoke(endpoint, body, VERIFICATION_ID, target, answers.accept)
    if answer.variant != answers.variant:
        raise DeploymentRejected(
            f"variant {answer.variant} of endpoint {endpoint} answered, "
            f"not the new variant {answers.variant}"
        )
    mismatch = first_mismatch(scores("\n".join(expected)), scores(answer.body.decode()))
    if mismatch:
        raise DeploymentRejected(
            f"endpoint {endpoint} answers held-out row {mismatch.row} with "
            f"{mismatch.answered}, but the evaluation has {mismatch.expected}"
        )
    return len(rows)


def _check_config(services: Services, deployed: DeployedVersion) -> None:
    live = services.endpoints.describe(deployed.endpoint)
    if live is None or live.status in CHANGING_STATUSES:
        status = live.status if live else "gone"
        raise EndpointNotReady(f"endpoint {deployed.endpoint} is {status}")
    is_in_service = live.status == "InService"
    if is_in_service and live.config == deployed.config:
        return
    reason = live.failure_reason or "no reason was given"
    what = (
        f"SageMaker rolled endpoint {deployed.endpoint} back to {live.config}: {reason}"
        if is_in_service
        else f"endpoint {deployed.endpoint} is {live.status}: {reason}"
    )
    if is_reason_of_aws(live.failure_reason):
        raise EndpointNotProvisioned(what)
    raise DeploymentRejected(what) if is_in_service else EndpointDidNotStart(what)


def _first_lines(services: Services, key: str, count: int) -> list[str]:
    """Return up to `count` whole lines of an object, from its first megabyte."""
    head = services.bucket.open(key).read(_MAX_BODY_BYTES)
    lines = head.split(b"\n")
    whole = lines[:-1] if len(head) == _MAX_BODY_BYTES else lines
    return [line.decode() for line in whole if line.strip()][:count]
