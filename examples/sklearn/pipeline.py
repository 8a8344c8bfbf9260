"""A scikit-learn pipeline for tables with numbers, categories and texts, as SageMaker trains it.

The training files are CSV without a header, the label first. Texts are numbers there: the channel
`schema` says which texts they stand for. A cell without a value is empty.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    Rows = NDArray[np.float64]

# The local stack has no Docker, and names another folder in this variable.
BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
MODEL_FILE = BASE / "model" / "pipeline.joblib"


def read_rows(path: Path) -> tuple[Rows, Rows]:
    """Return the features and the labels of all files in a folder."""
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    table = np.concatenate(
        [np.genfromtxt(file, delimiter=",", ndmin=2, filling_values=np.nan) for file in files]
    )
    return table[:, 1:], table[:, 0]


def read_config(name: str) -> dict[str, Any]:
    """Return a file of the folder input/config."""
    content: dict[str, Any] = json.loads((BASE / "input/config" / name).read_text())
    return content


def build(features: Sequence[dict[str, Any]], task: str, options: dict[str, str]) -> Pipeline:
    """Return a pipeline that is not fitted yet.

    Args:
        features: of schema.json: `name`, `type`, and the `values` of a category by their codes.
        task: `classification` or `regression`.
        options: hyperparameters; each is a text.
    """
    text_names = set(filter(None, options.get("text_columns", "").split(",")))
    unknown = text_names - {f["name"] for f in features if f["type"] == "category"}
    if unknown:
        raise ValueError(f"text_columns: {', '.join(sorted(unknown))} is no column of texts")
    numbers, categories, texts = [], [], []
    for index, feature in enumerate(features):
        if feature["name"] in text_names:
            texts.append((index, feature["values"]))
        else:
            (categories if feature["type"] == "category" else numbers).append(index)
    parts: list[tuple[str, Any, list[int]]] = [
        (
            "numbers",
            make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
            numbers,
        ),
        ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
    ]
    for index, values in texts:
        words = make_pipeline(
            FunctionTransformer(as_texts, kw_args={"values": values}), TfidfVectorizer()
        )
        parts.append((f"text {index}", words, [index]))
    strength = float(options.get("C", "1"))
    predictor = (
        Ridge(alpha=1 / strength)
        if task == "regression"
        else LogisticRegression(C=strength, max_iter=int(options.get("max_iter", "500")))
    )
    return make_pipeline(ColumnTransformer(parts), predictor)


def as_texts(codes: Rows, values: Sequence[str]) -> list[str]:
    """Return the texts of a column of codes; a missing one is empty."""
    return ["" if np.isnan(code) else values[int(code)] for code in codes[:, 0]]


def predicted(pipeline: Pipeline, rows: Rows, n_classes: int | None) -> Rows:
    """Return a number for each row, or the probability of each class, (n_rows, n_values)."""
    if n_classes is None:
        numbers: Rows = pipeline.predict(rows)
        return numbers[:, None]
    probabilities = np.zeros((len(rows), n_classes))
    # A class without a training row is not known to the pipeline.
    probabilities[:, pipeline.classes_.astype(int)] = pipeline.predict_proba(rows)
    return probabilities
