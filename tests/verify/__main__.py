"""`python -m tests.verify aws|local|clean`: verify an account or the local stack, or clean up."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from refit_cli import terminal
from refit_cli.errors import CommandError, ExitCode, NotReachable, RunFailed
from refit_cli.runtime import CommandRuntime
from refit_local.stack import lifecycle
from refit_local.stack.errors import StackError

from tests.verify.own_stack import find
from tests.verify.target import FOLDER, Target, on_aws, on_local_stack
from tests.verify.verification import Options, clean, verify

if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str] | None = None, runtime: CommandRuntime | None = None) -> int:
    """Run the command; return its exit code, which is one of `refit`."""
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("where", choices=("aws", "local", "clean"))
    parser.add_argument("--account", help="id of the AWS account, in place of typing it")
    parser.add_argument("--port", type=int, help="port of the local stack")
    parser.add_argument(
        "--choice", choices=("continue", "clean"), help="what to do after an interruption"
    )
    given = parser.parse_args(arguments)
    runtime = runtime or CommandRuntime()
    options = Options(given.account, given.choice)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if given.where == "aws" or (given.where == "clean" and given.port is None):
            target = on_aws(runtime)
            done = verify(target, options) if given.where == "aws" else clean(target)
        else:
            action = clean if given.where == "clean" else lambda each: verify(each, options)
            done = _on_local_stack(given.port or 4566, runtime, action)
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        advice = "run `aws configure`, or set AWS_PROFILE and AWS_REGION"
        terminal.print_error(NotReachable(f"AWS cannot be used: {error}", advice))
        return ExitCode.NOT_REACHABLE
    except (ClientError, BotoCoreError) as error:
        terminal.print_error(RunFailed(str(error), "run the same command again, or clean up"))
        return ExitCode.FAILED
    except CommandError as error:
        terminal.print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if done else ExitCode.FAILED


def _on_local_stack(port: int, runtime: CommandRuntime, action: Callable[[Target], bool]) -> bool:
    """Start a local stack unless it runs; the stack that it has must be there in the end."""
    running = lifecycle.info(port) is not None
    try:
        if not running:
            lifecycle.up(port, log=terminal.inform)
        target = on_local_stack(port, runtime)
        done = action(target)
        if find(target, str(target.other_stack)) is None:
            terminal.inform(f"the stack {target.other_stack}, which is not ours, has gone")
            return False
    except StackError as error:
        raise NotReachable(str(error)) from error
    finally:
        if not running:
            # The local stack takes everything with it, also after an interruption.
            lifecycle.down(port, discard=True, log=terminal.inform)
            for path in FOLDER.glob(f"progress-local-{port}-*.json"):
                path.unlink()
    return done


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
