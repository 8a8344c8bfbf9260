"""What a verification found: one file for each target, and one page with both beside each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.verify.probes import PROBES

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = {"aws": "AWS", "local": "local stack"}


def write(folder: Path, kind: str, result: dict[str, Any]) -> Path:
    """Keep the result of a target, and write the page of all targets.

    Args:
        folder: for `KIND.json` and `report.md`.
        kind: `aws` or `local`.
        result: when, where, journey, answers and left.
    """
    (folder / f"result-{kind}.json").write_text(json.dumps(result, indent=2))
    page = folder / "report.md"
    page.write_text(rendered({name: found for name in TARGETS if (found := read(folder, name))}))
    return page


def read(folder: Path, kind: str) -> dict[str, Any] | None:
    """Return the last result of a target, or None."""
    try:
        content: dict[str, Any] = json.loads((folder / f"result-{kind}.json").read_text())
    except FileNotFoundError:
        return None
    return content


def rendered(results: dict[str, dict[str, Any]]) -> str:
    """Return the page: the tests, and each question with the answers of all targets."""
    lines = ["# Verification", ""]
    for kind, result in results.items():
        lines += [f"## {TARGETS[kind]}", "", f"{result['location']}, {result['at']}", ""]
        lines += _journey(result.get("journey"))
        left = result.get("left") or {}
        names = "; ".join(f"{each}: {', '.join(names)}" for each, names in left.items())
        lines += [f"- left: {names or 'nothing'}", ""]
    headings = [TARGETS[kind] for kind in results]
    lines += ["## Open questions", ""]
    lines += [f"| probe | assumption | {' | '.join(headings)} |", "|---" * (2 + len(results)) + "|"]
    for probe in PROBES:
        answers = [_cell(result["answers"].get(probe.name)) for result in results.values()]
        lines.append(f"| `{probe.name}` | {_plain(probe.assumption)} | {' | '.join(answers)} |")
    lines += ["", "## Evidence", ""]
    for probe in PROBES:
        lines += [f"### {probe.name}", "", probe.question, ""]
        for kind, result in results.items():
            answer = result["answers"].get(probe.name)
            lines += [f"- {TARGETS[kind]}: {entry}" for entry in (answer or {}).get("evidence", [])]
        lines.append("")
    return "\n".join(lines)


def _journey(journey: dict[str, Any] | None) -> list[str]:
    if journey is None:
        return ["- tests: not run"]
    counts = f"{len(journey['passed'])} passed, {len(journey['failed'])} failed"
    lines = [f"- tests: {counts}, {journey['runs']} runs"]
    lines += [f"- failed: {name}" for name in journey["failed"]]
    if journey.get("stopped"):
        lines.append(f"- stopped: {journey['stopped']}")
    return lines + [f"- {name}: {value}" for name, value in journey["measured"].items()]


def _cell(answer: dict[str, Any] | None) -> str:
    return f"**{answer['verdict']}**: {_plain(answer['text'])}" if answer else "not asked"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
