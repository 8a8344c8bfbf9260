"""Determine the schema of a drop from the counts of all its cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import normalize

from refit.domain.cells import MISSING_IN_NUMBERS, class_text, number_of, shown
from refit.domain.column_reading import TRUTH_TEXTS, name_key
from refit.domain.errors import DatasetInvalid
from refit.domain.schema import Feature, Schema
from refit.tabular.column_tally import MAX_TEXTS
from refit.tabular.number_doubts import may_be_thousands
from refit.tabular.row_reader import LABEL, unescaped
from refit.tabular.table_scan import are_whole, may_be_classes
from refit.tabular.text_doubts import (
    UNKNOWN_DATES,
    are_dates,
    are_mixed_truth_values,
    class_doubts,
    spelling_key,
    text_kind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.column_reading import ColumnReading
    from refit.domain.data_settings import DataSettings
    from refit.domain.pipeline.schema_change import LiveVersion
    from refit.tabular.column_evidence import ColumnEvidence
    from refit.tabular.columns import AlignedTables
    from refit.tabular.reading_plan import ReadingPlan
    from refit.tabular.table_scan import TableScanner

MAX_AUTO_CLASSES = 50
"""With `task = "auto"`, a label with more distinct whole numbers is a regression target."""

_MANY_NUMBER_CLASSES = 20
_FEWEST_DISTINCT_LABELS = 20
_DISTINCT_SHARE = 0.5
_FEW_MISSING_LABELS = 0.01
_SHOWN_WORDS = 5


@dataclass(frozen=True)
class LearnedSchema:
    """The schema of a drop.

    Attributes:
        schema: regardless of the codes of the live model.
        doubts: what a person should check about the label and the values, as sentences.
    """

    schema: Schema
    doubts: tuple[str, ...]


def learned_schema(
    scanner: TableScanner,
    evidence: Mapping[int, ColumnEvidence],
    aligned: AlignedTables,
    settings: DataSettings,
    prior: Schema | None,
) -> LearnedSchema:
    """Return the schema of the rows.

    Args:
        scanner: has read all rows.
        evidence: what is known of the cells of each column.
        aligned: the tables.
        settings: `[data]` of model.toml.
        prior: the live model's schema.

    Raises:
        DatasetInvalid: if a column has too many distinct texts for a category, or the label has
            too many or too few distinct values for classes.
    """
    plan, values = scanner.plan, scanner.tally.values
    features = tuple(_feature(reading, values.get(column)) for column, reading in plan.features)
    labels = values.get(LABEL, Counter())
    is_classification = _is_classification(plan, labels, settings, prior)
    classes = _classes(plan.label, labels, evidence[LABEL]) if is_classification else None
    left_out = {plan.names[column]: reason for column, reason in plan.left_out.items()}
    live_names = {plan.names[column]: reading.name for column, reading in plan.features}
    columns = _in_live_order(
        tuple(live_names.get(name, name) for name in aligned.file_order), prior
    )
    schema = Schema(
        task="classification" if is_classification else "regression",
        label=plan.label.name,
        features=features,
        classes=classes,
        label_type=plan.label.type,
        label_form=plan.label.form,
        columns=columns if left_out or columns != tuple(f.name for f in features) else (),
        left_out=left_out,
        missing=plan.missing,
    )
    doubts = (
        *_label_doubts(schema, labels, evidence[LABEL], settings, prior),
        *_value_doubts(plan, evidence),
        *_truth_doubts(schema, settings),
        *_point_doubts(plan, evidence, aligned.sources[0].csv_format.delimiter, settings),
    )
    return LearnedSchema(schema, doubts)


def _in_live_order(names: tuple[str, ...], prior: Schema | None) -> tuple[str, ...]:
    """Return the names in the order of the live model's, if these are the same.

    A client that sends rows by position does not see that a file had its columns in another order.
    """
    keys = [name_key(name) for name in prior.all_columns] if prior else []
    by_key = {name_key(name): name for name in names}
    same = len(keys) == len(names) and set(keys) == by_key.keys()
    return tuple(by_key[key] for key in keys) if same else names


def _feature(reading: ColumnReading, cells: Counter[bytes] | None) -> Feature:
    return Feature(
        name=reading.name,
        type=reading.type,
        values=_categories(reading.name, cells) if reading.type == "category" else None,
        form=reading.form,
        date_form=reading.date_form,
        missing=reading.missing,
    )


def _is_classification(
    plan: ReadingPlan, labels: Counter[bytes], settings: DataSettings, prior: Schema | None
) -> bool:
    if settings.task != "auto":
        return settings.task == "classification"
    if plan.label.type != "number":
        return True
    if prior and name_key(prior.label) == name_key(plan.label.name):
        if prior.task == "regression":
            return False  # the target happens to have few distinct values in this drop
        if are_whole(labels) and len(labels) <= MAX_AUTO_CLASSES:
            return plan.open_label
    return plan.open_label and may_be_classes(labels, MAX_AUTO_CLASSES)


def _categories(name: str, cells: Counter[bytes] | None) -> tuple[str, ...]:
    texts = sorted(map(unescaped, cells or ()))
    if len(texts) > MAX_TEXTS:
        raise DatasetInvalid(
            f"column {name!r} holds more than {MAX_TEXTS} distinct texts, such as "
            f"{shown(texts[0])}: it cannot be a category",
            advice=f'Set [data] ignore = ["{name}"]',
        )
    return tuple(texts)


def _classes(
    label: ColumnReading, labels: Counter[bytes], evidence: ColumnEvidence
) -> tuple[str, ...]:
    """Return the classes: sorted as numbers if all are numbers, else as texts."""
    if label.type == "boolean":
        if len(labels) < len(TRUTH_TEXTS):
            raise _one_class(labels)
        return TRUTH_TEXTS
    texts = [unescaped(cell) for cell in labels]
    numeric = label.type == "number"
    classes = sorted({class_text(text) for text in texts} if numeric else texts)
    rows = labels.total()
    if len(labels) > MAX_TEXTS or (
        len(classes) > _FEWEST_DISTINCT_LABELS and len(classes) > _DISTINCT_SHARE * rows
    ):
        raise _not_classes(label.name, labels, evidence)
    if len(classes) < 2:
        raise _one_class(labels)
    if not numeric:
        return tuple(classes)
    return tuple(sorted(classes, key=lambda text: (number_of(text) or 0.0, len(text), text)))


def _one_class(labels: Counter[bytes]) -> DatasetInvalid:
    only = next((unescaped(cell) for cell in labels), "")
    return DatasetInvalid(
        f"every label is {only!r}",
        advice="At least two classes are required: add rows of others, or choose another label "
        "(--label)",
    )


def _not_classes(name: str, labels: Counter[bytes], evidence: ColumnEvidence) -> DatasetInvalid:
    example = shown(unescaped(next(iter(labels))))
    distinct = f"more than {MAX_TEXTS:,}" if len(labels) > MAX_TEXTS else f"{len(labels):,}"
    kind = text_kind(evidence)
    if kind is not None and kind != UNKNOWN_DATES:
        looks, advice = kind.noun, kind.advice[0].upper() + kind.advice[1:]
    elif kind == UNKNOWN_DATES or are_dates(evidence):
        looks, advice = "dates, which cannot be predicted", "Choose another label (--label)"
    elif evidence.numbers and not evidence.texts:
        looks, advice = "numbers to estimate, not classes", 'Set [data] task = "regression"'
    elif evidence.numbers:
        looks = "a mix of numbers and texts"
        advice = "If the texts mean a missing value, set [data] missing"
    else:
        looks = "names, identifiers or free text, not classes"
        advice = "Choose another label (--label)"
    each = "" if len(labels) > MAX_TEXTS else ", almost another one in each row"
    return DatasetInvalid(
        f"label {name!r} has {distinct} distinct values in {labels.total():,} rows, such as "
        f"{example}{each}. They look like {looks}",
        advice=advice,
    )


def _label_doubts(
    schema: Schema,
    labels: Counter[bytes],
    evidence: ColumnEvidence,
    settings: DataSettings,
    prior: Schema | None,
) -> list[str]:
    name, is_text = schema.label, schema.label_type == "category"
    doubts = []
    if settings.task == "auto" and schema.label_type == "number":
        doubts += _task_doubts(schema, labels)
    if schema.classes is not None:
        texts = [unescaped(cell) for cell in labels]
        doubts += _same_spellings(name, texts, schema)
        if is_text:
            doubts += _marker_classes(name, texts)
        if is_text and not _are_confirmed(schema, settings, prior):
            doubts += class_doubts(name, evidence)
        if is_text and are_mixed_truth_values(schema.classes):
            doubts.append(
                f"label {name!r} has truth values in several spellings, which are read as "
                f"{len(schema.classes)} classes ({_few(schema.classes)}): write them in one way"
            )
    missing = evidence.cells("missing", *(() if is_text else ("marker",)))
    share = missing / max(1, missing + labels.total())
    if share > _FEW_MISSING_LABELS:
        doubts.append(f"{missing:,} rows have no label ({name!r}) and are not used")
    return doubts


def _are_confirmed(schema: Schema, settings: DataSettings, prior: Schema | None) -> bool:
    """Return whether the settings or the live model say that the labels are classes."""
    known = set(prior.classes or ()) if prior and not prior.target_change(schema) else set()
    return settings.task != "auto" or known.issuperset(schema.classes or ())


def _task_doubts(schema: Schema, labels: Counter[bytes]) -> list[str]:
    """Return a doubt if whole numbers could be classes as well as quantities."""
    name, classes = schema.label, schema.classes
    if classes is not None and len(classes) > _MANY_NUMBER_CLASSES:
        return [
            f"label {name!r} has {len(classes)} distinct whole numbers, {classes[0]} to "
            f"{classes[-1]}, and is read as {len(classes)} classes. If it is a quantity, set "
            '[data] task = "regression"; if these are classes, set it to "classification"'
        ]
    if classes is None and labels and are_whole(labels) and len(labels) <= MAX_AUTO_CLASSES:
        return [
            f"label {name!r} has {len(labels):,} distinct whole numbers in {labels.total():,} rows "
            'and is read as a quantity. If they are classes, set [data] task = "classification"'
        ]
    return []


def _marker_classes(name: str, texts: list[str]) -> list[str]:
    words = sorted(text for text in texts if text.lower() in MISSING_IN_NUMBERS)
    if not words:
        return []
    return [
        f"{', '.join(map(repr, words))} in label {name!r} is read as a class. If it means that the "
        f"label is missing, set [data] missing = [{', '.join(map(_quoted, words))}]"
    ]


def _same_spellings(name: str, texts: list[str], schema: Schema) -> list[str]:
    """Return doubts about labels that differ only in zeros, in blanks or in case."""
    numeric = schema.label_type == "number"
    padded = next(
        (text for text in texts if numeric and len(text) > 1 and text[0] == "0" and text.isdigit()),
        None,
    )
    groups: dict[str, list[str]] = {}
    for text in texts:
        if not numeric or text.isdigit():
            same = class_text(text) if numeric else spelling_key(text)
            groups.setdefault(same, []).append(text)
    for group in groups.values():
        if len(group) > 1:
            pair = sorted(group)[:2]
            looks_same = len({normalize("NFC", text) for text in pair}) < len(pair)
            first, second = map(ascii if looks_same else repr, pair)
            read = "the same number" if numeric else "two classes"
            return [f"the labels {first} and {second} ({name!r}) are read as {read}"]
    if padded is not None:
        return [f"labels such as {padded!r} ({name!r}) are read as numbers: {class_text(padded)}"]
    return []


def new_vocabulary(schema: Schema, prior: Schema | None) -> list[str]:
    """Return doubts about classes and categories of which the live model knows none.

    Args:
        schema: schema of the drop.
        prior: schema of the live version, which has the same columns.
    """
    if prior is None:
        return []
    doubts = []
    if prior.classes and schema.classes and not set(prior.classes) & set(schema.classes):
        doubts.append(
            f"no class of this drop ({_few(schema.classes)}) is a class of the live model "
            f"({_few(prior.classes)})"
        )
    for old, new in zip(prior.features, schema.features, strict=False):
        known = set(old.values or ())
        if old.name == new.name and known and new.values and not known & set(new.values):
            doubts.append(
                f"no text of column {new.name!r} in this drop ({_few(new.values)}) is known to the "
                f"live model ({_few(old.values or ())})"
            )
    return doubts


def _few(texts: Sequence[str]) -> str:
    listed = ", ".join(map(repr, texts[:3]))
    return listed if len(texts) <= 3 else f"{listed}, …"


def _value_doubts(plan: ReadingPlan, evidence: Mapping[int, ColumnEvidence]) -> list[str]:
    doubts = []
    for column, reading in plan.features:
        markers = evidence[column].markers if column in evidence else Counter[str]()
        if reading.type == "category" and markers:
            words = [word for word, _ in markers.most_common(_SHOWN_WORDS)]
            doubts.append(
                f"{', '.join(map(repr, words))} in column {reading.name!r} ({markers.total():,} "
                "cells) is read as a value and not as missing, because the column holds texts. If "
                f"it means a missing value, set [data] missing = [{', '.join(map(_quoted, words))}]"
            )
    return doubts


def _truth_doubts(schema: Schema, settings: DataSettings) -> list[str]:
    asked = {name_key(name) for name in settings.columns}
    return [
        f"column {feature.name!r} has truth values in several spellings ({_few(feature.values)}), "
        f"which are read as different texts: set [data.columns] {_quoted(feature.name)} = "
        '"boolean"'
        for feature in schema.features
        if feature.values and name_key(feature.name) not in asked
        if are_mixed_truth_values(feature.values)
    ]


def _point_doubts(
    plan: ReadingPlan,
    evidence: Mapping[int, ColumnEvidence],
    delimiter: str,
    settings: DataSettings,
) -> list[str]:
    return [
        f"column {reading.name!r} has numbers such as {evidence[column].first[0]}, whose point can "
        'be a decimal point, as it is read, or separate thousands: set [data] decimal = "." or '
        '","'
        for column, reading in plan.features
        if reading.type == "number"
        and reading.form.is_plain
        and may_be_thousands(evidence[column].first, delimiter, settings.decimal)
    ]


def _quoted(text: str) -> str:
    return f'"{text}"'


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
    if prior is None:
        return ReconciledSchema(schema, comparable=False)
    assert live is not None, "a live schema is that of a live version"
    if not prior.changes_to(schema):
        return ReconciledSchema(prior.extend(schema), comparable=True)
    if settings.schema_change == "accept" and live.acceptance_used_by is None:
        return ReconciledSchema(schema, comparable=False)
    raise live.refusal(prior, schema)
