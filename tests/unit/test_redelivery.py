"""When a failed message is delivered again, and when it counts for an alarm."""

from __future__ import annotations

from refit.domain.redelivery import is_worth_an_alarm, redelivery_delay_s


def test_a_failed_message_returns_soon_and_then_ever_later() -> None:
    delays = [redelivery_delay_s(receives) for receives in range(1, 10)]
    assert delays == [30, 60, 120, 240, 480, 900, 900, 900, 900]
    assert redelivery_delay_s(1000) == 900


def test_a_defect_counts_at_once_and_throttling_at_the_third_try() -> None:
    assert is_worth_an_alarm(1, is_transient=False)
    assert not is_worth_an_alarm(2, is_transient=True)
    assert is_worth_an_alarm(3, is_transient=True)
