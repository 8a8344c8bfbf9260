"""Turn the example rows of a run into an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.runs import ExampleAnswer, ExamplesAnswer

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run
    from refit.usecases.run_records import RunRecords
    from refit.usecases.services import Services


def examples_answer(services: Services, run: Run, written: RunRecords) -> ExamplesAnswer | None:
    """Return held-out rows of a run; None before they are written."""
    if written.examples is None or written.manifest is None:
        return None
    schema = services.artifacts.schema(run.model, run.run)
    features = tuple(feature.name for feature in schema.own.features)
    side = schema.image_side
    columns = features if side is None else schema.all_columns
    learned = written.manifest.learned
    # Columns that are left out of pictures have the same value in all rows.
    same = {column.name: column.example for column in learned.columns} if learned else {}
    rows = []
    for row in written.examples.rows:
        values = same | dict(zip(features, row.values, strict=True))
        rows.append(
            ExampleAnswer(
                values=tuple(values.get(name) for name in columns),
                truth=row.truth,
                predicted=row.predicted,
                probability=row.probability,
                live=row.live,
                wrong=row.wrong,
            )
        )
    return ExamplesAnswer(
        columns=columns,
        image_side=side,
        image_max=services.artifacts.largest_number(run.model, run.run) if side else None,
        rows=tuple(rows),
    )
