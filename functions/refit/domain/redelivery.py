"""When a message that could not be handled is delivered again, and when people are told.

Without this a message returns after its queue's visibility timeout, which is longer than the
timeout of the function: up to 16 minutes after AWS throttled a request for a second.
"""

from __future__ import annotations

FIRST_DELAY_S = 30
LONGEST_DELAY_S = 900
PATIENT_RECEIVES = 3

LEASE_S = 60
"""How long a message stays hidden after its function was last alive."""

RENEWAL_S = 20
"""Two renewals may fail before a message is delivered while its function still works."""


def redelivery_delay_s(receives: int) -> int:
    """Return the seconds until a message is delivered again: 30, doubled each time, at most 900.

    Args:
        receives: how often the message was delivered, ≥ 1.
    """
    # The exponent is bounded: more receives would not change the delay.
    return int(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(receives - 1, 10)))


def is_worth_an_alarm(receives: int, *, is_transient: bool) -> bool:
    """Return whether a failed message counts for the alarm.

    What can pass by itself, such as throttling, counts only if it has not passed at the third try.
    """
    return not is_transient or receives >= PATIENT_RECEIVES
