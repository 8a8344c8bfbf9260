"""Which column is which, what kind each is, and the schema that follows from what was seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid, SchemaChanged
from refit.domain.schema import Feature, Schema, is_missing, number_of, shown
from refit.tabular.encoding import label_texts
from refit.tabular.rows import LABEL, MAX_TEXTS, Kinds, Tally, unescaped
from refit.tabular.scan import Source, may_be_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.model_settings import DataSettings
    from refit.tabular.dialect import Dialect
    from refit.tabular.readers.table import Table

MAX_AUTO_CLASSES = 50
"""With `task = "auto"`, more distinct whole numbers than this are a quantity, not classes."""


@dataclass(frozen=True)
class Aligned:
    """The tables of a drop, brought to one order of columns.

    Attributes:
        names: of the columns; the label first.
        sources: the tables, each with where its columns stand.
    """

    names: tuple[str, ...]
    sources: tuple[Source, ...]


def aligned(
    tables: Sequence[tuple[Table, Dialect]], settings: DataSettings, prior: Schema | None
) -> Aligned:
    """Find the label, and bring the features of all tables into one order.

    With names, columns are matched by name, in the order of the live model's where these are the
    same; without, by position.

    Raises:
        DatasetInvalid: when the label is not there, a name stands twice, or tables differ.
    """
    first, dialect = tables[0]
    label = _label_place(first, dialect, settings)
    header = _checked_names(first, dialect)
    if header is None:
        names = _names_by_position(dialect.width, prior)
    else:
        features = tuple(name for place, name in enumerate(header) if place != label)
        if prior and sorted(prior_names := [f.name for f in prior.features]) == sorted(features):
            features = tuple(prior_names)
        names = (header[label], *features)
    return Aligned(
        names,
        tuple(
            Source(
                table=table,
                delimiter=each.delimiter,
                width=each.width,
                header_lines=each.header_lines,
                picks=_picks(table, each, names, settings, first.name),
            )
            for table, each in tables
        ),
    )


def _names_by_position(width: int, prior: Schema | None) -> tuple[str, ...]:
    if prior and len(prior.features) == width - 1:
        return (prior.label, *(feature.name for feature in prior.features))
    return ("label", *(f"f{place}" for place in range(width - 1)))


def _label_place(table: Table, dialect: Dialect, settings: DataSettings) -> int:
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
            f"{table.name} has {dialect.width} columns, none at {settings.label} ([data] label)"
        )
    return settings.label % dialect.width


def _checked_names(table: Table, dialect: Dialect) -> tuple[str, ...] | None:
    """Return the header's names; a column without one is called by its position."""
    if dialect.header is None:
        return None
    if len(dialect.header) != dialect.width:
        raise DatasetInvalid(
            f"{table.name}: the header names {len(dialect.header)} columns, "
            f"the rows have {dialect.width}"
        )
    names = tuple(name or f"column{place}" for place, name in enumerate(dialect.header))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DatasetInvalid(f"{table.name}: two columns are named {twice[0]!r}")
    return names


def _picks(
    table: Table, dialect: Dialect, names: tuple[str, ...], settings: DataSettings, first: str
) -> tuple[int, ...]:
    if dialect.width != len(names):
        raise DatasetInvalid(
            f"{table.name} has {dialect.width} columns and {first} {len(names)}: "
            "files dropped together are one table"
        )
    label = _label_place(table, dialect, settings)
    header = _checked_names(table, dialect)
    if header is None:
        return (label, *(place for place in range(dialect.width) if place != label))
    places = {name: place for place, name in enumerate(header) if place != label}
    strange = [name for name in places if name not in names[1:]]
    if strange:
        raise DatasetInvalid(
            f"{table.name} has a column {strange[0]!r} that {first} has not: "
            "files dropped together are one table"
        )
    return (label, *(places[name] for name in names[1:]))


def expected_kinds(
    found: Aligned, dialect: Dialect, settings: DataSettings, prior: Schema | None
) -> Kinds:
    """Guess the kinds of the columns from the first rows; the whole of them decides later."""
    source, tally = found.sources[0], Tally()
    for row in dialect.rows:
        for place, pick in enumerate(source.picks):
            if not is_missing(row[pick]):
                kind = tally.texts if number_of(row[pick]) is None else tally.numbers
                kind[place] += 1
    return seen_kinds(found.names, tally, settings, prior)


def seen_kinds(
    names: tuple[str, ...], tally: Tally, settings: DataSettings, prior: Schema | None
) -> Kinds:
    """Return the kinds of the columns by what was seen in them.

    A feature holds texts when more of its values are texts than numbers, or when the live model
    takes it as a category. A label holds texts when it is set to be classes, or when more of it
    is text than rows may be bad.
    """
    texts = {
        place
        for place in range(1, len(names))
        if tally.texts[place] > tally.numbers[place]
        or (prior and len(prior.features) == len(names) - 1 and _was_category(prior, names, place))
    }
    if settings.task == "classification" or (
        settings.task == "auto"
        and tally.texts[LABEL]
        > settings.max_bad_fraction * (tally.texts[LABEL] + tally.numbers[LABEL])
    ):
        texts.add(LABEL)
    return Kinds(names, frozenset(texts), open_label=settings.task != "regression")


def _was_category(prior: Schema, names: tuple[str, ...], place: int) -> bool:
    feature = prior.features[place - 1]
    return feature.name == names[place] and feature.type == "category"


def learned_schema(
    kinds: Kinds, tally: Tally, settings: DataSettings, prior: Schema | None
) -> Schema:
    """Return the schema of the rows that were seen, in its own right.

    Raises:
        DatasetInvalid: when a column has too many distinct texts for a category, or the labels
            too many or too few for classes.
    """
    features = tuple(
        Feature(name=name, type="category", values=_categories(name, tally.values.get(place)))
        if place in kinds.texts
        else Feature(name=name, type="number")
        for place, name in enumerate(kinds.names[1:], start=1)
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
    kinds: Kinds, labels: Counter[bytes], settings: DataSettings, prior: Schema | None
) -> bool:
    if settings.task != "auto":
        return settings.task == "classification"
    if LABEL in kinds.texts:
        return True
    if prior and prior.task == "regression":
        return False  # a quantity that happens to take few values this time stays one
    return kinds.open_label and may_be_classes(labels, MAX_AUTO_CLASSES)


def _categories(name: str, cells: Counter[bytes] | None) -> tuple[str, ...]:
    texts = sorted(map(unescaped, cells or ()))
    if len(texts) > MAX_TEXTS:
        raise DatasetInvalid(
            f"column {name!r} holds more than {MAX_TEXTS} distinct texts, such as "
            f"{shown(texts[0])}: it is no category, leave it out"
        )
    return tuple(texts)


def _classes(name: str, labels: Counter[bytes]) -> tuple[str, ...]:
    """Return the classes: numbers in their order, texts in theirs."""
    numbers = [number_of(unescaped(cell)) for cell in labels]
    numeric = all(number is not None for number in numbers)
    classes = sorted(set(label_texts(labels, numeric).values()))
    if len(labels) > MAX_TEXTS:
        raise DatasetInvalid(
            f"label {name!r} has more than {MAX_TEXTS} distinct values: too many to be classes"
        )
    if len(classes) < 2:
        raise DatasetInvalid(
            f"every label is {classes[0] if classes else ''!r}: two classes are wanted at least"
        )
    return tuple(sorted(classes, key=float)) if numeric else tuple(classes)


@dataclass(frozen=True)
class Reconciled:
    """The schema to use, and whether the live model can read the same rows."""

    schema: Schema
    comparable: bool


def reconciled(schema: Schema, prior: Schema | None, settings: DataSettings) -> Reconciled:
    """Keep the live model's codes where its columns are the same.

    Raises:
        SchemaChanged: naming what differs, unless `[data] schema_change` is `accept`.
    """
    if prior is None:
        return Reconciled(schema, comparable=False)
    changes = prior.changes_to(schema)
    if not changes:
        return Reconciled(prior.extend(schema), comparable=True)
    if settings.schema_change == "accept":
        return Reconciled(schema, comparable=False)
    more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
    raise SchemaChanged(
        "the columns differ from the live model's: "
        + "; ".join(changes[:3])
        + more
        + ". Set [data] schema_change = 'accept' in model.toml if this is meant."
    )
