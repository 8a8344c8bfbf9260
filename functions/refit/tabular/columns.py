"""Find the label, align the columns of all tables, and infer their kinds and the schema."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid, SchemaChanged
from refit.domain.schema import Feature, Schema, is_missing, number_of, shown
from refit.tabular.encoding import label_texts
from refit.tabular.row_reader import LABEL, MAX_TEXTS, ColumnKinds, ColumnTally, unescaped
from refit.tabular.table_scan import TableSource, may_be_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.csv_dialect import CsvDialect
    from refit.domain.model_settings import DataSettings
    from refit.domain.pipeline.schema_change import LiveVersion
    from refit.tabular.readers.table import CsvTable

MAX_AUTO_CLASSES = 50
"""With `task = "auto"`, a label with more distinct whole numbers is a regression target."""


@dataclass(frozen=True)
class AlignedTables:
    """The tables of a drop with a common order of columns.

    Attributes:
        names: names of the columns, label first.
        sources: the tables, each with the indexes of its cells in this order.
    """

    names: tuple[str, ...]
    sources: tuple[TableSource, ...]


def aligned(
    tables: Sequence[CsvTable],
    dialects: Sequence[CsvDialect],
    settings: DataSettings,
    prior: Schema | None,
) -> AlignedTables:
    """Find the label, and define a common order of the features of all tables.

    Columns with names are matched by name. They are in the order of the live model's schema if it
    has the same names. Columns without names are matched by position.

    Raises:
        DatasetInvalid: if the label column is missing, a name is used twice, or tables differ.
    """
    first, dialect = tables[0], dialects[0]
    label = _label_index(first, dialect, settings)
    header = _checked_names(first, dialect)
    if header is None:
        names = _names_by_position(dialect.width, prior)
    else:
        features = tuple(name for index, name in enumerate(header) if index != label)
        prior_names = tuple(feature.name for feature in prior.features) if prior else ()
        if sorted(prior_names) == sorted(features):
            features = prior_names
        names = (header[label], *features)
    return AlignedTables(
        names,
        tuple(
            TableSource(
                table=table,
                csv_format=own.csv_format,
                width=own.width,
                header_lines=own.header_lines,
                picks=_picks(table, own, names, settings, first.name),
            )
            for table, own in zip(tables, dialects, strict=True)
        ),
    )


def _names_by_position(width: int, prior: Schema | None) -> tuple[str, ...]:
    if prior and len(prior.features) == width - 1:
        return (prior.label, *(feature.name for feature in prior.features))
    return ("label", *(f"f{index}" for index in range(width - 1)))


def _label_index(table: CsvTable, dialect: CsvDialect, settings: DataSettings) -> int:
    if table.label_first:
        return 0
    if isinstance(settings.label, str):
        if dialect.header is None:
            raise DatasetInvalid(
                f"{table.name} has no header, so no column is named {settings.label!r}: "
                "set [data] label to its position, from 0"
            )
        if settings.label not in dialect.header:
            known = ", ".join(map(repr, dialect.header[:20]))
            raise DatasetInvalid(
                f"{table.name} has no column {settings.label!r} ([data] label); it has {known}"
            )
        return dialect.header.index(settings.label)
    if not -dialect.width <= settings.label < dialect.width:
        raise DatasetInvalid(
            f"{table.name} has {dialect.width} columns, so [data] label cannot be {settings.label}"
        )
    return settings.label % dialect.width


def _checked_names(table: CsvTable, dialect: CsvDialect) -> tuple[str, ...] | None:
    """Return the names in the header after checking them; None without a header."""
    if dialect.header is None:
        return None
    if len(dialect.header) != dialect.width:
        raise DatasetInvalid(
            f"{table.name}: the header names {len(dialect.header)} columns, "
            f"but the rows have {dialect.width}"
        )
    repeated = [name for name, count in Counter(dialect.header).items() if count > 1]
    if repeated:
        raise DatasetInvalid(f"{table.name}: two columns are named {repeated[0]!r}")
    return dialect.header


def _picks(
    table: CsvTable, dialect: CsvDialect, names: tuple[str, ...], settings: DataSettings, first: str
) -> tuple[int, ...]:
    """Return the index of each column's cell in the rows of a table, label first."""
    if dialect.width != len(names):
        raise DatasetInvalid(
            f"{table.name} has {dialect.width} columns and {first} {len(names)}: "
            "files dropped together must have the same columns"
        )
    label = _label_index(table, dialect, settings)
    header = _checked_names(table, dialect)
    if header is None:
        return (label, *(index for index in range(dialect.width) if index != label))
    indexes = {name: index for index, name in enumerate(header) if index != label}
    unknown = [name for name in indexes if name not in names[1:]]
    if unknown:
        raise DatasetInvalid(
            f"{table.name} has a column {unknown[0]!r} that {first} does not have: "
            "files dropped together must have the same columns"
        )
    return (label, *(indexes[name] for name in names[1:]))


def expected_kinds(
    tables: AlignedTables, dialect: CsvDialect, settings: DataSettings, prior: Schema | None
) -> ColumnKinds:
    """Guess the kinds of the columns from the first rows of the first table."""
    source, tally = tables.sources[0], ColumnTally()
    for row in dialect.rows:
        for column, pick in enumerate(source.picks):
            if not is_missing(row[pick]):
                kind = tally.texts if number_of(row[pick]) is None else tally.numbers
                kind[column] += 1
    return kinds_by_tally(tables.names, tally, settings, prior)


def kinds_by_tally(
    names: tuple[str, ...], tally: ColumnTally, settings: DataSettings, prior: Schema | None
) -> ColumnKinds:
    """Return the kinds of the columns, determined from their values.

    A feature holds texts if it has more texts than numbers, or if it is a category of the live
    model. A label holds texts if the task is set to classification, or, with `task = "auto"`, if
    its share of texts exceeds the allowed share of bad rows.
    """
    texts = {
        column
        for column in range(1, len(names))
        if tally.texts[column] > tally.numbers[column]
        or (prior and len(prior.features) == len(names) - 1 and _was_category(prior, names, column))
    }
    if settings.task == "classification" or (
        settings.task == "auto"
        and tally.texts[LABEL]
        > settings.max_bad_fraction * (tally.texts[LABEL] + tally.numbers[LABEL])
    ):
        texts.add(LABEL)
    return ColumnKinds(names, frozenset(texts), open_label=settings.task != "regression")


def _was_category(prior: Schema, names: tuple[str, ...], column: int) -> bool:
    feature = prior.features[column - 1]
    return feature.name == names[column] and feature.type == "category"


def learned_schema(
    kinds: ColumnKinds, tally: ColumnTally, settings: DataSettings, prior: Schema | None
) -> Schema:
    """Return the schema of these rows, regardless of the codes of the live model.

    Raises:
        DatasetInvalid: if a column has too many distinct texts for a category, or the label has
            too many or too few distinct values for classes.
    """
    features = tuple(
        Feature(name=name, type="category", values=_categories(name, tally.values.get(column)))
        if column in kinds.texts
        else Feature(name=name, type="number")
        for column, name in enumerate(kinds.names[1:], start=1)
    )
    labels = tally.values.get(LABEL, Counter())
    if not _is_classification(kinds, labels, settings, prior):
        return Schema(task="regression", label=kinds.names[LABEL], features=features)
    return Schema(
        task="classification",
        label=kinds.names[LABEL],
        features=features,
        classes=_classes(kinds.names[LABEL], labels),
    )


def _is_classification(
    kinds: ColumnKinds, labels: Counter[bytes], settings: DataSettings, prior: Schema | None
) -> bool:
    if settings.task != "auto":
        return settings.task == "classification"
    if LABEL in kinds.texts:
        return True
    if prior and prior.task == "regression":
        return False  # the target happens to have few distinct values in this drop
    return kinds.open_label and may_be_classes(labels, MAX_AUTO_CLASSES)


def _categories(name: str, cells: Counter[bytes] | None) -> tuple[str, ...]:
    texts = sorted(map(unescaped, cells or ()))
    if len(texts) > MAX_TEXTS:
        raise DatasetInvalid(
            f"column {name!r} holds more than {MAX_TEXTS} distinct texts, such as "
            f"{shown(texts[0])}: it cannot be a category, remove the column"
        )
    return tuple(texts)


def _classes(name: str, labels: Counter[bytes]) -> tuple[str, ...]:
    """Return the classes: sorted as numbers if all are numbers, else as texts."""
    numbers = [number_of(unescaped(cell)) for cell in labels]
    numeric = all(number is not None for number in numbers)
    classes = sorted(set(label_texts(labels, numeric).values()))
    if len(labels) > MAX_TEXTS:
        raise DatasetInvalid(
            f"label {name!r} has more than {MAX_TEXTS} distinct values: too many to be classes"
        )
    if len(classes) < 2:
        raise DatasetInvalid(
            f"every label is {classes[0] if classes else ''!r}: at least two classes are required"
        )
    return tuple(sorted(classes, key=float)) if numeric else tuple(classes)


@dataclass(frozen=True)
class ReconciledSchema:
    """The schema by which rows are encoded.

    Attributes:
        schema: the schema of the rows, or the live model's with new categories and classes
            appended.
        comparable: whether the live model can read the same rows.
    """

    schema: Schema
    comparable: bool


def reconciled(
    schema: Schema,
    prior: Schema | None,
    settings: DataSettings,
    live: LiveVersion | None = None,
) -> ReconciledSchema:
    """Return the schema with the live model's codes if the columns are the same.

    Args:
        schema: schema of the rows.
        prior: schema of the live version.
        settings: `[data]` of model.toml.
        live: the live version, for the message, and the run that has used the acceptance of this
            model.toml. None when no version is live.

    Raises:
        SchemaChanged: if the label, the task or the columns differ, unless `[data] schema_change`
            is `accept` and no other run has used this acceptance.
    """
    if prior is None or live is None:
        return ReconciledSchema(schema, comparable=False)
    if not prior.changes_to(schema):
        return ReconciledSchema(prior.extend(schema), comparable=True)
    if settings.schema_change == "accept" and live.acceptance_used_by is None:
        return ReconciledSchema(schema, comparable=False)
    raise SchemaChanged(live.refusal(prior, schema))
