"""The model card as Markdown. All that comes from data is escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!])")
_SHOWN_COLUMNS = 100
_SHOWN_FILES = 50
_SHOWN_CORRECTIONS = 20
_SIDES = {
    "new": "held-out rows",
    "base": "held-out rows of the version before",
    "fresh": "fresh rows",
}


def as_markdown(card: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    parts = (_head, _metrics, _gate, _data, _lineage, _training, _limits)
    blocks = [block for part in parts for block in part(card)]
    return "\n\n".join(blocks) + "\n"


def text(value: object) -> str:
    """Return a value in one line, in which nothing is Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *([text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(values: Iterable[object]) -> str:
    return "\n".join(f"- {text(value)}" for value in values)


def _head(card: dict[str, Any]) -> Iterator[str]:
    state = "live" if card["is_live"] else "not live"
    yield f"# Model card: {text(card['model'])}, version {card['version']}"
    yield f"Run `{card['run']}`, {state}, exported {card['exported_at']}."
    yield " ".join(map(text, card["summary"]))


def _metrics(card: dict[str, Any]) -> Iterator[str]:
    yield "## Quality"
    evaluation = card["evaluation"]
    if evaluation is None:
        yield "The version was not evaluated."
        return
    confidence = f"{evaluation['confidence']:.0%}"
    for side, title in _SIDES.items():
        if (measured := evaluation[side]) is None:
            continue
        yield f"On {measured['rows']:,} {title}, with intervals of {confidence}:"
        champion = (measured["champion"] or {}).get("metrics", {})
        yield table(
            ["metric", "this version", "interval", "version before", "without skill"],
            [
                (
                    name,
                    _figure(estimate["value"]),
                    _interval(estimate),
                    _figure(champion.get(name, {}).get("value")),
                    _figure(measured["baseline"]["metrics"].get(name)),
                )
                for name, estimate in measured["challenger"]["metrics"].items()
            ],
        )
    if per_class := evaluation["new"]["challenger"]["per_class"]:
        yield "By class:"
        yield table(
            ["class", "rows", "precision", "recall", "f1"],
            [
                (
                    name,
                    each["support"],
                    *(_estimate(each[key]) for key in ("precision", "recall", "f1")),
                )
                for name, each in per_class.items()
            ],
        )


def _gate(card: dict[str, Any]) -> Iterator[str]:
    yield "## Gate"
    gate = card["gate"]
    if gate is None:
        yield "The gate has not decided."
        return
    yield f"{'Passed' if gate['passed'] else 'Refused'}; {text(gate['metric'])} decided."
    yield table(
        ["check", "passed", "reason"],
        [
            (check["name"], "yes" if check["passed"] else "no", check["reason"])
            for check in gate["checks"]
        ],
    )


def _data(card: dict[str, Any]) -> Iterator[str]:
    yield "## Data"
    data = card["data"]
    if data is None:
        yield "The run has not prepared its data."
        return
    rows = data["rows"]
    yield (
        f"{rows['train']:,} training rows, {rows['validation']:,} for validation, {rows['test']:,} "
        f"held out, {rows['quarantined']:,} refused; split by {text(data['split_by'])}."
    )
    if learned := data["learned"]:
        columns, ranges = learned["columns"], data["ranges"]
        yield table(
            ["column", "type", "missing", "range", "why"],
            [
                (
                    each["name"],
                    each["type"],
                    each["missing"],
                    " to ".join(f"{limit:g}" for limit in ranges.get(each["name"], [])),
                    each["reason"] or "",
                )
                for each in columns[:_SHOWN_COLUMNS]
            ],
        )
        if len(columns) > _SHOWN_COLUMNS:
            more = counted(len(columns) - _SHOWN_COLUMNS, "more column")
            yield f"And {more}, which the JSON names."
    files = data["files"]
    yield table(
        ["file", "version", "bytes", "written"],
        [(f["key"], f["version"], f["size"], f["last_modified"]) for f in files[:_SHOWN_FILES]],
    )
    if len(files) > _SHOWN_FILES:
        yield f"And {counted(len(files) - _SHOWN_FILES, 'more file')}, which the JSON names."


def _lineage(card: dict[str, Any]) -> Iterator[str]:
    yield "## Labels that trained it"
    lineage = card["lineage"]
    if not lineage or not lineage["slices"]:
        yield "None: it was trained on uploaded files only."
        return
    yield (
        f"Labels of predictions: {lineage['labels']:,}; corrected before: "
        f"{lineage['corrections']:,}; withdrawn: {lineage['withdrawn']:,}. Rows: "
        f"{lineage['rows']['train']:,} for training, {lineage['rows']['validation']:,} for "
        f"validation, {lineage['rows']['test']:,} held out."
    )
    yield table(["predicted by version", "labels"], lineage["predicted_by_version"].items())
    yield table(["label", "labels"], lineage["by_label"].items())
    if lineage["lost"]:
        yield table(["not used because", "labels"], lineage["lost"].items())
    if lineage["missing_slices"]:
        yield f"{len(lineage['missing_slices']):,} slices of the ledger do not exist any more."
    corrected = [each for each in lineage["each"] if "corrected_from" in each]
    if corrected:
        yield "Corrections:"
        yield table(
            ["prediction", "label", "before"],
            [
                (each["inference_id"], each["label"], ", ".join(each["corrected_from"]))
                for each in corrected[:_SHOWN_CORRECTIONS]
            ],
        )
    yield table(
        ["slice of the ledger", "version", "rows"],
        [(each["key"], each["version"], each["rows"]) for each in lineage["slices"][:_SHOWN_FILES]],
    )


def _training(card: dict[str, Any]) -> Iterator[str]:
    training = card["training"]
    yield "## Training"
    if training["hyperparameters"]:
        yield table(["hyperparameter", "value"], training["hyperparameters"].items())
    else:
        yield "SageMaker does not know the training job any more."
    if training["settings"]:
        yield table(
            ["setting", "value"],
            [
                (f"[{section}] {key}", value)
                for section, values in training["settings"].items()
                if isinstance(values, dict)
                for key, value in values.items()
                if value is not None
            ],
        )


def _limits(card: dict[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield _bullets(card["limits"])


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(estimate: dict[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    return "" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _estimate(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return ""
    interval = _interval(estimate)
    return f"{estimate['value']:.3g}" + (f" ({interval})" if interval else "")
