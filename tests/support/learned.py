"""What was learned from a small drop with a leak and refused rows."""

from __future__ import annotations

from refit.domain.learned import Learned, LearnedColumn

LEARNED = Learned(
    label="kind",
    task="classification",
    classes=("setosa", "virginica"),
    columns=(
        LearnedColumn(name="long", type="number", missing=0, example="1.5"),
        LearnedColumn(name="code", type="category", distinct=2, missing=3, example="se"),
        LearnedColumn(
            name="id", type="ignored", missing=0, example="1", reason="row numbers, which count up"
        ),
    ),
    header=True,
    delimiter=",",
    decimal=".",
    rows=75,
    refused=25,
    refused_reasons={"the label 'kind' is missing": 25},
    notes=("2 rows that repeat the header are skipped",),
).with_leaks(["code"])
