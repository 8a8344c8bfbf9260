"""RetryPolicy: how often something is tried, and how long it waits in between."""

from __future__ import annotations

import pytest
from refit.domain.errors import ServiceThrottled
from refit.stores.retries import RetryPolicy


def waits_of(max_attempts: int, min_backoff_s: float, max_backoff_s: float) -> list[float]:
    """Use up all attempts of a policy; return its waits in seconds, without waiting."""
    waits: list[float] = []
    policy = RetryPolicy(max_attempts, min_backoff_s, max_backoff_s, sleep=waits.append)
    with pytest.raises(ServiceThrottled):
        list(policy.attempts(ServiceThrottled("busy")))
    return waits


def test_attempts_are_numbered_and_end_with_the_given_error() -> None:
    policy = RetryPolicy(3, sleep=lambda _: None)
    attempts = policy.attempts(ServiceThrottled("digits is busy"))
    assert [next(attempts) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ServiceThrottled, match="digits is busy"):
        next(attempts)


def test_the_first_attempt_does_not_wait_and_success_ends_the_attempts() -> None:
    waits: list[float] = []
    for _ in RetryPolicy(3, 0.5, sleep=waits.append).attempts(ServiceThrottled("busy")):
        break
    assert waits == []


def test_each_wait_is_random_between_zero_and_a_limit_that_doubles_up_to_the_maximum() -> None:
    samples = [waits_of(6, 0.04, 0.3) for _ in range(200)]
    for waits, limit in zip(zip(*samples, strict=True), (0.04, 0.08, 0.16, 0.3, 0.3), strict=True):
        assert all(0 <= wait <= limit for wait in waits)
        assert min(waits) < limit / 4
        assert max(waits) > limit * 3 / 4


def test_a_policy_without_backoff_does_not_wait() -> None:
    assert waits_of(4, 0.0, 1.0) == [0, 0, 0]
