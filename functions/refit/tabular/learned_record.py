"""Write down what preparation learned from a drop (`refit.domain.learned`)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid
from refit.domain.learned import Learned, LearnedColumn
from refit.tabular.row_reader import LABEL, unescaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.csv_dialect import CsvDialect
    from refit.domain.schema import Feature, Schema
    from refit.tabular.columns import AlignedTables
    from refit.tabular.learned_schema import LearnedSchema
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.split import Split
    from refit.tabular.spooled import SpooledRows
    from refit.tabular.survey import Survey
    from refit.tabular.table_scan import TableScanner

_SHOWN_CLASSES = 5
_LONGEST_EXAMPLE = 60


def learned_record(
    drop: AlignedTables,
    dialects: Sequence[CsvDialect],
    survey: Survey,
    scanner: TableScanner,
    found: LearnedSchema,
    quarantine: Quarantine,
    rows: int,
) -> Learned:
    """Return the record of a drop whose rows were all read."""
    schema, plan = found.schema, scanner.plan
    features = {plan.names[column]: column for column, _ in plan.features}
    by_column = dict(zip((column for column, _ in plan.features), schema.features, strict=True))
    index = {name: column for column, name in enumerate(drop.names)}
    columns = []
    for name in drop.file_order:
        column = index[name]
        if name in features:
            columns.append(_feature(by_column[column], column, survey))
        else:
            columns.append(
                LearnedColumn(
                    name=name,
                    type="ignored",
                    missing=scanner.tally.left_out_missing[column],
                    example=_example(survey, column),
                    reason=plan.left_out[column],
                )
            )
    forms = [schema.label_form, *(feature.form for feature in schema.features)]
    dialect = dialects[0]
    notes = [
        f"{source.table.name}: {sentence}"
        for source, own in zip(drop.sources, dialects, strict=True)
        for sentence in own.skipped
    ]
    if dialect.header is None:
        pick = drop.sources[0].picks[LABEL]
        notes.append(f"no header: the label is column {pick} of {dialect.width}, counted from 0")
    if scanner.state.repeated_headers:
        repeats = scanner.state.repeated_headers
        which = "1 row that repeats" if repeats == 1 else f"{repeats:,} rows that repeat"
        notes.append(f"{which} the header {'is' if repeats == 1 else 'are'} skipped")
    return Learned(
        label=schema.label,
        task=schema.task,
        classes=schema.classes,
        columns=tuple(columns),
        header=dialect.header is not None,
        delimiter=dialect.csv_format.delimiter,
        decimal="," if any(form.decimal == "," for form in forms) else ".",
        rows=rows,
        refused=quarantine.count,
        refused_reasons=dict(quarantine.reasons),
        doubts=(*plan.doubts, *found.doubts),
        notes=tuple(notes),
    )


def _feature(feature: Feature, column: int, survey: Survey) -> LearnedColumn:
    evidence = survey.evidence[column]
    kinds = ("missing",) if feature.type == "category" else ("missing", "marker")
    return LearnedColumn(
        name=feature.name,
        type=feature.type,
        distinct=len(feature.values) if feature.values is not None else None,
        missing=evidence.cells(*kinds),
        example=_example(survey, column),
        reason=feature.form.described or feature.date_form or None,
    )


def _example(survey: Survey, column: int) -> str | None:
    example = survey.examples.get(column)
    return example[:_LONGEST_EXAMPLE] if example is not None else None


def unseen_classes(
    spooled: SpooledRows,
    schema: Schema,
    labels: Mapping[int, Counter[bytes]],
    given: frozenset[Split],
) -> list[str]:
    """Return doubts about classes without a training row.

    Raises:
        DatasetInvalid: if the drop itself defines a held-out split with such a class.
    """
    if schema.classes is None:
        return []
    total = labels.get(LABEL, Counter())
    held_out: dict[Split, Counter[bytes]] = {
        split: spooled.held_out_labels(split) for split in ("validation", "test")
    }
    doubts = []
    for split, counts in held_out.items():
        unseen = [
            unescaped(cell)
            for cell in counts
            if total[cell] == sum(labels[cell] for labels in held_out.values())
        ]
        if not unseen:
            continue
        listed = ", ".join(map(repr, sorted(unseen)[:_SHOWN_CLASSES]))
        listed += f", … ({len(unseen)} in all)" if len(unseen) > _SHOWN_CLASSES else ""
        if split in given:
            raise DatasetInvalid(
                f"the {split} rows have labels that no training row has: {listed}",
                advice="A model cannot predict them: add training rows of these classes, or remove "
                f"them from the {split} rows",
            )
        doubts.append(
            f"all rows of some classes are held out as {split} rows, so the model does not learn "
            f"them: {listed}. Add more rows of these classes"
        )
    return doubts
