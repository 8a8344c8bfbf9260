"""Files as people have them: what is learned is told, and a wrong model does not go live."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.driver import User

SPECIES = ("setosa", "versicolor", "virginica")


def flowers() -> bytes:
    """Return an export of a German spreadsheet: an index, decimal commas, the label last."""
    random = np.random.default_rng(3)
    lines = ["\ufeff;länge;breite;species"]
    for index in range(300):
        kind = index // 100
        length, width = random.normal(5 + 2 * kind, 0.3), random.normal(1 + kind, 0.2)
        lines.append(f"{index};{length:.2f};{width:.2f};{SPECIES[kind]}".replace(".", ","))
    return "\r\n".join(lines).encode()


def churn(path: Path) -> dict[str, bytes]:
    """Return Parquet files in folders of regions, with truth values."""
    files = {}
    for region, likes in (("north", "true"), ("south", "false")):
        target = path / f"{region}.parquet"
        duckdb.execute(
            "COPY (SELECT i % 5 < 3 AS vip, (i * 7919 % 997) AS age, "
            f"(i % 5 < 3) = {likes} AS churn FROM range(200) t(i)) TO '{target}' (FORMAT parquet)"
        )
        files[f"region={region}/part-0.parquet"] = target.read_bytes()
    return files


def fraud() -> bytes:
    """Return rows of which few are of the class `yes`, and of no row this is certain."""
    random = np.random.default_rng(5)
    lines = ["fraud,amount,hour"]
    for _ in range(2000):
        amount = random.exponential(100)
        is_fraud = random.random() < (0.45 if amount > 250 else 0.01)
        lines.append(f"{'yes' if is_fraud else 'no'},{amount:.2f},{random.integers(24)}")
    return "\n".join(lines).encode()


def noise() -> bytes:
    random = np.random.default_rng(8)
    rows = (f"{random.normal():.4f},{random.integers(1000)}" for _ in range(300))
    return "\n".join(["target,b", *rows]).encode()


@pytest.fixture(scope="module")
def drops(user: User, tmp_path_factory: pytest.TempPathFactory) -> None:
    extras = {"README.md": b"my flowers", "part-1.csv": b""}
    label = '# the column to predict\n[data]\nlabel = "species"\n'
    user.drop("flowers", {"flowers.csv": flowers(), **extras}, label)
    user.drop("flowers-unclear", {"flowers.csv": flowers()})
    user.drop("churn", churn(tmp_path_factory.mktemp("churn")), '[data]\nlabel = "churn"\n')
    user.drop("noise", {"noise.csv": noise()})
    costs = "[prediction]\npositive = 'yes'\ncosts = {false_positive = 1, false_negative = 15}\n"
    user.drop("fraud", {"fraud.csv": fraud()}, f'[data]\nlabel = "fraud"\n{costs}')


@pytest.fixture
def live_flowers(user: User, drops: None) -> dict[str, Any]:
    run = user.wait_for_end("flowers")
    assert run["status"] == "DEPLOYED", run
    return run


def test_the_run_says_what_was_learned(live_flowers: dict[str, Any]) -> None:
    learned = live_flowers["learned"]
    assert (learned["label"], learned["classes"]) == ("species", list(SPECIES))
    assert (learned["delimiter"], learned["decimal"], learned["header"]) == (";", ",", True)
    types = {column["name"]: column["type"] for column in learned["columns"]}
    assert types == {"column0": "ignored", "länge": "number", "breite": "number"}
    assert (learned["rows"], learned["refused"]) == (300, 0)
    notes = " ".join(learned["notes"])
    assert all(name in notes for name in ("README.md", "part-1.csv"))


@pytest.mark.parametrize("index", ["0", "299", ""])
def test_an_answer_does_not_depend_on_the_index(
    user: User, live_flowers: dict[str, Any], index: str
) -> None:
    assert user.predicted_labels("flowers", [[index, "9,1", "3,0"]]) == ["virginica"]
    assert user.predicted_labels("flowers", [{"länge": 5.0, "breite": "1,0"}]) == ["setosa"]


def test_the_rows_of_the_file_can_be_asked_as_they_are(
    user: User, live_flowers: dict[str, Any]
) -> None:
    header, *rows = flowers().decode("utf-8-sig").splitlines()
    lines = [line.rpartition(";")[0] for line in [header, rows[0], rows[150], rows[299]]]
    body = "\r\n".join(lines).encode()
    assert user.predicted_labels("flowers", body) == list(SPECIES)
    packed = user.predict("flowers", gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert [row["prediction"] for row in packed.json()["predictions"]] == list(SPECIES)


def test_a_row_without_the_columns_that_are_left_out_is_refused_by_position(
    user: User, live_flowers: dict[str, Any]
) -> None:
    response = user.predict("flowers", [["9,1", "3,0"]])
    assert response.status_code == 400
    assert "column0" in response.json()["error"]["message"]


def test_another_label_is_refused_with_the_ways_out(
    user: User, live_flowers: dict[str, Any]
) -> None:
    user.drop("flowers", {"again.csv": flowers()}, '[data]\nlabel = "länge"\n')
    run = user.wait_for_end("flowers", 2)
    assert (run["status"], run["error"]) == ("FAILED", "SchemaChanged")
    assert "predicts 'species', and this drop's label is 'länge'" in run["message"]
    assert "refit remove flowers" in run["message"]
    assert "schema_change" in run["message"]


def test_a_label_that_is_not_clear_is_not_guessed(user: User, drops: None) -> None:
    run = user.wait_for_end("flowers-unclear")
    assert (run["status"], run["error"]) == ("FAILED", "LabelUnclear")
    assert "--label species" in run["message"]
    assert all(name in run["message"] for name in ("länge", "breite", "species"))


def test_truth_values_and_the_names_of_folders_are_read_alike_everywhere(
    user: User, drops: None
) -> None:
    run = user.wait_for_end("churn")
    assert run["status"] == "DEPLOYED", run
    assert run["learned"]["classes"] == ["false", "true"]
    asked = [
        {"vip": True, "age": 30, "region": "north"},
        {"vip": "FALSE", "age": 30, "region": "north"},
        {"vip": "True", "age": 30, "region": "south"},
    ]
    assert user.predicted_labels("churn", asked) == ["true", "false", "false"]


def test_noise_does_not_go_live(user: User, drops: None) -> None:
    run = user.wait_for_end("noise")
    assert run["status"] == "REFUSED", run
    assert "always predicting the mean" in run["message"]  # the floor, by its value or by chance


def test_costs_choose_from_which_probability_on_a_class_is_predicted(
    user: User, drops: None
) -> None:
    run = user.wait_for_end("fraud")
    assert run["status"] == "DEPLOYED", run
    decision = user.read_json(f"fraud/runs/{run['run']}/decision.json")
    assert 0 < decision["threshold"] < 0.4
    rows = user.predict("fraud", [[amount, 12] for amount in range(10, 1500, 10)]).json()
    probable = [row for row in rows["predictions"] if row["probabilities"]["yes"] < 0.5]
    assert any(row["prediction"] == "yes" for row in probable)
    assert all(
        (row["prediction"] == "yes") == (row["probabilities"]["yes"] >= decision["threshold"])
        for row in rows["predictions"]
    )
