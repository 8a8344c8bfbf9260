"""RetryPolicy: how often something is tried, and how long it waits in between."""

from __future__ import annotations

from refit.stores.retries import RetryPolicy


def waits_of(max_attempts: int, initial_backoff_s: float, max_backoff_s: float) -> list[float]:
    """Use up all attempts of a policy; return its waits in seconds, without waiting."""
    waits: list[float] = []
    policy = RetryPolicy(max_attempts, initial_backoff_s, max_backoff_s, sleep=waits.append)
    assert len(list(policy.attempts())) == max_attempts
    return waits


def test_attempts_are_numbered() -> None:
    assert list(RetryPolicy(3, sleep=lambda _: None).attempts()) == [1, 2, 3]


def test_the_first_attempt_does_not_wait_and_success_ends_the_attempts() -> None:
    waits: list[float] = []
    for _ in RetryPolicy(3, 0.5, sleep=waits.append).attempts():
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
