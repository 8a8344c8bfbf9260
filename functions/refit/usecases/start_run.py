"""How a run starts, whoever begins it: its execution, once, and the word of it."""

from __future__ import annotations

from refit.stores import bus, store, workflow


def start_execution(model: str, run: str) -> None:
    """Start a run's execution unless it is known; a start that broke off is taken up here.

    Args:
        model: its name.
        run: a run that was begun; another has nothing to start.
    """
    known = store.load_run(model, run)
    if known is None or "train_execution_arn" in known:
        return
    execution = workflow.start_training(model, run)
    bus.publish(bus.EventName.RUN_STARTED, {"model": model, "run": run, "cause": known["cause"]})
    store.update_run(model, run, train_execution_arn=execution)
