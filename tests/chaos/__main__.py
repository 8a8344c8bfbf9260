"""`python -m tests.chaos`: inject faults into local stacks, and show what was survived."""

from __future__ import annotations

import argparse
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

from refit_cli import terminal
from refit_local.stack import lifecycle
from rich.markup import escape

import tests.chaos.faults  # noqa: F401 (adds all faults to the list)
from tests.chaos.campaign import Campaign
from tests.chaos.fault import Outcome, select
from tests.chaos.own_stack import quotas
from tests.chaos.table import show_faults, show_outcomes, text_of
from tests.e2e.driver import User

if TYPE_CHECKING:
    from collections.abc import Sequence

SURVIVED, NOT_SURVIVED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; return 1 if a fault was not survived, and 2 for a name that is none."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the faults")
    parser.add_argument("--only", default="", help="names or patterns, separated by commas")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments of the faults")
    parser.add_argument(
        "--port", type=int, default=4580, help="port of the shared stack; the next one is used, too"
    )
    given = parser.parse_args(arguments)
    try:
        faults = select([name.strip() for name in given.only.split(",") if name.strip()])
    except ValueError as error:
        terminal.inform(str(error))
        return BAD_INPUT
    if given.list:
        show_faults(faults)
        return SURVIVED
    from tests.e2e.conftest import Digits  # reads the images

    outcomes: list[Outcome] = []

    @cache
    def user() -> User:
        return User(lifecycle.up(given.port))

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell ignores SIGINT in background jobs, and the commands that are started would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with quotas():
        try:
            for outcome in Campaign(user, Digits(), given.seed, given.port + 1).run(faults):
                outcomes.append(outcome)
                terminal.inform(escape(text_of(outcome)))
        except KeyboardInterrupt:
            terminal.inform("interrupted; the faults up to here:")
        finally:
            if user.cache_info().currsize:
                lifecycle.down(given.port, discard=True)
            show_outcomes(outcomes)
    return SURVIVED if all(each.survived for each in outcomes) else NOT_SURVIVED


if __name__ == "__main__":
    sys.exit(main())
