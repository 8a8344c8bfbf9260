"""Write the report of a run as one HTML page.

Texts of the data (names of columns, classes, files) are escaped by the template. The page has no
script, and its policy allows none; it loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from refit.domain.quality_metrics import METRICS, figure

from refit_cli.report import tables
from refit_cli.report.charts import curve_charts
from refit_cli.report.summary import summary_of

if TYPE_CHECKING:
    from refit_cli.report.facts import RunFacts

_TEMPLATE = "report.html.j2"


def report_page(facts: RunFacts) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("refit_cli.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["share"] = lambda value: f"{value:.1%}"
    environment.filters["metric"] = _metric
    environment.filters["title_of"] = _title
    folds = facts.evaluation.folds if facts.evaluation else None
    return environment.get_template(_TEMPLATE).render(
        facts=facts,
        run=facts.run,
        summary=summary_of(facts),
        charts=curve_charts(facts.curves) if facts.curves else [],
        unread_jobs=[job for job in facts.curves.jobs if job.missing] if facts.curves else [],
        quality=tables.quality_tables(facts.evaluation) if facts.evaluation else [],
        confusion=tables.confusion_of(facts.evaluation) if facts.evaluation else None,
        class_rows=tables.class_rows(facts.evaluation) if facts.evaluation else [],
        notes=tables.gate_notes(facts.decision) if facts.decision else [],
        folds=tables.fold_table(folds) if folds else None,
        trials=tables.trial_table(facts.tuning) if facts.tuning else None,
        columns=tables.column_rows(facts.profile or {}),
        label_rows=tables.label_rows(facts.profile or {}),
        ignored=tables.ignored_columns(facts.manifest) if facts.manifest else [],
    )


def _number(value: Any) -> str:
    """Return a value of a table: four significant digits; nothing for a value that is missing."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _metric(value: float | None, name: str) -> str:
    if value is None or name not in METRICS:
        return _number(value)
    return figure(name, value, ".4f")


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric
