"""Sum the input counts of a version up to each cohort, so that a season is two reads.

The counts of a season are the totals of its last cohort minus those of the last cohort before it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from refit.domain.monitoring.input_counts import InputCounts, merged


@dataclass(frozen=True)
class InputTotals:
    """The sum of the input counts of a version from one cohort to another.

    Attributes:
        since: start of the first cohort.
        counts: sum over all cohorts.
    """

    since: datetime
    counts: InputCounts

    def plus(self, counts: InputCounts) -> InputTotals:
        """Return the totals with a further cohort.

        Raises:
            ValueError: when the counts belong to another run.
        """
        total = merged([self.counts, counts])
        assert total is not None, "there are two"
        return InputTotals(self.since, total)

    def since_then(self, earlier: InputTotals) -> InputCounts:
        """Return the counts of the cohorts after earlier totals of the same cohorts.

        No count is negative, although two checks at once may have added different counts of a
        cohort whose capture files were still arriving.
        """
        counts = self.counts
        return InputCounts(
            counts.layout,
            max(counts.rows - earlier.counts.rows, 0),
            np.maximum(counts.slots - earlier.counts.slots, 0),
        )

    def to_bytes(self) -> bytes:
        """Return the totals as a compressed .npz; the same totals give the same bytes."""
        buffer = io.BytesIO()
        counts = self.counts
        np.savez_compressed(
            buffer,
            layout=np.array(counts.layout),
            rows=counts.rows,
            slots=counts.slots,
            since=int(self.since.timestamp()),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> InputTotals:
        """Read what `to_bytes` wrote."""
        counts = InputCounts.from_bytes(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return cls(datetime.fromtimestamp(int(stored["since"]), UTC), counts)
