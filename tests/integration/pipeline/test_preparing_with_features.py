"""Rows get the predictions of another model as columns, of a version that stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import DatasetInvalid, EvaluationIncomplete, SchemaChanged, SettingsInvalid
from refit.domain.naming import RunKeys
from refit.domain.schema import Schema
from refit.handlers import prepare
from refit.handlers.wiring import services
from refit.usecases.promote_version import promote_version

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.feature_models import (
    FROM_SEGMENTS,
    SEGMENTS,
    answer_questions,
    high,
    put_version,
)
from tests.support.model_files import champion, manifest
from tests.support.prepare_runs import CHAMPION_RUN, RUN, csv_table, drop_files, prepare_run
from tests.support.retraining_data import (
    RETRAINING_RUN,
    RetrainedModel,
    ledger_line,
    random_rows,
)

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

FIRST, SECOND = RunKeys("digits", "a" * 12), RunKeys("digits", "b" * 12)


def drop(stack: Stack, settings: str, keys: RunKeys = RUN, names: str = "y,a,b,c,d") -> None:
    stack.put("digits/model.toml", settings)
    drop_files(stack, {f"{keys.run}.csv": csv_table(names=names)}, keys)
    services().models.release_run("digits", keys.run)


def prepare_answered(keys: RunKeys = RUN) -> dict[str, Any]:
    return prepare.handler(sample("prepare") | {"run": keys.run, "is_answered": True}, CONTEXT)


def prepared(stack: Stack, settings: str, keys: RunKeys = RUN) -> dict[str, Any]:
    """Prepare a run, answer its questions, and prepare it with the answers."""
    drop(stack, settings, keys)
    prepare_run(keys)
    answer_questions(stack, keys)
    return prepare_answered(keys)


def check_columns(stack: Stack, key: str, first: int, width: int = 6) -> int:
    """Check the columns of each row; `first` is the index of column a. Return the rows."""
    rows = [line.split(b",") for line in stack.read(key).splitlines()]
    for cells in rows:
        assert len(cells) == first + width
        expected = high(cells[first + 2] + b"," + cells[first])
        assert [float(cell) for cell in cells[-2:]] == [1 - expected, expected]
    return len(rows)


@pytest.fixture
def segments(stack: Stack) -> Stack:
    put_version("segments", 3)
    return stack


def test_the_live_version_is_asked_about_every_row_before_the_training(segments: Stack) -> None:
    drop(segments, FROM_SEGMENTS)
    questions = prepare_run()["questions"]
    assert questions["model_request"]["Containers"] == [{"ModelPackageName": "arn:package/3"}]
    assert (
        questions["request"]["ModelName"] == questions["stem"] == f"refit-digits-{RUN.run}-features"
    )
    lines = [
        line
        for key in segments.keys(RUN.features_input)
        for line in segments.read(key).splitlines()
    ]
    assert len(lines) == 400
    rows = [line.split(b",") for line in csv_table().splitlines()]
    assert sorted(lines) == sorted(cells[3] + b"," + cells[1] for cells in rows)
    assert not segments.keys(RUN.train)


def test_each_row_has_the_answer_to_its_own_question(segments: Stack) -> None:
    rows = prepared(segments, FROM_SEGMENTS)["rows"]
    assert check_columns(segments, f"{RUN.train}train.csv", 1) == rows["train"]
    assert check_columns(segments, f"{RUN.validation}validation.csv", 1) == rows["validation"]
    assert check_columns(segments, f"{RUN.test}test.csv", 1) == rows["test"]
    assert check_columns(segments, f"{RUN.evaluation_input}new.csv", 0) == rows["test"]


def test_the_rows_of_folds_have_the_columns_too(segments: Stack) -> None:
    rows = prepared(segments, f"{FROM_SEGMENTS}[training]\nfolds = 2\n")["rows"]
    held_out = [check_columns(segments, f"{RUN.fold_input(fold)}rows.csv", 0) for fold in range(2)]
    assert sum(held_out) == rows["train"]
    assert check_columns(segments, f"{RUN.fold_train(0)}train.csv", 1) == held_out[1]


def test_schema_profile_manifest_and_run_name_the_columns_and_the_version(segments: Stack) -> None:
    assert prepared(segments, FROM_SEGMENTS)["features"] == 6
    schema = services().artifacts.schema("digits", RUN.run)
    added = ["segments_probability_low", "segments_probability_high"]
    assert [feature.name for feature in schema.features][4:] == added
    assert schema.all_columns == ("a", "b", "c", "d")
    assert [column["name"] for column in segments.get(RUN.profile)["columns"]][4:] == added
    manifest = services().artifacts.manifest("digits", RUN.run)
    run = services().models.run("digits", RUN.run)
    assert run is not None
    assert manifest.features_from == run.features_from == schema.features_from
    assert schema.features_from.text == "version 3 of 'segments'"
    assert manifest.learned is not None
    assert manifest.learned.notes[0] == (
        "version 3 of 'segments' ([data] features_from) reads 'c', 'a' and adds "
        "'segments_probability_low', 'segments_probability_high'"
    )


def test_later_runs_keep_the_version_until_model_toml_names_another_one(segments: Stack) -> None:
    prepared(segments, FROM_SEGMENTS, FIRST)
    promote_version(services(), "digits", champion(1, FIRST.run))
    put_version("segments", 4)
    assert prepared(segments, FROM_SEGMENTS, SECOND)["comparable"]
    source = services().artifacts.manifest("digits", SECOND.run).features_from
    assert source is not None
    assert source.version == 3
    drop(segments, FROM_SEGMENTS.replace("segments", "segments@4"))
    with pytest.raises(SchemaChanged) as refused:
        prepare_run()
    assert "features_from was version 3 of 'segments' (run run3) and is version 4 of" in str(
        refused.value
    )
    accepted = FROM_SEGMENTS.replace("segments", "segments@4") + "schema_change = 'accept'\n"
    segments.put("digits/model.toml", accepted)
    assert "questions" in prepare_run()


def test_a_retraining_asks_again_about_the_labelled_predictions(segments: Stack) -> None:
    model = RetrainedModel(segments)
    prepared(segments, FROM_SEGMENTS, CHAMPION_RUN)
    model.promote(CHAMPION_RUN, 3)
    captured = [f"{row},0.5,0.5" for row in random_rows(200, seed=7)]
    key = model.capture("a", [captured])
    model.label("a", [ledger_line(key, 0, str(row % 3), row=row) for row in range(200)])
    model.retrain()
    answer_questions(segments, RETRAINING_RUN)
    result = prepare_answered(RETRAINING_RUN)
    assert result["comparable"]
    assert model.unused_rows() == [{}]
    assert check_columns(segments, f"{RETRAINING_RUN.train}train.csv", 1) == result["rows"]["train"]
    fresh = check_columns(segments, f"{RETRAINING_RUN.evaluation_input}fresh.csv", 0)
    assert fresh == model.labelled_counts()["fresh_test"] > 0


def test_answers_to_other_rows_are_not_used(segments: Stack) -> None:
    drop(segments, FROM_SEGMENTS)
    prepare_run()
    answer_questions(segments)
    segments.put("digits/model.toml", f"{FROM_SEGMENTS}test_fraction = 0.2\n")
    with pytest.raises(EvaluationIncomplete, match="refit retry"):
        prepare_answered()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("y,a,b,x,d", "segments reads column 'c', and these files have no such column"),
        ("c,a,b,y,d", "segments reads column 'c', which is the label here"),
        ("y,a,b,c,segments_probability_low", "adds one of this name"),
    ],
)
def test_files_that_the_other_model_cannot_read_are_refused(
    segments: Stack, names: str, reason: str
) -> None:
    drop(segments, FROM_SEGMENTS.replace("'y'", "0"), names=names)
    with pytest.raises(DatasetInvalid) as refused:
        prepare_run()
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("digits", "a model cannot read its own predictions"),
        ("unknown", "no version of 'unknown' is live"),
        ("segments@9", "there is no version 9 of 'segments'"),
        ("segments@5", "version 5 of 'segments' has never been live (its run is REFUSED)"),
        ("chained", "version 1 of 'chained' itself reads predictions of 'segments'"),
    ],
)
def test_a_version_that_cannot_be_asked_is_refused_by_name(
    segments: Stack, named: str, reason: str
) -> None:
    put_version("segments", 5, status="REFUSED")
    source = {"model": "segments", "version": 3, "run": "run3", "columns": 1}
    chained = SEGMENTS.model_dump() | {"features_from": source}
    put_version("chained", 1, Schema.model_validate(chained))
    drop(segments, FROM_SEGMENTS.replace("segments", named))
    with pytest.raises(SettingsInvalid) as refused:
        prepare_run()
    assert str(refused.value).startswith(f"[data] features_from = '{named}': {reason}")


def test_a_version_of_another_algorithm_than_xgboost_is_refused(segments: Stack) -> None:
    settings = '[training]\nalgorithm = "linear-learner"\n'
    segments.put("segments/runs/run3/manifest.json", manifest("run3", settings, "segments"))
    drop(segments, FROM_SEGMENTS)
    with pytest.raises(SettingsInvalid, match="only predictions of XGBoost can be features"):
        prepare_run()
