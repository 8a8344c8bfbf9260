"""The command `refit`."""

from __future__ import annotations

import signal
from typing import Any

import typer
from refit.domain.errors import CallerError
from typer.core import TyperGroup

from refit_cli import demo, label, predict, put, retrain, status, watch
from refit_cli import local_stack as ground
from refit_cli.errors import BadInput, CommandError, ExitCode
from refit_cli.terminal import complain, remark


class RefitGroup(TyperGroup):
    """Runs a command and turns what ended it into a message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Keep the order in which a person meets them."""
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. SIGTERM is taken as Ctrl-C, so that what was begun is cleaned up.

        Raises:
            typer.Exit: with the code of `ExitCode` that says how it ended.
        """
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except CommandError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from error
        except CallerError as error:
            complain(BadInput(str(error)))
            raise typer.Exit(ExitCode.BAD_INPUT) from error
        except KeyboardInterrupt as error:
            remark("[dim]interrupted[/]")
            raise typer.Exit(ExitCode.INTERRUPTED) from error
        finally:
            signal.signal(signal.SIGTERM, before)


app = typer.Typer(
    cls=RefitGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def refit() -> None:
    """Drop data, get a tested model that answers: on AWS, or whole on this machine.

    [bold]A first round[/]

      refit up --detach                 start the local ground (about a minute)
      refit put digits train.csv        drop data: label first, one row a line
      refit watch digits                see it trained, tested and deployed
      refit predict digits rows.csv     ask the live model
      refit label digits labels.csv     tell it what was true
      refit down                        stop the ground

    [bold]Which ground[/]  A local ground on port REFIT_PORT (default 4566) if there is
    one, otherwise AWS with the usual credentials and --stack-name.

    [bold]Exit codes[/]    0 done · 1 the run or request failed · 2 wrong usage or input ·
    3 no ground, stack or answer · 4 timeout · 130 interrupted
    """


app.command("up")(ground.up)
app.command("put")(put.put)
app.command("watch")(watch.watch)
app.command("predict")(predict.predict)
app.command("label")(label.label)
app.command("status")(status.status)
app.command("retrain")(retrain.retrain)
app.command("unblock")(retrain.unblock)
app.command("down")(ground.down)
app.command("demo")(demo.demo)
