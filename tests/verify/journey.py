"""Run the tests marked `aws` against the deployed stack, within the limits of time and runs."""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from refit.domain.errors import ServiceThrottled
from refit_local.stack.record import PROJECT

from tests.e2e.deployed import write_deployed
from tests.verify import limits
from tests.verify.target import FOLDER, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verify.progress import Progress

TESTS = "tests/e2e/test_first_account.py"
_END_S = 60


def run(target: Target, progress: Progress, log: Callable[[str], None]) -> dict[str, Any]:
    """Run the tests, and return their results.

    They are stopped when the time of the verification has passed, or when there are more runs than
    allowed.

    Returns:
        passed and failed: names of tests; measured: their figures; stopped: why they were stopped,
        or None; runs: how many runs there were.
    """
    deployed, results = FOLDER / "deployed.json", FOLDER / f"{target.kind}-tests.xml"
    results.unlink(missing_ok=True)
    write_deployed(deployed, target.info)
    command = [sys.executable, "-m", "pytest", TESTS, "-n", "0", "-v", "--no-header"]
    command += ["-o", "junit_family=xunit1"]  # which has properties of tests
    process = subprocess.Popen(
        [*command, "--deployed", str(deployed), f"--junitxml={results}"], cwd=PROJECT
    )
    try:
        stopped = _watch(process, target, progress)
    finally:
        _end(process)
        deployed.unlink(missing_ok=True)
        counted = count_runs(target)
    if stopped:
        log(f"the tests were stopped: {stopped}")
    code = process.returncode
    return {**_results(results), "stopped": stopped, "exit_code": code, "runs": counted}


def count_runs(target: Target) -> int:
    """Return the number of runs of all models of the stack."""
    models = target.connection().models
    return sum(len(models.runs(model)) for model in models.models())


def _watch(process: subprocess.Popen[bytes], target: Target, progress: Progress) -> str | None:
    """Wait for the end of the tests; return why they must be stopped, or None."""
    while process.poll() is None:
        if progress.left_s <= 0:
            return f"the limit of {limits.HOURS} hours has passed"
        try:
            runs = progress.runs + count_runs(target)
        except (BotoCoreError, ClientError, ServiceThrottled):
            runs = 0  # counted again at the next look
        if runs > limits.RUNS:
            return f"there were {runs} runs, and {limits.RUNS} are allowed"
        time.sleep(target.pace.poll_s * 4)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _results(path: Path) -> dict[str, Any]:
    passed, failed, measured = [], [], {}
    if path.exists():
        for case in ET.parse(path).getroot().iter("testcase"):
            bad = case.find("failure") is not None or case.find("error") is not None
            (failed if bad else passed).append(case.attrib["name"])
            for value in case.iter("property"):
                measured[value.attrib["name"]] = value.attrib["value"]
    return {"passed": passed, "failed": failed, "measured": measured}
