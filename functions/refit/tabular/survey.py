"""Read all rows of a drop, and repeat it until the columns are read as their cells require.

The first rows tell what the columns probably hold. Then all rows are read. If all rows together
call for another reading of a column, they are read again. What the cells look like does not depend
on how they are read, so this ends after a few times.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from refit.domain.cell_shapes import MISSING, cell_shape
from refit.domain.column_reading import ColumnReading
from refit.domain.date_forms import forms_of
from refit.tabular.column_evidence import ColumnEvidence
from refit.tabular.column_tally import MAX_ODD_TEXTS, ColumnTracker
from refit.tabular.learned_schema import MAX_AUTO_CLASSES
from refit.tabular.left_out import is_id_name
from refit.tabular.number_doubts import may_be_stand_in
from refit.tabular.table_scan import TableScanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.csv_dialect import CsvDialect
    from refit.domain.data_settings import DataSettings
    from refit.domain.label_limits import LabelLimits
    from refit.tabular.columns import AlignedTables
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.spool import Spool
    from refit.tabular.spooled import SpooledRows

_MOST_READINGS = 6


class Survey:
    """The evidence about the columns of a drop.

    Attributes:
        evidence: what is known of the cells of each column, by its index.
        trackers: follow the cells of the columns that may be constant or row ids.
        examples: a cell with a value of each column, by its index.
        good_rows: number of good rows when all rows were last read.
    """

    def __init__(
        self,
        drop: AlignedTables,
        dialect: CsvDialect,
        settings: DataSettings,
        limits: LabelLimits | None,
    ) -> None:
        """Look at the first rows of the first table."""
        self._drop = drop
        self._limits = limits
        self._settings = settings
        missing = frozenset(text.strip() for text in settings.missing)
        self._reading = ColumnReading(name="", type="category", missing=missing)
        self.evidence: dict[int, ColumnEvidence] = {}
        self.trackers: dict[int, ColumnTracker] = {}
        self.examples: dict[int, str] = {}
        self.good_rows = 0
        for column, pick in enumerate(drop.sources[0].picks):
            if pick is not None:
                self._look(column, [row[pick] for row in dialect.rows])
        self._rows = len(dialect.rows)

    def _look(self, column: int, cells: list[str]) -> None:
        known = self.evidence.setdefault(column, ColumnEvidence())
        first: dict[str, None] = {}
        for cell in cells:
            shape = MISSING if self._reading.is_named_missing(cell) else cell_shape(cell)
            known.shapes[shape] += 1
            if shape.kind not in {"missing", "marker", "number", "infinite"}:
                known.odd[cell] += 1
            if shape.kind == "date":
                known.date_forms[forms_of(cell)] += 1
            if shape.kind == "marker":
                known.markers[cell] += 1
            is_kept = len(first) < MAX_ODD_TEXTS or may_be_stand_in(cell)
            if shape.kind not in {"missing", "marker"} and is_kept:
                first[cell] = None
        known.first = tuple(first)
        if first or known.markers:
            self.examples[column] = next(iter(first or known.markers))
        tracker = self._tracker(column)
        tracker.add(cells)
        if tracker.is_alive:
            self.trackers[column] = tracker

    def _tracker(self, column: int) -> ColumnTracker:
        return ColumnTracker(compares_ids=is_id_name(self._drop.names[column]))

    def read(
        self, new_spool: Callable[[], Spool], quarantine: Quarantine
    ) -> tuple[SpooledRows, TableScanner]:
        """Read all rows; return them, and the scanner that has read them.

        Raises:
            DatasetInvalid: if the rows cannot be read as a table, or a column in two ways.
        """
        plan = self._drop.planner.plan(self.evidence, self.trackers, self._rows)
        limit = MAX_AUTO_CLASSES if self._settings.task == "auto" else None
        followed = {column: self._tracker(column) for column in self.trackers}
        for _ in range(_MOST_READINGS):
            self._drop.check(plan)
            quarantine.restart()
            scanner = TableScanner(plan, limit, quarantine.refuse, followed, self._limits)
            spool = new_spool()
            with closing(spool):
                for source in self._drop.sources:
                    for rows in scanner.scan(source):
                        spool.add(rows, source.table.split, source.table.origin)
            self.good_rows = spool.spooled.rows.total()
            if followed:
                self.trackers, self._rows, followed = followed, scanner.state.rows, {}
            self._learn(scanner)
            actual = self._drop.planner.plan(self.evidence, self.trackers, self._rows)
            if actual.same_reading(plan):
                scanner.use(actual)
                return spool.spooled, scanner
            plan = actual
        raise AssertionError(f"no reading of {self._drop.names[:20]} fits its own cells")

    def _learn(self, scanner: TableScanner) -> None:
        """Replace the evidence about the columns that were read."""
        counted = {column for _, column in scanner.plan.counted}
        for column in scanner.plan.read:
            known = self.evidence.get(column, ColumnEvidence())
            distinct = known.distinct
            if column in counted:
                distinct = len(scanner.tally.values.get(column, ()))
            keep = known.is_precise and known.is_whole and not scanner.state.is_precise
            self.evidence[column] = ColumnEvidence(
                shapes=known.shapes if keep else scanner.tally.shapes[column],
                odd=known.odd if keep else scanner.tally.odd[column],
                markers=known.markers if keep else scanner.tally.markers[column],
                first=known.first,
                distinct=distinct,
                is_whole=True,
                is_precise=keep or scanner.state.is_precise,
                date_forms=scanner.tally.date_forms[column],
            )
