"""From a champion's files and slices of the ledger to what training and evaluation read."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from refit.domain.errors import DatasetNotFound, ModelNotFound
from refit.domain.naming import RunKeys
from refit.domain.retraining.row_decoder import (
    FILE_GONE,
    LABEL_UNKNOWN,
    NO_SUCH_ROW,
    OTHER_COLUMNS,
)
from refit.handlers import prepare
from refit.handlers.wiring import services

from tests.integration.pipeline.test_preparing import CHAMPION, body, drop, table
from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.model_files import champion, object_version

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRAINING = RunKeys("digits", "0f1e2d3c4b5a")
SECOND = RunKeys("digits", "5b5b5b5b5b5b")
SIDES = ("train", "validation", "test")
CAPTURE = "digits/capture/refit-digits/v3/2025/01/02/03"


@dataclass
class World:
    """A model that is live, and what was predicted with it and labelled."""

    stack: Stack
    slices: list[dict[str, Any]] = field(default_factory=list)
    fresh_since: str | None = None

    def goes_live(self, files: dict[str, bytes], run: str = CHAMPION.run, version: int = 3) -> None:
        drop(self.stack, files, run)
        prepare.handler({"model": "digits", "run": run}, CONTEXT)
        self.promote(run, version)

    def promote(self, run: str, version: int) -> None:
        services().models.release_run("digits", run)
        services().models.record_version("digits", version, run, "arn:package")
        services().models.promote("digits", champion(version, run))

    def captured(self, name: str, events: Sequence[Sequence[str]], form: str = "CSV") -> str:
        """Put a capture file; an event is its encoded rows."""
        lines = [
            json.dumps(
                {
                    "captureData": {
                        "endpointInput": asked(rows, form),
                        "endpointOutput": {
                            "observedContentType": "text/csv; charset=utf-8",
                            "mode": "OUTPUT",
                            "data": "\n".join("0.1,0.2,0.7" for _ in rows),
                            "encoding": "CSV",
                        },
                    },
                    "eventMetadata": {
                        "eventId": f"{name}-{number}",
                        "inferenceTime": "2025-01-02T03:04:05Z",
                    },
                    "eventVersion": "0",
                }
            )
            for number, rows in enumerate(events)
        ]
        key = f"{CAPTURE}/{name}.jsonl"
        self.stack.put(key, "\n".join(lines) + "\n")
        return key

    def labelled(self, name: str, lines: Sequence[dict[str, Any]], fresh: bool = True) -> None:
        """Put a slice of the ledger."""
        key = f"digits/labelled/dt=2025-01-02/{name}.jsonl"
        data = "".join(f"{json.dumps(line)}\n" for line in lines)
        version = self.stack.put(key, data)
        self.slices.append(object_version(key, version, len(data)) | {"fresh": fresh})

    def retrain(self, keys: RunKeys = RETRAINING, of: RunKeys = CHAMPION) -> dict[str, Any]:
        """Write what the start of a retraining writes, and prepare it."""
        files = self.stack.get(of.manifest)["files"]
        services().models.begin_run("digits", keys.run, "drift", "2025-01-01T00:00:00+00:00")
        self.stack.put(
            keys.drop,
            {
                "model": "digits",
                "run": keys.run,
                "cause": "drift",
                "files": files,
                "slices": self.slices,
                "fresh_since": self.fresh_since,
            },
        )
        return self.prepared(keys)

    def prepared(self, keys: RunKeys = RETRAINING) -> dict[str, Any]:
        return prepare.handler({"model": "digits", "run": keys.run}, CONTEXT)

    def rows(self, prefix: str) -> list[bytes]:
        """Return the lines of a run's only file below a prefix."""
        (key,) = self.stack.keys(prefix)
        return body(self.stack, key).splitlines()

    def all_rows(self) -> list[bytes]:
        """Return the lines of every side of the retraining."""
        sides = (RETRAINING.train, RETRAINING.validation, RETRAINING.test)
        return [row for prefix in sides for row in self.rows(prefix)]

    def lost(self, keys: RunKeys = RETRAINING) -> list[dict[str, int]]:
        return [one["lost"] for one in self.stack.get(keys.manifest)["slices"]]


def asked(rows: Sequence[str], form: str) -> dict[str, str]:
    """One side of a captured line, in one of the forms that SageMaker writes."""
    text, content_type = "\n".join(rows), "text/csv"
    if form == "JSON":
        instances = [{"features": list(map(int, row.split(",")))} for row in rows]
        text, content_type = json.dumps({"instances": instances}), "application/json"
    if form == "BASE64":
        text = base64.b64encode(text.encode()).decode()
    return {"observedContentType": content_type, "mode": "INPUT", "data": text, "encoding": form}


@pytest.fixture
def world(stack: Stack) -> World:
    return World(stack)


def line(
    key: str, number: int, label: str, row: int = 0, seq: int = 2, **more: Any
) -> dict[str, Any]:
    """A line of the ledger, for a row of a capture file."""
    return {
        "inferenceId": f"{key}:{number}:{row}",
        "seq": seq,
        "label": label,
        "prediction": "1",
        "version": 3,
        "predictedAt": "2025-01-02T03:04:05.000+00:00",
        "observedAt": "2025-01-02T04:04:05.000+00:00",
        "source": {"key": key, "line": number, "row": row},
    } | more


def pixels(count: int, seed: int) -> list[str]:
    """Encoded rows, each of its own."""
    cells = np.random.default_rng(seed).integers(0, 10_000, (count, 4))
    return [",".join(map(str, row)) for row in cells]


def with_labelled(
    world: World, count: int = 200, seed: int = 7, name: str = "a", fresh: bool = True
) -> list[bytes]:
    """Predict and label so many rows, ten to an event; return them label first."""
    rows = pixels(count, seed)
    events = [rows[begin : begin + 10] for begin in range(0, count, 10)]
    key = world.captured(name, events)
    world.labelled(
        name,
        [line(key, place // 10, str(place % 3), row=place % 10) for place in range(count)],
        fresh,
    )
    return [f"{place % 3},{row}".encode() for place, row in enumerate(rows)]


def test_a_retraining_trains_on_the_champions_files_and_on_what_was_labelled_since(
    world: World,
) -> None:
    data = table()
    world.goes_live({"a.csv": data})
    labelled = with_labelled(world)
    answer = world.retrain()
    train = world.rows(RETRAINING.train)
    validation = world.rows(RETRAINING.validation)
    test = world.rows(RETRAINING.test)
    assert sorted(train + validation + test) == sorted(data.splitlines() + labelled)
    assert answer["rows"]["train"] == len(train)
    assert answer["comparable"] is True
    manifest = world.stack.get(RETRAINING.manifest)
    assert manifest["cause"] == "drift"
    assert manifest["slices"] == [{**world.slices[0], "rows": 200, "lost": {}}]
    of_labelled = manifest["labelled"]
    assert of_labelled["train"] == len(set(train) & set(labelled))
    assert of_labelled["test"] == of_labelled["fresh_test"] == len(set(test) & set(labelled))
    assert world.stack.get(RETRAINING.profile)["rows"]["train"] == len(train)


def test_the_fresh_held_out_rows_are_asked_apart_and_are_never_trained_on(world: World) -> None:
    world.goes_live({"a.csv": table()})
    labelled = with_labelled(world)
    world.retrain()
    test = world.rows(RETRAINING.test)
    fresh = [row.partition(b",") for row in test if row in labelled]
    assert 5 < len(fresh) < 50
    asked = body(world.stack, f"{RETRAINING.evaluation_input}fresh.csv").splitlines()
    assert asked == [row[2] for row in fresh]
    labels = body(world.stack, RETRAINING.evaluation_labels("fresh")).splitlines()
    assert labels == [row[0] for row in fresh]
    new = body(world.stack, f"{RETRAINING.evaluation_input}new.csv").splitlines()
    assert set(asked) < set(new)
    taught = world.rows(RETRAINING.train) + world.rows(RETRAINING.validation)
    assert not {row.partition(b",")[2] for row in taught} & set(new)


def test_what_was_predicted_before_the_change_is_trained_on_and_is_not_fresh(world: World) -> None:
    world.goes_live({"a.csv": table()})
    labelled = with_labelled(world)
    world.fresh_since = "2099-01-01T00:00:00+00:00"
    world.retrain()
    assert set(labelled) & set(world.rows(RETRAINING.train))
    assert world.stack.get(RETRAINING.manifest)["labelled"]["fresh_test"] == 0
    assert f"{RETRAINING.evaluation_input}fresh.csv" not in world.stack.keys(RETRAINING.root)


def test_a_later_retraining_never_trains_on_what_was_held_out_before(world: World) -> None:
    world.goes_live({"a.csv": table()})
    first = with_labelled(world)
    world.retrain()
    held_out = world.rows(RETRAINING.test)
    world.promote(RETRAINING.run, 4)
    world.slices[0]["fresh"] = False
    second = with_labelled(world, seed=8, name="b")
    world.retrain(SECOND, of=RETRAINING)
    train, test = world.rows(SECOND.train), world.rows(SECOND.test)
    assert set(held_out) < set(test)
    assert not set(held_out) & set(train)
    fresh = body(world.stack, f"{SECOND.evaluation_input}fresh.csv").splitlines()
    assert fresh == [row.partition(b",")[2] for row in test if row in second]
    of_labelled = world.stack.get(SECOND.manifest)["labelled"]
    assert of_labelled["fresh_test"] == len(fresh)
    assert of_labelled["test"] == len(fresh) + len(set(held_out) & set(first))
    base = body(world.stack, f"{SECOND.evaluation_input}base.csv")
    assert base == body(world.stack, f"{RETRAINING.evaluation_input}new.csv")


def test_a_row_that_was_dropped_and_is_predicted_again_stays_on_its_side(world: World) -> None:
    data = table()
    world.goes_live({"a.csv": data})
    held_out = world.rows(CHAMPION.test)
    features = [row.partition(b",")[2].decode() for row in data.splitlines()]
    key = world.captured("a", [[row] for row in features])
    world.labelled("a", [line(key, number, "1") for number in range(len(features))])
    world.retrain()
    assert len(world.rows(RETRAINING.test)) == 2 * len(held_out)
    asked = body(world.stack, f"{RETRAINING.evaluation_input}fresh.csv").splitlines()
    assert asked == [row.partition(b",")[2] for row in held_out]


def test_the_same_retraining_writes_the_same_bytes_twice(world: World) -> None:
    world.goes_live({"a.csv": table()})
    for seed in range(12):
        with_labelled(world, count=20, seed=seed, name=f"s{seed}", fresh=seed % 2 == 0)
    answer = world.retrain()
    before = {key: body(world.stack, key) for key in world.stack.keys(RETRAINING.root)}
    assert world.prepared() == answer
    assert {key: body(world.stack, key) for key in world.stack.keys(RETRAINING.root)} == before


def test_a_corrected_label_counts_once_wherever_its_slices_stand(world: World) -> None:
    world.goes_live({"a.csv": table()})
    key = world.captured("a", [[row] for row in pixels(100, 7)])
    right = [line(key, number, "2", seq=3) for number in range(50)]
    wrong = [line(key, number, "0") for number in range(100)]
    world.labelled("a", right)
    world.labelled("b", wrong, fresh=False)
    world.retrain()
    assert world.lost() == [{}, {"superseded": 50}]
    rows = world.all_rows()
    said = {row.partition(b",")[2]: row[:1] for row in rows}
    expected = [b"2"] * 50 + [b"0"] * 50
    assert [said[row.encode()] for row in pixels(100, 7)] == expected
    assert len(rows) == 500


def test_a_line_that_is_written_again_is_fresh_only_when_it_is_new(world: World) -> None:
    world.goes_live({"a.csv": table()})
    with_labelled(world, fresh=False)
    world.slices.append({**world.slices[0], "fresh": True})
    world.retrain()
    assert world.lost() == [{}, {"superseded": 200}]
    assert world.stack.get(RETRAINING.manifest)["labelled"]["fresh_test"] == 0
    assert f"{RETRAINING.evaluation_input}fresh.csv" not in world.stack.keys(RETRAINING.root)


@pytest.mark.parametrize("form", ["CSV", "JSON", "BASE64"])
def test_features_are_read_back_in_whatever_form_they_were_captured(
    world: World, form: str
) -> None:
    world.goes_live({"a.csv": table()})
    rows = pixels(40, 7)
    key = world.captured("a", [rows[:25], rows[25:]], form)
    world.labelled("a", [line(key, place // 25, "1", row=place % 25) for place in range(40)])
    world.retrain()
    assert world.lost() == [{}]
    found = {row.partition(b",")[2].decode() for row in world.all_rows()}
    assert set(rows) < found


def test_what_was_withdrawn_is_taken_out(world: World) -> None:
    world.goes_live({"a.csv": table()})
    key = world.captured("a", [[row] for row in pixels(30, 7)])
    world.labelled("a", [line(key, number, "1") for number in range(30)])
    world.labelled("b", [line(key, number, "1", seq=3, withdrawn=True) for number in range(4)])
    world.retrain()
    assert world.lost() == [{"superseded": 4}, {"withdrawn": 4}]
    assert sum(world.stack.get(RETRAINING.manifest)["labelled"][side] for side in SIDES) == 26


def test_rows_that_cannot_be_found_any_more_are_counted_by_their_reason(world: World) -> None:
    world.goes_live({"a.csv": table()})
    key = world.captured("a", [[row] for row in pixels(20, 7)])
    gone = world.captured("b", [["1,2,3,4"]])
    boto3.client("s3", REGION).delete_object(Bucket=world.stack.bucket, Key=gone)
    narrow = world.captured("c", [["1,2,3"], ["what,2,3,4"]])
    world.labelled(
        "a",
        [
            *(line(key, number, "1") for number in range(20)),
            line(key, 3, "1", row=1),
            line(key, 20, "1"),
            line(gone, 0, "1"),
            line(narrow, 0, "1"),
            line(narrow, 1, "1"),
            line(key, 5, "7", inferenceId="another class"),
        ],
    )
    answer = world.retrain()
    assert world.lost() == [{NO_SUCH_ROW: 3, FILE_GONE: 1, OTHER_COLUMNS: 1, LABEL_UNKNOWN: 1}]
    assert answer["rows"]["quarantined"] == 0
    assert sum(world.stack.get(RETRAINING.manifest)["labelled"][side] for side in SIDES) == 20


def shop(rows: int, colours: Sequence[str], seed: int = 5) -> bytes:
    """A table with texts: what was bought, by colour and price."""
    random = np.random.default_rng(seed)
    lines = ["bought,colour,price"]
    for number in range(rows):
        colour = colours[number % len(colours)]
        bought = ('"yes, twice"', "no")[number % 2]
        lines.append(f'{bought},"{colour}",{random.integers(0, 10_000) / 100}')
    return "\n".join(lines).encode() + b"\n"


def test_codes_become_texts_again_by_the_schema_of_the_version_that_predicted(
    world: World,
) -> None:
    world.goes_live({"a.csv": shop(300, ["red", "blue, dark"])}, "111111111111", version=2)
    world.goes_live({"b.csv": shop(300, ["amber", "red"], seed=6)})
    assert world.stack.get(CHAMPION.schema)["features"][0]["values"] == [
        "blue, dark",
        "red",
        "amber",
    ]
    key = world.captured("a", [["0,1.25", "1,2.5", ",3.75"], ["2,4.5"]])
    world.labelled(
        "a",
        [
            line(key, 0, "no", row=0, version=2),
            line(key, 0, "yes, twice", row=1, version=2),
            line(key, 0, "no", row=2),
            line(key, 1, "yes, twice"),
            line(key, 1, "no", version=2, inferenceId="a code that version 2 had not"),
            line(key, 1, "no", version=9, inferenceId="of nobody"),
        ],
    )
    world.retrain()
    rows = world.all_rows()
    assert {b"0,0,1.25", b"1,1,2.5", b"0,,3.75", b"1,2,4.5"} <= set(rows)
    assert len(rows) == 304
    assert sum(world.lost()[0].values()) == 2
    assert world.stack.get(RETRAINING.schema) == world.stack.get(CHAMPION.schema)


def test_labels_of_a_version_with_other_columns_are_lost(world: World) -> None:
    world.goes_live({"a.csv": table(names="y,a,b,c,e")}, "111111111111", version=2)
    world.stack.put("digits/model.toml", "[data]\nschema_change = 'accept'\n")
    world.goes_live({"b.csv": table(names="y,a,b,c,d")})
    key = world.captured("a", [["1,2,3,4"], ["5,6,7,8"]])
    world.labelled("a", [line(key, 0, "1", version=2), line(key, 1, "1")])
    world.retrain()
    assert world.lost() == [{OTHER_COLUMNS: 1}]


def test_a_regression_is_retrained_on_numbers(world: World) -> None:
    random = np.random.default_rng(3)
    dropped = "".join(f"{a + b:.3f},{a:.3f},{b:.3f}\n" for a, b in random.normal(size=(300, 2)))
    world.goes_live({"a.csv": dropped.encode()})
    inputs = [f"{a!r},{b!r}" for a, b in random.normal(size=(100, 2)).tolist()]
    key = world.captured("a", [inputs])
    world.labelled("a", [line(key, 0, f"{row / 4:g}", row=row) for row in range(100)])
    answer = world.retrain()
    assert answer["task"] == "regression"
    labels = body(world.stack, RETRAINING.evaluation_labels("fresh")).splitlines()
    asked = body(world.stack, f"{RETRAINING.evaluation_input}fresh.csv").decode().splitlines()
    assert [float(label) * 4 for label in labels] == [inputs.index(row) for row in asked]
    assert world.lost() == [{}]


def test_labelled_rows_are_held_out_by_hash_also_where_the_sides_were_given(world: World) -> None:
    world.goes_live({"train/a.csv": table(), "test/b.csv": table(50)})
    labelled = with_labelled(world)
    world.retrain()
    of_labelled = world.stack.get(RETRAINING.manifest)["labelled"]
    assert of_labelled["fresh_test"] > 5
    test = world.rows(RETRAINING.test)
    assert len(test) == 50 + of_labelled["fresh_test"]
    assert not set(world.rows(RETRAINING.train)) & set(test) & set(labelled)


def test_when_every_labelled_row_is_lost_the_rest_is_still_prepared(world: World) -> None:
    world.goes_live({"a.csv": table()})
    world.labelled("a", [line("digits/capture/never/written.jsonl", 0, "1")])
    answer = world.retrain()
    assert answer["rows"] == world.stack.get(CHAMPION.manifest)["rows"]
    assert world.lost() == [{FILE_GONE: 1}]


def test_without_a_live_version_there_is_nothing_to_retrain(world: World) -> None:
    drop(world.stack, {"a.csv": table()}, CHAMPION.run)
    world.prepared(CHAMPION)
    with_labelled(world)
    with pytest.raises(ModelNotFound, match="digits has no live version"):
        world.retrain()


def test_a_slice_that_is_gone_fails_the_run_by_its_name(world: World) -> None:
    world.goes_live({"a.csv": table()})
    with_labelled(world)
    boto3.client("s3", REGION).delete_object(
        Bucket=world.stack.bucket, Key=world.slices[0]["key"], VersionId=world.slices[0]["version"]
    )
    with pytest.raises(DatasetNotFound, match=r"labelled/dt=2025-01-02/a\.jsonl"):
        world.retrain()
