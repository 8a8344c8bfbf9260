"""What the model that `[data] features_from` names reads of another model's rows, and adds to them.

Its input is made from the encoded row of the other model, by the same function in training, in
batches and in requests. So the added columns have the same meaning everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.column_reading import name_key
from refit.domain.errors import DatasetInvalid
from refit.domain.inferences.request_rows import listed
from refit.domain.schema import Feature, Schema, csv_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.feature_source import FeatureSource

_MISSING = frozenset({b"", b"nan"})


def with_added_features(schema: Schema, source: FeatureSource, asked: Schema) -> Schema:
    """Return a schema with the columns that a version of another model adds.

    Args:
        schema: without added columns.
        source: the version.
        asked: schema of that version.

    Raises:
        DatasetInvalid: when the files have a column of such a name.
    """
    added = added_names(source.model, asked)
    taken = {name_key(name): name for name in (*schema.all_columns, schema.label)}
    for name in added:
        if name_key(name) in taken:
            raise DatasetInvalid(
                f"the files have the column {taken[name_key(name)]!r}, and [data] features_from = "
                f"{source.model!r} adds one of this name",
                advice="Rename the column in the files",
            )
    columns = tuple(Feature(name=name, type="number") for name in added)
    kept = schema.model_dump(exclude={"features", "features_from"})
    return Schema(**kept, features=(*schema.features, *columns), features_from=source)


def added_names(model: str, asked: Schema) -> tuple[str, ...]:
    """Return the names of the columns that a model adds, in the order of its answers."""
    if asked.classes is None:
        return (f"{model}_prediction",)
    return tuple(f"{model}_probability_{text}" for text in asked.classes)


def added_note(source: FeatureSource, asked: Schema) -> str:
    """Return what a version reads and adds, as a sentence of the record of what was learned."""
    reads = listed([feature.name for feature in asked.features])
    adds = listed(added_names(source.model, asked))
    return f"{source.text} ([data] features_from) reads {reads} and adds {adds}"


class FeatureInputs:
    """Rows of one model as another model reads them."""

    def __init__(self, asked: Schema, own: Schema, model: str) -> None:
        """Find the columns.

        Args:
            asked: schema of the version that is asked.
            own: schema of the rows, without added columns.
            model: name of the model that is asked, for messages.

        Raises:
            DatasetInvalid: when a column is missing or is read otherwise; names it.
        """
        places = {name_key(feature.name): place for place, feature in enumerate(own.features)}
        self._picks: list[int] = []
        self._codes: dict[int, dict[bytes, bytes]] = {}
        for place, wanted in enumerate(asked.features):
            found = places.get(name_key(wanted.name))
            if found is None:
                raise _missing(wanted.name, own, model)
            feature = own.features[found]
            if feature.type != wanted.type:
                raise DatasetInvalid(
                    f"[data] features_from = {model!r}: {model} reads column {wanted.name!r} as "
                    f"{wanted.type}, and these files have it as {feature.type}",
                    advice=f'Set [data.columns] "{feature.name}" = "{wanted.type}"',
                )
            self._picks.append(found)
            if wanted.type == "category" and feature.values != wanted.values:
                self._codes[place] = _codes(feature, wanted)

    def line(self, line: bytes) -> bytes:
        """Return the line that the other model reads.

        Args:
            line: an encoded row as CSV, without label and without line end.
        """
        cells = line.split(b",")
        if cells == [b"nan"]:  # a row without any value, of whatever width
            return b"nan"
        picked = [cells[pick] for pick in self._picks]
        for place, codes in self._codes.items():
            picked[place] = codes.get(picked[place], b"")
        if all(cell in _MISSING for cell in picked):
            picked[0] = b"nan"  # an empty line would not be read as a row
        return b",".join(picked)


def added_cells(answer: Sequence[float]) -> bytes:
    """Return the cells that an answer adds to the line of its row, with the comma before them."""
    return f",{csv_line(answer)}".encode("ascii")


def _missing(name: str, own: Schema, model: str) -> DatasetInvalid:
    reads = f"[data] features_from = {model!r}: {model} reads column {name!r}, "
    key = name_key(name)
    if key == name_key(own.label):
        return DatasetInvalid(
            f"{reads}which is the label here, so it is not known when a row is predicted",
            advice="Name a model in features_from that does not read the label",
        )
    for column, reason in own.left_out.items():
        if name_key(column) == key:
            return DatasetInvalid(
                f"{reads}which is left out here: {reason}",
                advice=f'Make it a feature with [data.columns] "{column}", and remove it from '
                "[data] ignore",
            )
    return DatasetInvalid(
        f"{reads}and these files have no such column",
        advice="Add the column to the files, or name another model",
    )


def _codes(feature: Feature, wanted: Feature) -> dict[bytes, bytes]:
    """Return the other model's code by the code of each text that it knows."""
    return {
        str(code).encode(): str(wanted.codes[text]).encode()
        for text, code in feature.codes.items()
        if text in wanted.codes
    }
