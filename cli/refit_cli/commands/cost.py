"""`refit cost`: the month's price at a given traffic, from list prices."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refit_cli import options, terminal

if TYPE_CHECKING:
    from refit_cli.pricing.prices import Prices
    from refit_cli.pricing.usage import Cost, Part

_PARTS: dict[Part, str] = {"stack": "the stack", "models": "the models", "traffic": "the traffic"}


def cost(
    *,
    predictions: Annotated[
        int, typer.Option("--predictions", min=0, metavar="N", help="Predicted rows a month.")
    ] = 1_000_000,
    models: Annotated[
        int, typer.Option("--models", min=0, metavar="N", help="Models that are live.")
    ] = 1,
    instance: Annotated[
        str, typer.Option("--instance", metavar="TYPE", help="Instance type of the endpoints.")
    ] = "ml.m5.large",
    instances: Annotated[
        int, typer.Option("--instances", min=1, metavar="N", help="Instances of each endpoint.")
    ] = 1,
    hourly_price: Annotated[
        float | None,
        typer.Option(
            "--hourly-price",
            min=0,
            metavar="USD",
            help="Price of an instance for an hour. Default: the list price of --instance.",
        ),
    ] = None,
    rows_per_request: Annotated[
        int, typer.Option("--rows-per-request", min=1, metavar="N", help="Rows of each request.")
    ] = 1,
    labels: Annotated[
        int, typer.Option("--labels", min=0, metavar="N", help="Labels a month.")
    ] = 0,
    labels_per_request: Annotated[
        int,
        typer.Option(
            "--labels-per-request", min=1, max=500, metavar="N", help="Labels of each request."
        ),
    ] = 1,
    runs: Annotated[
        int, typer.Option("--runs", min=0, metavar="N", help="Trainings a month, of small data.")
    ] = 4,
    json: options.Json = False,
) -> None:
    """Show what a month costs on AWS at a given traffic. Nothing is called.

    Uses the list prices of one Region at one date, which the output names,
    without free tiers, taxes and the storage of S3. Prices change and differ by
    Region: check them before you rely on the sum. What cannot be known before,
    such as the number of metrics that a model publishes, is a range.

    [bold]Examples[/]
      refit cost
      refit cost --models 3 --predictions 20000000 --rows-per-request 10
      refit cost --instance ml.m5.xlarge --instances 2 --labels 100000
      refit cost --json | jq .usd_high

    [bold]Exit codes[/]  0 shown · 2 the price of the instance type is not known
    """
    from refit_cli.pricing.prices import Prices
    from refit_cli.pricing.usage import Traffic, month, total

    prices = Prices()
    hour_usd = prices.instance_hour(instance) if hourly_price is None else hourly_price
    costs = month(
        prices,
        Traffic(
            models=models,
            instances=instances,
            instance=instance,
            hour_usd=hour_usd,
            runs=runs,
            predictions=predictions,
            rows_per_request=rows_per_request,
            labels=labels,
            labels_per_request=labels_per_request,
        ),
    )
    if json:
        low, high = total(costs)
        terminal.write_json(
            {
                "region": prices.region,
                "date": prices.date,
                "usd_low": round(low, 2),
                "usd_high": round(high, 2),
                "lines": [each.as_json() for each in costs],
            }
        )
        return
    _print(prices, costs)


def _print(prices: Prices, costs: list[Cost]) -> None:
    from rich.table import Table

    from refit_cli.pricing.usage import total

    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    table.add_column("a month")
    table.add_column("USD", justify="right")
    table.add_column("computed from", style="dim", overflow="fold")
    for part, title in _PARTS.items():
        table.add_row(f"[bold]{title}[/]", f"[bold]{_amount(*total(costs, part))}[/]", "")
        for each in costs:
            if each.part == part:
                table.add_row(f"  {each.what}", _amount(each.low, each.high), each.why)
    table.add_row("[bold]together[/]", f"[bold]{_amount(*total(costs))}[/]", "")
    terminal.results().print(table)
    terminal.inform(
        f"[dim]list prices of {prices.region}, {prices.date}, without free tiers; sources: "
        "cli/refit_cli/pricing/prices.toml[/]"
    )


def _amount(low: float, high: float) -> str:
    return f"{low:,.2f}" if round(low, 2) == round(high, 2) else f"{low:,.2f} to {high:,.2f}"
