"""The command `refit`."""

from __future__ import annotations

import signal
from typing import Any

import typer
from refit.domain.errors import CallerError
from typer.core import TyperGroup

from refit_cli.commands import (
    batch,
    check,
    cost,
    decide,
    demo,
    destroy,
    doctor,
    export,
    label,
    local_stack,
    logs,
    predict,
    put,
    recount,
    remove,
    report,
    retrain,
    retry,
    status,
    watch,
)
from refit_cli.errors import BadInput, CommandError, ExitCode
from refit_cli.terminal import inform, print_error


class RefitGroup(TyperGroup):
    """Runs a command and turns its exceptions into one message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of registration, which is the order of use."""
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. SIGTERM is handled like Ctrl-C, so that the command cleans up.

        Raises:
            typer.Exit: with the exit code of the error.
        """
        previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except CommandError as error:
            print_error(error)
            raise typer.Exit(error.exit_code) from error
        except CallerError as error:
            print_error(BadInput(str(error)))
            raise typer.Exit(ExitCode.BAD_INPUT) from error
        except KeyboardInterrupt as error:
            inform("[dim]interrupted[/]")
            raise typer.Exit(ExitCode.INTERRUPTED) from error
        finally:
            signal.signal(signal.SIGTERM, previous_handler)


app = typer.Typer(
    cls=RefitGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def refit() -> None:
    """Train, deploy and monitor models from uploaded data, on AWS or on this machine.

    [bold]Getting started[/]

      refit up --detach                 start the local stack (15 to 60 seconds)
      refit check train.csv             what would be learned; nothing is uploaded
      refit put digits train.csv --label digit    check and upload data
      refit watch digits                follow training, evaluation, deployment
      refit logs digits --follow        what functions and jobs say, in order
      refit report digits               write a report of the run as HTML
      refit export digits               write the model card of the live version
      refit predict digits rows.csv     get predictions from the live model
      refit batch digits big.parquet    predict a whole file, without an endpoint
      refit label digits labels.csv     send the true labels of predictions
      refit approve digits              approve the version that waits for it
      refit rollback digits 3           deploy an earlier version again
      refit remove digits               remove the model with all its data
      refit down                        stop the local stack
      refit destroy                     delete a stack with all that it made
      refit cost --models 3             what a month costs on AWS
      refit doctor --aws                what an AWS account lacks before a deployment

    [bold]Which stack[/]  The local stack on port REFIT_PORT (default 4566) if it is
    running, otherwise AWS, with the usual credentials and --stack-name. The
    commands remove and destroy use AWS only if stack and account are named.

    [bold]Completion[/]   refit --install-completion, then restart the shell: commands,
    options, and the names of the models of the stack.

    [bold]Exit codes[/]   0 success · 1 the run or request failed · 2 invalid usage or
    input · 3 stack not found or not reachable · 4 timeout · 130 interrupted
    """


app.command("up")(local_stack.up)
app.command("check")(check.check)
app.command("put")(put.put)
app.command("watch")(watch.watch)
app.command("predict")(predict.predict)
app.command("batch")(batch.batch)
app.command("label")(label.label)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("retry")(retry.retry)
app.command("retrain")(retrain.retrain)
app.command("unblock")(retrain.unblock)
app.command("approve")(decide.approve)
app.command("reject")(decide.reject)
app.command("rollback")(decide.rollback)
app.command("recount")(recount.recount)
app.command("remove")(remove.remove)
app.command("destroy")(destroy.destroy)
app.command("cost")(cost.cost)
app.command("doctor")(doctor.doctor)
app.command("down")(local_stack.down)
app.command("demo")(demo.demo)
