"""A label that cannot be trained on is refused with its row, before a training job is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.domain.errors import TooManyBadRows
from refit.domain.label_limits import MAX_CLASS_CHARACTERS, label_limits

if TYPE_CHECKING:
    from tests.support.preparing import Preparing

LONG = "x" * (MAX_CLASS_CHARACTERS + 1)


def rows(labels: list[object]) -> bytes:
    lines = [f"{label},{index},{index % 7}" for index, label in enumerate(labels)]
    return ("y,a,b\n" + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("task", ["auto", "regression"])
@pytest.mark.parametrize(
    ("objective", "label", "allowed"),
    [
        ("reg:logistic", "1.25", "numbers from 0 to 1"),
        ("reg:logistic", "-0.25", "numbers from 0 to 1"),
        ("reg:gamma", "0", "numbers > 0"),
        ("reg:tweedie", "-1e-9", "numbers ≥ 0"),
        ("count:poisson", "-3", "numbers ≥ 0"),
        ("reg:squaredlogerror", "-1", "numbers > -1"),
    ],
)
def test_a_label_that_the_objective_does_not_take_is_refused_with_its_line(
    prepared: Preparing, task: str, objective: str, label: str, allowed: str
) -> None:
    labels: list[object] = [(index % 90 + 1) / 100 for index in range(300)]
    labels[149] = label
    limits = label_limits("xgboost", {"objective": objective})
    result = prepared(rows(labels), limits=limits, task=task, label="y")
    (refused,) = result.refused
    assert (refused["file"], refused["line"]) == ("drop.csv", 151)
    assert refused["reason"] == f"label 'y' is {label}; the objective {objective} takes {allowed}"
    assert len(result.all_rows) == 299


def test_many_such_labels_fail_the_run_and_the_reason_names_the_rule(prepared: Preparing) -> None:
    limits = label_limits("xgboost", {"objective": "reg:logistic"})
    with pytest.raises(TooManyBadRows) as refused:
        prepared(rows([index * 1.5 for index in range(300)]), limits=limits, label="y")
    assert "the objective reg:logistic takes numbers from 0 to 1" in str(refused.value)


@pytest.mark.parametrize(
    ("algorithm", "objective"),
    [("xgboost", "reg:squarederror"), ("linear-learner", "reg:logistic"), ("xgboost", None)],
)
def test_other_objectives_take_every_number(
    prepared: Preparing, algorithm: str, objective: str | None
) -> None:
    limits = label_limits(algorithm, {"objective": objective} if objective else {})
    result = prepared(rows([index / 7 - 20 for index in range(300)]), limits=limits, label="y")
    assert result.refused == []


@pytest.mark.parametrize("quoted", [False, True])
def test_a_class_whose_name_is_too_long_is_refused_with_its_line(
    prepared: Preparing, quoted: bool
) -> None:
    labels: list[object] = ["cat", "dog"] * 150
    labels[149] = f'"{LONG}"' if quoted else LONG
    result = prepared(rows(labels), label="y")
    (refused,) = result.refused
    assert refused["line"] == 151
    assert "has 257 characters; the name of a class has at most 256 characters" in refused["reason"]
    assert result.schema.classes == ("cat", "dog")


def test_a_class_of_the_longest_name_is_trained(prepared: Preparing) -> None:
    longest = LONG[1:]
    result = prepared(rows(["cat", longest] * 150), label="y")
    assert result.schema.classes == ("cat", longest)


@pytest.mark.parametrize("label", ["4.1e302", "1e39", "-1e39", "inf"])
def test_a_label_beyond_float32_is_refused_with_its_line(prepared: Preparing, label: str) -> None:
    labels: list[object] = [index / 7 for index in range(300)]
    labels[149] = label
    (refused,) = prepared(rows(labels), label="y").refused
    assert (refused["line"], refused["reason"]) == (151, f"column 'y': '{label}' is not finite")


def test_labels_beyond_float32_do_not_become_classes(prepared: Preparing) -> None:
    with pytest.raises(TooManyBadRows, match="is not finite"):
        prepared(rows([f"{index}.1e302" for index in range(1, 300)]), label="y")
