"""A run with everything that a report shows, and the elements of an HTML page."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np
from refit.domain.evaluation.gate import GateCheck, GateDecision

from tests.support.evaluations import CHAMPION, CLASSES, evaluated_rows
from tests.support.learned import LEARNED
from tests.support.model_files import archive_of, manifest, object_version

RUN = "0f1e2d3c4b5a"
JOB = f"refit-digits-{RUN}-0"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/refit-digits/4"
FEATURES = ("long", "code")


def curves(title: str = "training") -> dict[str, Any]:
    return {
        "model": "digits",
        "run": RUN,
        "jobs": [
            {
                "job": JOB,
                "title": title,
                "rounds": 3,
                "metrics": {
                    "train-mlogloss": [0.9, 0.5, 0.2],
                    "validation-mlogloss": [1.0, 0.7, 0.8],
                },
                "best": {"metric": "validation-mlogloss", "round": 1, "value": 0.7},
            }
        ],
    }


def evaluation(classes: tuple[str, ...] = CLASSES, **parts: Any) -> dict[str, Any]:
    new = evaluated_rows(200, 0.9, 0.8)
    content: dict[str, Any] = {
        "model": "digits",
        "run": RUN,
        "task": "classification",
        "classes": classes,
        "confidence": 0.95,
        "champion": CHAMPION.model_dump(),
        "comparable": True,
        "metric": "accuracy",
        "new": new.model_dump(mode="json"),
        "base": evaluated_rows(80, 0.9, 0.8).model_dump(mode="json"),
        "notes": [],
    }
    return content | parts


def gate(reason: str = "the challenger is better") -> dict[str, Any]:
    check = GateCheck(name="floor", passed=True, reason=reason)
    return GateDecision(
        passed=True,
        reasons=[reason, "a note of the gate"],
        metric="accuracy",
        challenger=0.9,
        champion=0.8,
        checks=[check],
    ).model_dump()


def profile(*columns: str, classes: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    numbers = {"min": 1.5, "max": 9.0, "mean": 4.25, "std": 1.0}
    return {
        "label": {"name": "kind", "classes": dict.fromkeys(classes, 25)},
        "columns": [
            {"name": columns[0], "type": "number", "completeness": 0.75, **numbers},
            {
                "name": columns[1],
                "type": "category",
                "completeness": 1.0,
                "counts": {"se": 60, "vi": 40},
            },
        ],
    }


def schema(*columns: str) -> dict[str, Any]:
    features = [{"name": columns[0], "type": "number"}]
    features.append({"name": columns[1], "type": "category", "values": ["se", "vi"]})
    return {"task": "classification", "label": "kind", "features": features, "classes": CLASSES}


def drop(**parts: Any) -> dict[str, Any]:
    files = [object_version("digits/raw/a.csv")]
    return {"model": "digits", "run": RUN, "cause": "drop", "files": files} | parts


def packed_model(members: dict[str, bytes] | None = None) -> bytes:
    """Return a model.tar.gz: by default with a model that uses the first feature only."""
    if members is None:
        members = {"xgboost-model": trained_model()}
    return archive_of(members)


@cache
def trained_model(used: int = 0) -> bytes:
    import xgboost

    values = np.zeros((40, 2))
    values[:, used] = np.arange(40)
    labels = (values[:, used] > 20).astype(float)
    rows = xgboost.DMatrix(values, labels)
    settings = {"objective": "binary:logistic", "nthread": 1}
    return bytes(xgboost.train(settings, rows, 3).save_raw("ubj"))


def write_run(stack: Any, **files: Any) -> None:
    """Write the run RUN of the model digits, with some files replaced; None leaves one out."""
    contents = {
        "drop": drop(),
        "manifest": manifest(RUN, learned=LEARNED.model_dump(mode="json")),
        "schema": schema(*FEATURES),
        "profile": profile(*FEATURES),
        "evaluation": evaluation(),
        "gate": gate(),
        "curves": curves(),
        **files,
    }
    for name, content in contents.items():
        if content is not None:
            stack.put(f"digits/runs/{RUN}/{name}.json", content)
    stack.add_run("digits", RUN, "DEPLOYED", version=4, package_arn=PACKAGE)
    stack.put(f"digits/runs/{RUN}/model.tar.gz", packed_model())


class Page(HTMLParser):
    """The elements of a page, each with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
