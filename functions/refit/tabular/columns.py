"""Find the label of a drop, and align the columns of all its tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.column_reading import name_key
from refit.domain.data_settings import MAX_COLUMN_NAME
from refit.domain.errors import DatasetInvalid
from refit.tabular.label_choice import ColumnSample, label_index
from refit.tabular.left_out import is_grid
from refit.tabular.reading_plan import Planner
from refit.tabular.table_source import TableSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.csv_dialect import CsvDialect
    from refit.domain.data_settings import DataSettings
    from refit.domain.schema import Schema
    from refit.tabular.readers.table import CsvTable
    from refit.tabular.reading_plan import ReadingPlan

_SAME_COLUMNS = "Files dropped together must have the same columns"


@dataclass(frozen=True)
class AlignedTables:
    """The tables of a drop with a common order of columns.

    Attributes:
        names: names of all columns, label first. Those of features of the live model come first
            and in its order, if the drop has all of them.
        sources: the tables, each with the indexes of its cells in this order.
        file_order: the names without the label, in the order of the first table.
        planner: decides how the columns are read.
    """

    names: tuple[str, ...]
    sources: tuple[TableSource, ...]
    file_order: tuple[str, ...]
    planner: Planner

    def check(self, plan: ReadingPlan) -> None:
        """Check that each table has every column that is read.

        Raises:
            DatasetInvalid: naming the table and the column.
        """
        for source in self.sources:
            for column in plan.kept:
                if source.picks[column] is None:
                    raise DatasetInvalid(
                        f"{source.table.name} does not have the column {self.names[column]!r} of "
                        f"{self.sources[0].table.name}",
                        advice=_SAME_COLUMNS,
                    )
            for role in plan.roles:
                if source.picks[role.column] is None and not source.is_normal:
                    raise DatasetInvalid(
                        f"{source.table.name} does not have the column {self.names[role.column]!r} "
                        f"that [data] {role.role} names: each file must have it"
                    )


def aligned(
    tables: Sequence[CsvTable],
    dialects: Sequence[CsvDialect],
    settings: DataSettings,
    prior: Schema | None,
) -> AlignedTables:
    """Find the label, and define a common order of the columns of all tables.

    Columns with names are matched by name. Columns without names are matched by position.

    Raises:
        LabelUnclear: if it is not clear which column is the label.
        DatasetInvalid: if a name is used twice, or tables differ.
    """
    first, dialect = tables[0], dialects[0]
    label = _label_index(first, dialect, settings, prior)
    header = _checked_names(first, dialect)
    if header is None:
        label_name, file_order = _names_by_position(dialect.width, prior)
    else:
        label_name = header[label]
        file_order = tuple(name for index, name in enumerate(header) if index != label)
    names = (label_name, *_in_live_order(file_order, prior))
    optional = _optional_names(settings, prior)

    def label_of(table: CsvTable, dialect: CsvDialect) -> int:
        keys = [name_key(name) for name in dialect.header or ()]
        if name_key(label_name) in keys:
            return keys.index(name_key(label_name))
        if dialect.header is None and not table.label_first:
            return label
        return _label_index(table, dialect, settings, prior)

    return AlignedTables(
        names,
        tuple(
            TableSource(
                table=table,
                csv_format=own.csv_format,
                width=own.width,
                header_cells=own.header_cells,
                header_lines=own.header_lines,
                picks=_picks(table, own, names, optional, label_of(table, own), first.name),
            )
            for table, own in zip(tables, dialects, strict=True)
        ),
        file_order,
        Planner(
            names,
            settings,
            prior,
            nameless=frozenset(header[index] for index in dialect.nameless)
            if header
            else frozenset(),
            index_columns=frozenset(name for table in tables for name in table.index_columns),
            is_grid=is_grid(file_order) or first.label_first,
        ),
    )


def _in_live_order(names: Sequence[str], prior: Schema | None) -> list[str]:
    """Return the names with the features of the live model first, in its order, if all exist."""
    by_key = {name_key(name): name for name in names}
    live = [name_key(feature.name) for feature in prior.features] if prior else []
    if not live or not set(live) <= by_key.keys():
        return list(names)
    first = [by_key[key] for key in live]
    return first + [name for name in names if name not in set(first)]


def _names_by_position(width: int, prior: Schema | None) -> tuple[str, tuple[str, ...]]:
    if prior and len(prior.all_columns) == width - 1:
        return prior.label, prior.all_columns
    return "label", tuple(f"f{index}" for index in range(width - 1))


def _optional_names(settings: DataSettings, prior: Schema | None) -> frozenset[str]:
    """Return the keys of names that a table may lack, or have in addition."""
    ignored = [name for name, kind in settings.columns.items() if kind == "ignore"]
    left_out = list(prior.left_out) if prior else []
    return frozenset(map(name_key, [*settings.ignore, *ignored, *left_out]))


def _label_index(
    table: CsvTable, dialect: CsvDialect, settings: DataSettings, prior: Schema | None
) -> int:
    if table.label_first:
        return 0
    columns = tuple(zip(*dialect.rows, strict=True)) if dialect.rows else ((),) * dialect.width
    sample = ColumnSample(table.name, dialect.header, columns, dialect.nameless)
    return label_index(sample, settings.label, prior.label if prior else None)


def _checked_names(table: CsvTable, dialect: CsvDialect) -> tuple[str, ...] | None:
    """Return the names in the header after checking them; None without a header."""
    if dialect.header is None:
        return None
    if len(dialect.header) != dialect.width:
        raise DatasetInvalid(
            f"{table.name}: the header names {len(dialect.header)} columns, "
            f"but the rows have {dialect.width}"
        )
    for index, name in enumerate(dialect.header):
        if len(name) > MAX_COLUMN_NAME:
            raise DatasetInvalid(
                f"{table.name}: the name of column {index} has {len(name):,} characters, such as "
                f"{name[:40]!r}…; allowed: {MAX_COLUMN_NAME:,}",
                advice="Shorten the header, or check the delimiter and the quotes",
            )
    repeated = [key for key, count in Counter(map(name_key, dialect.header)).items() if count > 1]
    if repeated:
        raise DatasetInvalid(f"{table.name}: two columns are named {repeated[0]!r}")
    return dialect.header


def _picks(
    table: CsvTable,
    dialect: CsvDialect,
    names: tuple[str, ...],
    optional: frozenset[str],
    label: int,
    first: str,
) -> tuple[int | None, ...]:
    """Return the index of each column's cell in the rows of a table, label first.

    Args:
        table: the table.
        dialect: its dialect.
        names: names of all columns, label first.
        optional: keys of the names that the table may have in addition.
        label: index of its label.
        first: name of the first table, for messages.
    """
    header = _checked_names(table, dialect)
    if header is None:
        if dialect.width != len(names):
            raise DatasetInvalid(
                f"{table.name} has {dialect.width} columns and {first} {len(names)}",
                advice=_SAME_COLUMNS,
            )
        return (label, *(index for index in range(dialect.width) if index != label))
    indexes = {name_key(name): index for index, name in enumerate(header) if index != label}
    known: Mapping[str, str] = {name_key(name): name for name in names[1:]}
    for key, index in indexes.items():
        if key not in known and key not in optional:
            raise DatasetInvalid(
                f"{table.name} has a column {header[index]!r} that {first} does not have",
                advice=_SAME_COLUMNS,
            )
    return (label, *(indexes.get(name_key(name)) for name in names[1:]))
