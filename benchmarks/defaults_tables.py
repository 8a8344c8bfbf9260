"""The tables of defaults.py, encoded as Refit encodes them.

The tables ship in packages, or are generated. `CHOOSING` and `REPORTED` were fixed, with each kind
of table in both, before anything was measured: the planned hyperparameters were chosen on the first
half only. `shuttle` was in the second half until it showed that coarse bins for large tables, which
the first half had allowed, lose what tells a few rows apart; since then it is one to choose on.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from refit.domain.data_settings import DataSettings
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import prepare
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from sklearn import datasets

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 60_000


@dataclass(frozen=True)
class Table:
    """A table with an encoded label: features (n_rows, n_features), labels (n_rows,).

    Attributes:
        classes: number of classes; None for a regression.
    """

    name: str
    classes: int | None
    rows: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Source:
    """Where a table comes from: a frame, and the name of its label."""

    label: str
    is_regression: bool
    frame: Callable[[], pd.DataFrame]
    ignore: tuple[str, ...] = ()


def _folder(package: str) -> Path:
    return Path(import_module(package).__file__ or "").parent


def _sklearn(name: str) -> pd.DataFrame:
    return getattr(datasets, f"load_{name}")(as_frame=True).frame


def _statsmodels(name: str) -> pd.DataFrame:
    return import_module(f"statsmodels.datasets.{name}").load_pandas().data


def _unfaithful() -> pd.DataFrame:
    frame = _statsmodels("fair")
    return frame.assign(affairs=frame["affairs"] > 0)


def _file(package: str, path: str) -> pd.DataFrame:
    return pd.read_csv(_folder(package) / path)


def _banana() -> pd.DataFrame:
    with zipfile.ZipFile(_folder("river") / "datasets/banana.zip") as archive:
        text = archive.read("banana.all.txt").decode()
    rows = [[cell.split(":")[-1] for cell in line.split()] for line in text.splitlines()]
    return pd.DataFrame(rows, columns=["label", "x", "y"])


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 11])


def _with_categories(rows: np.ndarray, generator: np.random.Generator) -> pd.DataFrame:
    """Return numbers with every fourth column cut into named categories without an order."""
    frame = pd.DataFrame(np.round(rows, 4)).add_prefix("x")
    for column in list(frame)[::4]:
        codes = pd.qcut(frame[column], 12, labels=False)
        frame[column] = [f"c{name}" for name in generator.permutation(12)[codes]]
    return frame


def _two_classes() -> pd.DataFrame:
    """Return overlapping clusters, a tenth of the labels wrong."""
    rows, labels = datasets.make_classification(
        LARGE, 20, n_informative=10, n_clusters_per_class=4, flip_y=0.1, random_state=1
    )
    return _with_categories(rows, _generator(1)).assign(label=labels)


def _rare_class() -> pd.DataFrame:
    """Return a class of 1.5 %, by the logistic model of nine columns and of a product."""
    generator = _generator(2)
    rows = generator.normal(size=(LARGE, 15))
    logits = rows[:, :9] @ np.linspace(0.2, 1, 9) + rows[:, 9] * rows[:, 10] - 6.2
    labels = generator.random(LARGE) < 1 / (1 + np.exp(-logits))
    return _with_categories(rows, generator).assign(label=labels.astype(int))


def _five_classes() -> pd.DataFrame:
    rows, labels = datasets.make_classification(
        LARGE, 16, n_informative=8, n_classes=5, n_clusters_per_class=2, random_state=3
    )
    return pd.DataFrame(np.round(rows, 4)).add_prefix("x").assign(label=labels)


def _steps() -> pd.DataFrame:
    """Return a sum of steps, products and effects of categories, with noise of a third of it."""
    generator = _generator(4)
    rows = generator.normal(size=(LARGE, 12))
    signal = (
        np.floor(2 * rows[:, 0])
        + 2 * rows[:, 1] * (rows[:, 2] > 0)
        + np.sin(3 * rows[:, 4])
        + np.abs(rows[:, 8])
    )
    noise = generator.normal(scale=signal.std() / 3, size=LARGE)
    return _with_categories(rows, generator).assign(label=np.round(signal + noise, 4))


def _friedman() -> pd.DataFrame:
    rows, labels = datasets.make_friedman1(LARGE, 10, noise=1.0, random_state=5)
    return _with_categories(rows, _generator(5)).assign(label=np.round(labels, 4))


CHOOSING = {
    "breast cancer": Source("target", False, lambda: _sklearn("breast_cancer")),
    "election survey": Source("vote", False, lambda: _statsmodels("anes96")),
    "extramarital affairs": Source("affairs", False, _unfaithful),
    "two classes, generated": Source("label", False, _two_classes),
    "a rare class, generated": Source("label", False, _rare_class),
    "digits": Source("target", False, lambda: _sklearn("digits")),
    "glass": Source("type", False, lambda: _file("bokeh_sampledata", "_data/forensic_glass.csv")),
    "weather": Source(
        "weather", False, lambda: _file("vega_datasets", "_data/seattle-weather.csv")
    ),
    "diabetes": Source("target", True, lambda: _sklearn("diabetes")),
    "life expectancy": Source(
        "lifeExp", True, lambda: _file("plotly", "package_data/datasets/gapminder.csv.gz")
    ),
    "steps, generated": Source("label", True, _steps),
    "shuttle": Source("anomaly", False, lambda: _file("river", "datasets/shuttle.csv.gz")),
}
REPORTED = {
    "titanic": Source(
        "survived", False, lambda: _file("bokeh_sampledata", "_data/titanic_all.csv"), ("name",)
    ),
    "phishing": Source("is_phishing", False, lambda: _file("river", "datasets/phishing.csv.gz")),
    "banana": Source("label", False, _banana),
    "wine": Source("target", False, lambda: _sklearn("wine")),
    "image segments": Source("category", False, lambda: _file("river", "datasets/segment.csv.zip")),
    "five classes, generated": Source("label", False, _five_classes),
    "car mileage": Source(
        "mpg", True, lambda: _file("bokeh_sampledata", "_data/auto-mpg.csv"), ("name",)
    ),
    "tips": Source("tip", True, lambda: _file("plotly", "package_data/datasets/tips.csv.gz")),
    "doctor visits": Source("mdvis", True, lambda: _statsmodels("randhie")),
    "Friedman, generated": Source("label", True, _friedman),
}


def table(name: str) -> Table:
    """Return a table as Refit encodes it: codes for categories, NaN where a cell is missing."""
    source = (CHOOSING | REPORTED)[name]
    settings = DataSettings(
        label=source.label,
        task="regression" if source.is_regression else "classification",
        ignore=source.ignore,
        validation_fraction=0,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "table.csv"
        source.frame().to_csv(path, index=False)
        file = DroppedFile(path.name, path.stat().st_size, lambda: path.open("rb"))
        drop, work = folder / "drop", folder / "work"
        drop.mkdir()
        work.mkdir()
        with (folder / "refused").open("w+b") as refused:
            tables = tables_of([file], drop).tables
            prepared = prepare(tables, settings, None, work, 7, Quarantine(refused))
            lines = io.BytesIO()
            prepared.write_train(lines)
            if not lines.getvalue().endswith(b"\n"):
                lines.write(b"\n")
            prepared.write_test(lines, io.BytesIO(), io.BytesIO())
        classes = prepared.schema.classes
    lines.seek(0)
    cells = pd.read_csv(lines, header=None).to_numpy(np.float32)
    return Table(name, len(classes) if classes else None, cells[:, 1:], cells[:, 0])
