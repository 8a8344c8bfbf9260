"""The steps of a verification, and what happens after an interruption.

examine → confirm → deploy → test → ask → remove → prove → report

Nothing is created before the account is confirmed. The steps that are done are in the progress
file, so that a verification that was interrupted can be continued, or cleaned up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refit.domain.model_settings import ModelSettings
from refit_cli import terminal
from refit_cli.commands.doctor import examine
from refit_cli.errors import BadInput, RunFailed
from refit_cli.readiness.quotas import sagemaker_quotas

from tests.verify import cleaning, journey, limits, own_stack, progress, report
from tests.verify.probes import PROBES
from tests.verify.probes.base import UNKNOWN, Answer, asked
from tests.verify.target import FOLDER, STACK

if TYPE_CHECKING:
    from pathlib import Path

    from refit_cli.readiness.findings import Finding

    from tests.verify.progress import Progress
    from tests.verify.target import Target


@dataclass(frozen=True)
class Options:
    """What the caller decided in advance.

    Attributes:
        account: the account's id, in place of typing it.
        choice: `continue` or `clean` an interrupted verification; None asks.
    """

    account: str | None = None
    choice: str | None = None


def progress_path(target: Target, folder: Path = FOLDER) -> Path:
    """Return the file of the target's verification."""
    port = f"-{target.info.port}" if target.is_local else ""
    return folder / f"progress-{target.kind}{port}-{target.account}-{target.region}.json"


def verify(target: Target, options: Options) -> bool:
    """Verify a target; return whether all tests passed and nothing is left.

    Raises:
        BadInput: if the account is not confirmed, or a foreign stack has the name.
        RunFailed: if the account is not ready, or the stack cannot be deployed.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    begun = progress.load(progress_path(target))
    if begun is None:
        begun = _begin(target, options)
    elif _choice(begun, target, options) == "clean":
        return clean(target)
    try:
        _work(target, begun)
    except BaseException:  # also Ctrl-C
        _say_how_to_go_on(target)
        raise
    return _finish(target, begun)


def clean(target: Target) -> bool:
    """Remove what an interrupted verification left; return whether nothing is left.

    Raises:
        BadInput: if a stack has the name that no verification of this folder made.
    """
    begun = progress.load(progress_path(target))
    if begun is None:
        if stack := own_stack.find(target):
            own_stack.check_owned(stack, None)
        terminal.inform(f"no verification was begun here on {target.location}")
        return True
    return _finish(target, begun)


def _begin(target: Target, options: Options) -> Progress:
    """Examine the account and ask for it; write the progress file before anything is created."""
    if stack := own_stack.find(target):
        own_stack.check_owned(stack, None)
    terminal.inform(f"This verifies Refit on {target.location}.")
    terminal.inform(limits.PLAN)
    findings = requirements(target)
    missing = [finding for finding in findings if finding.status == "missing"]
    for finding in missing:
        terminal.inform(
            f"missing: {finding.check}: needed {finding.needed}; found {finding.found}\n"
            f"  → {finding.advice}"
        )
    if missing:
        raise RunFailed(
            f"{len(missing)} requirements are missing; nothing was created",
            "`refit doctor --aws` shows all of them",
        )
    if not target.is_local:
        _confirm(target, options)
    begun = progress.Progress(progress_path(target), target.account, target.region)
    begun.save()
    return begun


def requirements(target: Target) -> list[Finding]:
    """Return what the doctor finds, and whether the probes can have their endpoint."""
    probes = sagemaker_quotas(target.client("service-quotas"), limits.PROBE_NEEDS, target.region)
    return [*examine(target.connection(), ModelSettings(), target.runtime), *probes]


def _confirm(target: Target, options: Options) -> None:
    if options.account is None and not target.runtime.can_ask():
        raise BadInput(
            "nothing was created: there is no terminal to ask on",
            "name the account: make verify-aws ACCOUNT=123456789012",
        )
    named = options.account or terminal.ask(
        f"It costs up to ${limits.DOLLARS}. Type the id of the AWS account to go on: "
    )
    if named.replace("-", "").strip() != target.account:
        raise BadInput(
            f"the credentials are of the AWS account {target.account}, not of "
            f"{named.strip() or 'none'}; nothing was created",
            "select other credentials with AWS_PROFILE, or name the account that you mean",
        )


def _choice(begun: Progress, target: Target, options: Options) -> str:
    """Return `continue` or `clean`; after the time limit, only the latter."""
    hours = begun.age.total_seconds() / 3600
    terminal.inform(f"a verification was begun {hours:.1f} hours ago on {target.location}")
    if begun.left_s <= 0:
        terminal.inform(f"the limit of {limits.HOURS} hours has passed: it is cleaned up")
        return "clean"
    if options.choice:
        return options.choice
    if not target.runtime.can_ask():
        raise BadInput(
            "a verification was interrupted, and there is no terminal to ask on",
            "give CHOICE=continue or CHOICE=clean",
        )
    answer = terminal.ask("Type continue, or clean to remove everything: ")
    if answer not in {"continue", "clean"}:
        raise BadInput(f"{answer!r} is neither continue nor clean; nothing was changed")
    return answer


def _work(target: Target, begun: Progress) -> None:
    """Deploy, test and ask; what is done already is left out."""
    terminal.inform(f"deploying the stack {STACK}")
    own_stack.deploy(target, begun)
    deployed = target.with_api()
    if begun.journey is None:
        stack = own_stack.find(target)
        if stack is not None:
            begun.runs += journey.count_runs(deployed)
            begun.save()
            cleaning.remove_models(target, stack, terminal.inform)
        begun.journey = journey.run(deployed, begun, terminal.inform)
        begun.runs += begun.journey["runs"]
        begun.save()
    for probe in PROBES:
        if probe.name in begun.answers:
            continue
        if begun.left_s <= 0:
            answer = Answer(UNKNOWN, f"not asked: the limit of {limits.HOURS} hours has passed")
        else:
            answer = asked(probe, deployed)
        terminal.inform(f"{probe.name}: {answer.verdict}: {answer.text}")
        begun.answers[probe.name] = answer.as_json()
        begun.save()


def _finish(target: Target, begun: Progress) -> bool:
    """Remove everything, prove it, and report."""
    try:
        left = cleaning.clean(target, begun, terminal.inform)
    except BaseException:  # also Ctrl-C
        _say_how_to_go_on(target)
        raise
    result = {
        "location": target.location,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "journey": begun.journey,
        "answers": begun.answers,
        "left": left,
    }
    if begun.journey or begun.answers:
        page = report.write(FOLDER, target.kind, result)
        terminal.inform(f"report: {page}")
    for kind, names in left.items():
        terminal.inform(f"left: {kind}: {', '.join(names)}")
    if not left:
        begun.delete()
        terminal.inform("nothing is left")
    tested = begun.journey is None or (
        begun.journey["exit_code"] == 0 and not begun.journey["stopped"]
    )
    return tested and not left


def _say_how_to_go_on(target: Target) -> None:
    local = f"verify-local VERIFY_PORT={target.info.port}"
    command = local if target.is_local else "verify-aws"
    terminal.inform(
        f"not finished: the stack {STACK} and its endpoint may exist, and cost. `make {command}` "
        f"goes on; `make {command} CHOICE=clean` removes everything"
    )
