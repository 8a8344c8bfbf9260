"""The command `refit`."""

from __future__ import annotations

import signal
from typing import Any

import typer
from refit.domain.errors import CallerError
from typer.core import TyperCommand, TyperGroup

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


class RefitCommand(TyperCommand):
    """A command whose help shows a flag as a flag: Typer gives it the type `<bool>`."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with `--help`."""
        return _without_type_of_flags(super().get_params(ctx))


class RefitGroup(TyperGroup):
    """Runs a command and turns its exceptions into one message and an exit code."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with `--help`."""
        return _without_type_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read what is before the command.

        Raises:
            typer.Exit: for an option of a command, after saying that it goes after the command.
        """
        if (error := self._misplaced_option(ctx, args)) is not None:
            print_error(error)
            raise typer.Exit(error.exit_code)
        return super().parse_args(ctx, args)

    def _misplaced_option(self, ctx: Any, words: list[str]) -> BadInput | None:
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        at = next((at for at, word in enumerate(words) if word in self.commands), len(words))
        for word in words[:at]:
            option = word.partition("=")[0]
            if option.startswith("-") and option not in own:
                having = [name for name, each in self.commands.items() if _has(each, option)]
                if not having or (at < len(words) and words[at] not in having):
                    return None
                command = " ".join([*(words[at:] or ["COMMAND"]), *words[:at]])
                return BadInput(
                    f"{option} is an option of the commands, so it goes after the command",
                    f"refit {command}",
                )
        return None

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


def _has(command: Any, option: str) -> bool:
    return any(option in parameter.opts for parameter in command.params)


def _without_type_of_flags(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
    return parameters


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

    [bold]Exit codes[/]  0 success · 1 the run or request failed, or the state of the
    model does not allow it · 2 invalid usage or input, or no such model, run or
    version · 3 stack not found or not reachable · 4 timeout · 130 interrupted
    """


app.command("up", cls=RefitCommand)(local_stack.up)
app.command("check", cls=RefitCommand)(check.check)
app.command("put", cls=RefitCommand)(put.put)
app.command("watch", cls=RefitCommand)(watch.watch)
app.command("predict", cls=RefitCommand)(predict.predict)
app.command("batch", cls=RefitCommand)(batch.batch)
app.command("label", cls=RefitCommand)(label.label)
app.command("status", cls=RefitCommand)(status.status)
app.command("logs", cls=RefitCommand)(logs.logs)
app.command("report", cls=RefitCommand)(report.report)
app.command("export", cls=RefitCommand)(export.export)
app.command("retry", cls=RefitCommand)(retry.retry)
app.command("retrain", cls=RefitCommand)(retrain.retrain)
app.command("unblock", cls=RefitCommand)(retrain.unblock)
app.command("approve", cls=RefitCommand)(decide.approve)
app.command("reject", cls=RefitCommand)(decide.reject)
app.command("rollback", cls=RefitCommand)(decide.rollback)
app.command("recount", cls=RefitCommand)(recount.recount)
app.command("remove", cls=RefitCommand)(remove.remove)
app.command("destroy", cls=RefitCommand)(destroy.destroy)
app.command("cost", cls=RefitCommand)(cost.cost)
app.command("doctor", cls=RefitCommand)(doctor.doctor)
app.command("down", cls=RefitCommand)(local_stack.down)
app.command("demo", cls=RefitCommand)(demo.demo)
