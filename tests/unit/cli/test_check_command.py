"""`refit check`: what would be learned from files, and why they would be refused."""

from __future__ import annotations

import gzip
import json

import duckdb
import pytest

from tests.support.small_tables import flowers, write_csv

NAMES = ["long", "wide", "kind"]
LINES = "".join(f"{number},{number * number % 977}\n" for number in range(9_999)).encode()


@pytest.fixture
def check(refit):
    """Run `refit check --json`, and return the exit code and the only object on stdout."""

    def run(*arguments):
        result = refit("check", *arguments, "--json")
        (line,) = result.stdout.splitlines()
        answer = json.loads(line)
        assert answer.keys() == {"learned", "refusals"}
        assert bool(answer["refusals"]) is (result.exit_code == 2)
        return result.exit_code, answer["learned"], answer["refusals"]

    return run


@pytest.fixture
def table(tmp_path):
    return write_csv(tmp_path / "flowers.csv", flowers(), NAMES)


def test_a_file_that_fits_is_described_in_one_line_and_a_table(refit, table):
    result = refit("check", table, "--label", "kind")
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first == "predicts 'kind' (3 classes) from 2 numbers · header yes · 150 rows, 0 refused"
    assert any(line.split()[:2] == ["long", "number"] for line in rest)


def test_json_has_the_record(check, table):
    code, learned, refusals = check(table, "--label", "kind")
    assert (code, refusals) == (0, [])
    assert learned["label"] == "kind"
    assert learned["task"] == "classification"
    assert learned["classes"] == ["setosa", "versicolor", "virginica"]
    assert [(c["name"], c["type"]) for c in learned["columns"]] == [
        ("long", "number"),
        ("wide", "number"),
    ]
    assert (learned["header"], learned["delimiter"], learned["decimal"]) == (True, ",", ".")
    assert (learned["rows"], learned["refused"], learned["refused_reasons"]) == (150, 0, {})
    assert learned["doubts"] == []


def test_a_label_that_is_not_clear_is_refused_with_what_to_type(refit, check, table):
    code, learned, (refusal,) = check(table)
    assert (code, learned) == (2, None)
    assert "'long', 'wide', 'kind'" in refusal["reason"]
    assert "--label kind" in refusal["advice"]
    result = refit("check", table)
    assert result.exit_code == 2
    assert f"error: {refusal['reason']}" in result.stderr
    assert f"try:   {refusal['advice']}" in result.stderr


@pytest.mark.parametrize("label", ["last", "2", "-1", "kind", " kind "])
def test_a_label_is_named_by_position_or_name(check, table, label):
    code, learned, _ = check(table, "--label", label)
    assert (code, learned["label"]) == (0, "kind")


def test_digits_are_a_name_if_the_header_has_it(check, tmp_path):
    rows = [[long, wide, wide, kind] for long, wide, kind in flowers()]
    path = write_csv(tmp_path / "years.csv", rows, ["size", "height", "0", "kind"])
    assert check(path, "--label", "0")[1]["label"] == "0"
    assert check(path, "--label", "3")[1]["label"] == "kind"


def test_digits_are_a_position_in_a_file_without_header(check, tmp_path):
    path = write_csv(tmp_path / "numbers.csv", [[w, k, "1"] for _, w, k in flowers()])
    code, learned, _ = check(path, "--label", "1")
    assert code == 0
    assert learned["classes"] == ["setosa", "versicolor", "virginica"]
    assert learned["header"] is False


@pytest.mark.parametrize(("label", "says"), [("7", "cannot be 7"), ("-2", "-2"), ("x", "'x'")])
def test_a_label_that_does_not_exist_is_refused(check, table, label, says):
    code, learned, (refusal,) = check(table, "--label", label)
    assert (code, learned) == (2, None)
    assert says in refusal["reason"]
    assert refusal["advice"]


def test_doubts_are_said_and_have_their_exit_code(refit, check, tmp_path):
    rows = [[*row, f"{row[2]} of {row[0]}{number}"] for number, row in enumerate(flowers())]
    path = write_csv(tmp_path / "notes.csv", rows, [*NAMES, "note"])
    code, learned, refusals = check(path, "--label", "kind")
    assert (code, refusals) == (1, [])
    assert ["'note'" in doubt for doubt in learned["doubts"]] == [True]
    assert learned["columns"][-1]["type"] == "ignored"
    result = refit("check", path, "--label", "kind")
    assert result.exit_code == 1
    assert "doubt    column 'note' is left out" in result.stdout


def test_a_column_that_alone_gives_the_label_is_a_doubt(check, tmp_path):
    rows = [[*row, row[2][:3]] for row in flowers(300)]
    path = write_csv(tmp_path / "leak.csv", rows, [*NAMES, "code"])
    code, learned, _ = check(path, "--label", "kind")
    assert code == 1
    assert learned["leaks"] == ["code"]
    assert any("'code' alone gives the label" in doubt for doubt in learned["doubts"])


def test_rows_that_would_be_refused_are_shown_with_their_reasons(refit, check, tmp_path):
    rows = flowers(300)
    rows[7][0], rows[9] = "wet", ["1"]
    path = write_csv(tmp_path / "flowers.csv", rows, NAMES)
    code, learned, _ = check(path, "--label", "kind")
    assert code == 0
    assert (learned["rows"], learned["refused"]) == (298, 2)
    assert sum(learned["refused_reasons"].values()) == 2
    assert "refused  1 × 1 cells, not 3" in refit("check", path, "--label", "kind").stdout


def test_too_many_bad_rows_are_refused_and_what_was_learned_is_still_there(check, tmp_path):
    rows = flowers(100)
    for row in rows[:6]:
        row.append("extra")
    path = write_csv(tmp_path / "flowers.csv", rows, NAMES)
    code, learned, (refusal,) = check(path, "--label", "kind")
    assert code == 2
    assert learned["refused"] == 6
    assert "6 of 100 rows were refused" in refusal["reason"]
    assert "max_bad_fraction" in refusal["advice"]


def test_settings_are_used(check, table, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text('\ufeff[data]\nlabel = "kind"\nignore = ["wide"]\n')
    code, learned, _ = check(table, "--settings", settings)
    assert code == 0
    assert [column["type"] for column in learned["columns"]] == ["number", "ignored"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_bytes(b"PAR1 nothing of the kind"), "as Parquet"),
        (lambda path: path.write_bytes(gzip.compress(LINES)[:400]), "is damaged"),
        (lambda path: path.write_text("only\none\ncolumn\n"), "one column"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_advice(check, tmp_path, make, says):
    path = tmp_path / "wrong.csv"
    make(path)
    code, learned, (refusal,) = check(path)
    assert (code, learned) == (2, None)
    assert says in refusal["reason"]
    assert refusal["advice"]


def test_of_an_empty_file_the_advice_is_to_give_rows(check, tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    _, _, (refusal,) = check(path)
    assert refusal["advice"] == "give a file with rows"


def test_more_folds_than_the_rows_allow_are_refused(check, tmp_path):
    table = write_csv(tmp_path / "few.csv", flowers()[:48], NAMES)
    settings = tmp_path / "model.toml"
    settings.write_text('[data]\nlabel = "kind"\n[training]\nfolds = 20\n')
    _, _, (refusal,) = check(table, "--settings", settings)
    assert refusal["reason"].startswith("[training] folds = 20: the training rows have only")
    assert refusal["advice"].startswith("Set [training] folds to at most")


def test_settings_that_are_wrong_are_a_refusal_too(check, table, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text("[data]\nlabl = 3\n")
    code, learned, (refusal,) = check(table, "--settings", settings)
    assert (code, learned) == (2, None)
    assert "labl" in refusal["reason"]


def test_settings_without_an_effect_on_the_files_are_noted(check, tmp_path):
    rows = flowers(200)
    for split, part in (("train", rows[:150]), ("test", rows[150:])):
        (tmp_path / "drop" / split).mkdir(parents=True)
        write_csv(tmp_path / "drop" / split / "part.csv", part, NAMES)
    settings = tmp_path / "model.toml"
    settings.write_text(
        "[data]\nlabel = 'kind'\ntest_fraction = 0.2\n[tuning]\nmax_jobs = 0\nseed = 1\n"
    )
    _, learned, refusals = check(tmp_path / "drop", "--settings", settings)
    assert refusals == []
    assert learned["notes"][:2] == [
        "[tuning] seed has no effect with [tuning] max_jobs = 0",
        "[data] test_fraction has no effect on the dropped files, because the folder test/ has the "
        "test rows",
    ]


def test_a_critical_feature_that_the_files_lack_is_refused(check, table, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text("[data]\nlabel = 'kind'\n[monitoring]\ncritical_features = ['nothere']\n")
    code, _, (refusal,) = check(table, "--settings", settings)
    assert code == 2
    assert "critical_features names 'nothere', which is no column" in refusal["reason"]


def test_a_directory_keeps_its_splits(check, tmp_path):
    rows = flowers(200)
    for split, part in (("train", rows[:150]), ("test", rows[150:])):
        (tmp_path / "drop" / split).mkdir(parents=True)
        write_csv(tmp_path / "drop" / split / "part.csv", part, NAMES)
    code, learned, _ = check(tmp_path / "drop", "--label", "kind")
    assert (code, learned["rows"]) == (0, 200)


def test_files_of_one_split_are_checked_without_the_others(check, tmp_path):
    path = write_csv(tmp_path / "holdout.csv", flowers(60), NAMES)
    code, learned, refusals = check(path, "--label", "kind", "--split", "test")
    assert (code, refusals, learned["rows"], learned["doubts"]) == (0, [], 60, [])


def test_parquet_is_read_with_its_names(check, tmp_path, table):
    path = tmp_path / "flowers.parquet"
    duckdb.sql(f"SELECT * FROM read_csv('{table}')").write_parquet(str(path))
    code, learned, _ = check(path, "--label", "kind")
    assert (code, learned["header"], learned["rows"]) == (0, True, 150)


def test_a_wide_table_does_not_fill_the_terminal(refit, tmp_path):
    rows = [
        [kind, *(str(number * column % 251) for column in range(785))]
        for number, (_, _, kind) in enumerate(flowers(60), 1)
    ]
    path = write_csv(tmp_path / "wide.csv", rows, ["label", *(f"p{n}" for n in range(785))])
    result = refit("check", path)
    assert len(result.stdout.splitlines()) < 60
    assert "p756 … p784 (29 columns)" in result.stdout


def test_nothing_is_uploaded_and_no_stack_is_needed(refit, table, local_stacks, clients):
    assert refit("check", table, "--label", "kind").exit_code == 0
    assert clients == {}


def test_files_that_are_too_large_for_a_run_are_refused_without_reading_them(refit, tmp_path):
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(5 * 2**30)
    result = refit("check", large)
    assert result.exit_code == 2
    assert "5.00 GiB" in result.stderr
    assert "large.csv (5.00 GiB)" in result.stderr
    assert "sample of the rows" in result.stderr
