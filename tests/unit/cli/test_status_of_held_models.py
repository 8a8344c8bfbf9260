"""`refit status`: what holds a model, since when, and the command that frees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.support.cli import CHAMPION


def test_what_holds_a_model_is_shown_with_the_command_that_frees_it(refit, stack):
    since = datetime(2026, 11, 20, 12, tzinfo=UTC)
    stack.add_run("digits", "r3", "TRAINING")
    stack.set_state("digits", CHAMPION, active_run="r3", active_since=since.isoformat())
    output = " ".join(refit("status", "digits").stdout.split())
    assert "held since 2026-11-20 12:00:00 UTC Run r3 is TRAINING." in output
    assert "to free it: refit unblock digits" in output
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    run, endpoint, files = model["holds"]
    assert (run["kind"], run["since"], run["command"]) == (
        "run",
        "2026-11-20T12:00:00.000+00:00",
        "refit unblock digits",
    )
    assert (endpoint["kind"], endpoint["since"]) == ("endpoint", None)
    assert "refit-digits does not exist" in endpoint["text"]
    assert (files["kind"], files["command"]) == ("files", "refit put digits FILE")
    assert "digits/runs/r1/manifest.json does not exist (any more)" in files["text"]
