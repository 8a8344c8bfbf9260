"""The labels and corrections that trained a version: the lines of its slices of the ledger.

A slice is never changed, so the manifest of a run says for ever which labels it used. A corrected
label is a second line of the same inference with a higher `seq`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.errors import ObjectNotFound
from refit.domain.inferences.ledger import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.pipeline.manifest import Manifest
    from refit.stores.bucket import Bucket


@dataclass(frozen=True)
class Lineage:
    """The labels of a run.

    Attributes:
        rows: the line that was used of each inference, by its id.
        before: labels that a later line has replaced, the oldest first.
        missing: keys of slices that do not exist any more.
    """

    rows: dict[str, LedgerRow]
    before: dict[str, list[str]]
    missing: tuple[str, ...]

    @property
    def used(self) -> list[LedgerRow]:
        """The lines whose row is labelled, in the order in which the labels were observed."""
        rows = (row for row in self.rows.values() if not row.withdrawn)
        return sorted(rows, key=lambda row: (row.observed_at, row.inference_id))

    @property
    def corrections(self) -> list[tuple[LedgerRow, list[str]]]:
        """The used lines whose label is another than a line before said, with what that said."""
        return [
            (row, earlier)
            for row in self.used
            if (earlier := [old for old in self.before[row.inference_id] if old != row.label])
        ]

    def as_json(self, manifest: Manifest) -> dict[str, Any]:
        """Return all of it as an object of JSON."""
        corrected = {row.inference_id: earlier for row, earlier in self.corrections}
        return {
            "labels": len(self.used),
            "corrections": len(corrected),
            "withdrawn": len(self.rows) - len(self.used),
            "rows": manifest.labelled.model_dump(),
            "lost": manifest.lost(),
            "predicted_by_version": _counted(row.version for row in self.used),
            "by_label": _counted(row.label for row in self.used),
            "slices": [used.model_dump(mode="json") for used in manifest.slices],
            "missing_slices": list(self.missing),
            "each": [_as_json(row, corrected.get(row.inference_id)) for row in self.used],
        }


def read_lineage(bucket: Bucket, manifest: Manifest) -> Lineage:
    """Read the slices that a run used."""
    lines: dict[str, list[LedgerRow]] = {}
    missing = []
    for used in manifest.slices:
        try:
            content = bucket.read(used.key, used.version)
        except ObjectNotFound:
            missing.append(used.key)
            continue
        for line in content.splitlines():
            row = LedgerRow.model_validate_json(line)
            lines.setdefault(row.inference_id, []).append(row)
    ordered = {key: sorted(rows, key=lambda row: row.seq) for key, rows in lines.items()}
    return Lineage(
        rows={key: rows[-1] for key, rows in ordered.items()},
        before={key: list(_labels(rows[:-1])) for key, rows in ordered.items()},
        missing=tuple(missing),
    )


def _labels(rows: list[LedgerRow]) -> Iterator[str]:
    """Yield the labels of lines, one for lines that a retried batch has written again."""
    last: tuple[int, str] | None = None
    for row in rows:
        if (row.seq, row.label) != last:
            yield row.label
        last = (row.seq, row.label)


def _counted(values: Iterator[Any]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _as_json(row: LedgerRow, earlier: list[str] | None) -> dict[str, Any]:
    content = row.model_dump(
        mode="json", include={"inference_id", "label", "prediction", "version", "observed_at"}
    )
    return {**content, "corrected_from": earlier} if earlier else content
