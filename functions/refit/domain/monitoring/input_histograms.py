"""Compare the histograms of live inputs with those of the training data, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.input_counts import split_by_column
from refit.domain.monitoring.inputs_record import MAX_COLUMNS, MAX_TEXTS, InputColumn, InputsRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.monitoring.input_counts import Column, Columns, InputCounts
    from refit.domain.monitoring.input_drift import Finding
    from refit.domain.monitoring.input_seasons import InputSpan


def inputs_record(
    span: InputSpan, columns: Columns, counts: InputCounts, findings: Iterable[Finding]
) -> InputsRecord:
    """Return the columns whose distributions differ most from their reference.

    Args:
        span: the season, or the cohort.
        columns: columns of the run whose version predicted.
        counts: input counts of the span.
        findings: of all checks of the cohort and its span.

    Raises:
        ValueError: when the counts belong to another run.
    """
    shown: dict[tuple[str, str], Finding] = {}
    unseen: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.role, finding.name
        if finding.check == "distribution":
            shown[key] = finding
        elif finding.is_unseen and finding.flagged:
            unseen[key] = max(unseen.get(key, finding), finding, key=_excess)
    compared = [
        (shown[it.role, it.name], unseen.get((it.role, it.name)), it, slots)
        for it, slots in split_by_column(columns, counts)
    ]
    compared.sort(key=lambda entry: -max(_excess(entry[0]), _excess(entry[1])))
    return InputsRecord(
        layout=counts.layout,
        since=span.since,
        until=span.until,
        rows=counts.rows,
        columns=tuple(_column(*entry) for entry in compared[:MAX_COLUMNS]),
    )


def _excess(finding: Finding | None) -> float:
    return finding.value / finding.threshold if finding else 0.0


def _column(
    finding: Finding, unseen: Finding | None, column: Column, slots: Integers
) -> InputColumn:
    live, reference = slots[:-1], np.array(column.reference)[:-1]
    texts = None
    if column.texts is not None:
        texts, live, reference = _largest_gaps(column.texts, live, reference)
    return InputColumn(
        name=column.name,
        role=column.role,
        value=finding.value,
        threshold=finding.threshold,
        flagged=finding.flagged,
        unseen=unseen.value if unseen else 0.0,
        critical=finding.critical,
        missing=finding.missing,
        edges=column.edges if texts is None else None,
        texts=texts,
        live=tuple(map(int, live)),
        reference=tuple(map(int, reference)),
    )


def _largest_gaps(
    texts: tuple[str, ...], live: Integers, reference: Integers
) -> tuple[tuple[str, ...], Integers, Integers]:
    """Return the texts whose shares differ most, and their counts; the last count is of others."""
    gaps = live / max(int(live.sum()), 1) - reference / max(int(reference.sum()), 1)
    order = np.argsort(-np.abs(gaps[: len(texts)]), kind="stable")[:MAX_TEXTS]
    shown = np.sort(order)

    def with_others(counts: Integers) -> Integers:
        return np.append(counts[shown], counts.sum() - counts[shown].sum())

    return tuple(texts[index] for index in shown), with_others(live), with_others(reference)
