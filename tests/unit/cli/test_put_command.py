"""`refit put`: what is uploaded where, and what is rejected before any upload."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from refit.domain.schema import Feature, Schema
from refit_cli import uploads
from refit_cli.uploads import PlannedFile, Uploader, parts_of

from tests.support.cli import BUCKET, CHAMPION
from tests.support.small_tables import flowers, write_csv

LABEL_FIRST = ["label", "long", "wide"]


NAMES = ["long", "wide", "kind"]


@pytest.fixture
def rows(tmp_path):
    return write_csv(tmp_path / "rows.csv", [[k, w, n] for w, n, k in flowers()], LABEL_FIRST)


@pytest.fixture
def flowers_file(tmp_path):
    """A file whose label is not clear without its name."""
    return write_csv(tmp_path / "flowers.csv", flowers(), NAMES)


@pytest.fixture
def doubtful(tmp_path):
    made = [[*row, f"note {number}"] for number, row in enumerate(flowers())]
    return write_csv(tmp_path / "doubtful.csv", made, ["long", "wide", "label", "note"])


@pytest.fixture
def terminal(runtime):
    """The runtime of a person who can answer questions."""
    return replace(runtime, can_ask=lambda: True)


def toml(stack, model: str = "digits") -> str:
    body = stack.s3.get_object(Bucket=BUCKET, Key=f"{model}/model.toml")["Body"]
    return body.read().decode()


def test_a_file_becomes_an_object_in_the_drop_folder(refit, stack, rows):
    result = refit("put", "digits", rows)
    assert result.exit_code == 0
    assert stack.keys() == ["digits/raw/rows.csv"]
    body = stack.s3.get_object(Bucket=BUCKET, Key="digits/raw/rows.csv")["Body"].read()
    assert body == rows.read_bytes()
    assert "refit watch digits" in result.stderr


def test_json_names_each_object_with_its_version(refit, stack, rows):
    result = json.loads(refit("put", "digits", rows, "--json").stdout)
    head = stack.s3.head_object(Bucket=BUCKET, Key="digits/raw/rows.csv")
    assert result["model"] == "digits"
    assert result["bucket"] == BUCKET
    assert result["objects"] == [
        {
            "key": "digits/raw/rows.csv",
            "version": head["VersionId"],
            "size": rows.stat().st_size,
        }
    ]
    assert result["learned"]["label"] == "label"


def test_files_given_as_a_split_go_into_its_folder(refit, stack, rows):
    assert refit("put", "digits", rows, "--split", "test").exit_code == 0
    assert stack.keys() == ["digits/raw/test/rows.csv"]


@pytest.fixture
def folder(tmp_path):
    """Return a function that makes a directory of files with these names; empty if it says so."""

    def run(*names, empty=()):
        for name in (*names, *empty):
            path = tmp_path / "drop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
            if name not in empty:
                write_csv(path, [[kind, long] for long, _, kind in flowers()], ["label", "x"])
        return tmp_path / "drop"

    return run


def test_a_directory_is_uploaded_as_a_whole_and_says_what_is_skipped(refit, stack, folder):
    path = folder(
        "train/a.csv",
        "train/more/b.csv",
        "val/c.csv",
        "Test/d.csv",
        "README.md",
        "train/.hidden",
        empty=["train/_SUCCESS", "train/part-1.csv"],
    )
    result = refit("put", "digits", path)
    assert result.exit_code == 0
    assert stack.keys() == [
        "digits/raw/Test/d.csv",
        "digits/raw/train/a.csv",
        "digits/raw/train/more/b.csv",
        "digits/raw/val/c.csv",
    ]
    for note in ("val/ is read as validation", "README.md: a description", "part-1.csv: empty"):
        assert note in result.stdout
    assert any(
        "val/" in note
        for note in json.loads(refit("put", "digits", path, "--json").stdout)["notes"]
    )


@pytest.mark.parametrize("names", [["part-0.csv", "part-1.csv"], ["g=0/a.csv", "g=1/a.csv"]])
def test_a_directory_without_splits_is_uploaded_with_its_structure(refit, stack, folder, names):
    assert refit("put", "digits", folder(*names)).exit_code == 0
    assert stack.keys() == [f"digits/raw/{name}" for name in names]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["train/a.csv", "extra/b.csv"], "extra/b.csv is beside train/"),
        (["train/a.csv", "labels.csv"], "labels.csv is beside train/"),
        (["train/cat/1.png"], "is an image"),
        (["model.toml", "a.csv"], "is a settings file"),
        (["README.md"], "no file with data"),
        (["y=0/a.csv", "b.csv"], "folders of the same columns"),
    ],
)
def test_a_directory_that_preparation_would_refuse_is_not_uploaded(
    refit, stack, folder, names, says
):
    result = refit("put", "digits", folder(*names))
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert stack.keys() == []


@pytest.mark.parametrize("inner", ["train", "y=0"])
def test_a_folder_whose_own_name_has_a_meaning_is_not_uploaded_without_it(
    refit, stack, folder, inner
):
    result = refit("put", "digits", folder(f"{inner}/a.csv") / inner)
    assert result.exit_code == 2
    assert "give the folder that contains it" in " ".join(result.stderr.split())


def test_no_file_appears_before_all_parts_of_all_files_have_arrived(stack, tmp_path):
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_bytes(b"1,2\n")
    large.write_bytes(b"1,2\n" * 3 * 1024**2)
    planned = [
        PlannedFile(path, f"m/raw/{path.name}", path.stat().st_size) for path in (small, large)
    ]
    seen_early = []
    uploader = Uploader(
        stack.s3,
        BUCKET,
        lambda file, n_bytes: seen_early.extend(stack.keys()),
        part_bytes=5 * 1024**2,
    )
    uploader.upload(planned)
    assert seen_early == []
    assert stack.keys() == ["m/raw/large.csv", "m/raw/small.csv"]
    body = stack.s3.get_object(Bucket=BUCKET, Key="m/raw/large.csv")["Body"].read()
    assert body == large.read_bytes()


def test_an_upload_that_breaks_leaves_nothing_behind(stack, rows):
    def stop(file: PlannedFile, n_bytes: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Uploader(stack.s3, BUCKET, stop).upload([PlannedFile(rows, "m/raw/rows.csv", 8)])
    assert stack.keys() == []
    assert "Uploads" not in stack.s3.list_multipart_uploads(Bucket=BUCKET)


@pytest.mark.parametrize("size", [1, uploads.PART_BYTES, uploads.PART_BYTES + 1, 400 * 1024**3])
def test_parts_cover_a_file_exactly_and_never_exceed_what_s3_takes(size):
    parts = parts_of(size)
    assert len(parts) <= 10_000
    assert [number for number, _, _ in parts] == list(range(1, len(parts) + 1))
    assert parts[0][1] == 0
    ends = [start + length for _, start, length in parts]
    assert [start for _, start, _ in parts[1:]] == ends[:-1]
    assert ends[-1] == size


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.mkdir(), "no file with data"),
    ],
)
def test_an_error_names_the_path_that_cannot_be_uploaded(refit, stack, rows, tmp_path, make, says):
    path = tmp_path / "wrong"
    make(path)
    result = refit("put", "digits", rows, path)
    assert result.exit_code == 2
    assert says in result.stderr
    assert str(path) in result.stderr
    assert stack.keys() == []


@pytest.mark.parametrize("file", ["rows", "doubtful"])
def test_the_columns_are_shown_of_all_data_also_without_doubts(refit, stack, request, file):
    result = refit("put", "digits", request.getfixturevalue(file))
    assert result.exit_code == 0
    assert re.search(r"^column +type +distinct", result.stdout, re.MULTILINE)
    assert re.search(r"^wide +number", result.stdout, re.MULTILINE)


def test_two_files_with_the_same_name_are_rejected(refit, stack, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text("1,2\n")
    result = refit("put", "digits", tmp_path / "a/x.csv", tmp_path / "b/x.csv")
    assert result.exit_code == 2
    assert "would all become digits/raw/x.csv" in result.stderr


def test_settings_are_checked_and_uploaded_before_the_data(refit, stack, rows, tmp_path):
    settings = tmp_path / "mine.toml"
    settings.write_text("[data]\nlabel = 0\n")
    result = refit("put", "digits", rows, "--settings", settings)
    assert result.exit_code == 0
    assert stack.keys() == ["digits/model.toml", "digits/raw/rows.csv"]
    assert toml(stack) == "[data]\nlabel = 0\n"


def test_settings_with_a_byte_order_mark_are_read(refit, stack, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_bytes(b"\xef\xbb\xbf[data]\nlabel = 3\n")
    assert refit("put", "digits", "--settings", settings).exit_code == 0
    assert stack.keys() == ["digits/model.toml"]


@pytest.mark.parametrize(
    ("encoding", "says"), [("utf-16", "UTF-16 text: save it as UTF-8"), ("latin-1", "not UTF-8")]
)
def test_settings_in_another_encoding_are_refused_by_name(refit, stack, tmp_path, encoding, says):
    settings = tmp_path / "mine.toml"
    settings.write_bytes("[data]\nlabel = 'größe'\n".encode(encoding))
    result = refit("put", "digits", "--settings", settings)
    assert result.exit_code == 2
    assert "mine.toml" in result.stderr
    assert says in " ".join(result.stderr.split())
    assert stack.keys() == []


def test_settings_can_be_uploaded_alone(refit, stack, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text("[data]\nlabel = 3\n")
    assert refit("put", "digits", "--settings", settings).exit_code == 0
    assert stack.keys() == ["digits/model.toml"]


def test_invalid_settings_are_rejected_and_nothing_is_uploaded(refit, stack, rows, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text("[data]\nlabl = 3\n")
    result = refit("put", "digits", rows, "--settings", settings)
    assert result.exit_code == 2
    assert "labl" in result.stderr
    assert "allowed:" in result.stderr
    assert stack.keys() == []


def test_a_settings_file_given_as_data_is_rejected_with_the_right_option(refit, stack, tmp_path):
    settings = tmp_path / "model.toml"
    settings.write_text("[data]\n")
    result = refit("put", "digits", settings)
    assert result.exit_code == 2
    assert f"--settings {settings}" in result.stderr


def test_without_files_and_settings_there_is_nothing_to_upload(refit, stack):
    result = refit("put", "digits")
    assert result.exit_code == 2
    assert "no FILE" in result.stderr


def test_what_would_be_learned_is_said_before_the_upload(refit, stack, rows):
    said, _, uploaded = refit("put", "digits", rows).stdout.partition("uploaded")
    assert said.startswith("predicts 'label' (3 classes) from 2 numbers · header yes")
    assert uploaded


def test_without_a_terminal_an_unclear_label_is_refused_and_nothing_is_uploaded(
    refit, stack, flowers_file
):
    result = refit("put", "digits", flowers_file)
    assert result.exit_code == 2
    assert "'long', 'wide', 'kind'" in result.stderr
    assert "--label kind" in result.stderr
    assert stack.keys() == []


def test_json_of_a_refused_file_has_the_reason(refit, stack, flowers_file):
    result = refit("put", "digits", flowers_file, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert (answer["learned"], answer["objects"], answer["settings"]) == (None, [], None)
    assert "'long', 'wide', 'kind'" in answer["refusals"][0]["reason"]


@pytest.mark.parametrize(
    ("label", "written"),
    [("kind", 'label = "kind"'), ("2", "label = 2"), ("last", 'label = "last"')],
)
def test_the_label_is_written_into_a_new_model_toml(refit, stack, flowers_file, label, written):
    assert refit("put", "digits", flowers_file, "--label", label).exit_code == 0
    assert stack.keys() == ["digits/model.toml", "digits/raw/flowers.csv"]
    assert toml(stack) == f"[data]\n{written}\n"


COMMENTED = """# Flowers of the garden
[gate]
margin = 0.02  # agreed in spring

[data]  # as exported
max_bad_fraction = 0.05
"""


def test_a_stored_model_toml_keeps_its_comments_and_other_keys(refit, stack, flowers_file):
    stack.put("digits/model.toml", COMMENTED)
    assert refit("put", "digits", flowers_file, "--label", "kind").exit_code == 0
    assert toml(stack) == COMMENTED + 'label = "kind"\n'
    assert refit("put", "digits", flowers_file, "--label", "last").exit_code == 0
    assert toml(stack) == COMMENTED + 'label = "last"\n'


def test_a_given_model_toml_gets_the_label_and_the_local_file_stays(
    refit, stack, flowers_file, tmp_path
):
    settings = tmp_path / "mine.toml"
    settings.write_text('# mine\n[data.columns]\nwide = "number"\n')
    result = refit("put", "digits", flowers_file, "--settings", settings, "--label", "kind")
    assert result.exit_code == 0
    assert "# mine" in toml(stack)
    assert 'label = "kind"' in toml(stack)
    assert 'wide = "number"' in toml(stack)
    assert "label" not in settings.read_text()


def test_the_stored_settings_decide_how_the_file_is_read(refit, stack, flowers_file):
    stack.put("digits/model.toml", '[data]\nlabel = "kind"\nignore = ["wide"]\n')
    result = refit("put", "digits", flowers_file)
    assert "from 1 number (1 column left out)" in result.stdout
    assert stack.keys() == ["digits/model.toml", "digits/raw/flowers.csv"]
    assert len(stack.s3.list_object_versions(Bucket=BUCKET, Prefix="digits/model")["Versions"]) == 1


def test_the_label_alone_changes_the_settings_for_the_next_run(refit, stack):
    assert refit("put", "digits", "--label", "last").exit_code == 0
    assert toml(stack) == '[data]\nlabel = "last"\n'


def test_on_a_terminal_the_label_is_asked_for_and_kept(refit, stack, flowers_file, terminal):
    result = refit("put", "digits", flowers_file, runtime=terminal, input="colour\nkind\n")
    assert result.exit_code == 0
    assert "which column is the label?" in result.stderr
    assert "no column 'colour'" in result.stderr
    assert toml(stack) == '[data]\nlabel = "kind"\n'


def test_on_a_terminal_doubts_are_asked_about(refit, stack, doubtful, terminal):
    result = refit("put", "digits", doubtful, runtime=terminal, input="n\n")
    assert result.exit_code == 1
    assert "column 'note' is left out" in result.stdout
    assert "upload anyway?" in result.stderr
    assert stack.keys() == []
    assert refit("put", "digits", doubtful, runtime=terminal, input="y\n").exit_code == 0
    assert stack.keys() == ["digits/raw/doubtful.csv"]


@pytest.mark.parametrize("arguments", [["--yes"], ["--json"]])
def test_yes_and_json_go_on_in_spite_of_doubts(refit, stack, doubtful, terminal, arguments):
    result = refit("put", "digits", doubtful, *arguments, runtime=terminal)
    assert result.exit_code == 0
    assert "upload anyway?" not in result.stderr
    assert stack.keys() == ["digits/raw/doubtful.csv"]


def test_without_a_terminal_doubts_go_on_and_are_said(refit, stack, doubtful):
    result = refit("put", "digits", doubtful)
    assert result.exit_code == 0
    assert "column 'note' is left out" in result.stdout


def test_a_file_is_uploaded_unread_if_that_is_asked_for(refit, stack, tmp_path):
    path = tmp_path / "huge.csv"
    path.write_text("a,b,a\n1,2,3\n")
    assert refit("put", "digits", path, "--label", "1").exit_code == 2
    result = refit("put", "digits", path, "--label", "1", "--no-check", "--json")
    assert json.loads(result.stdout)["learned"] is None
    assert toml(stack) == "[data]\nlabel = 1\n"


def test_the_live_model_decides_as_in_the_run(refit, stack, tmp_path):
    schema = Schema(
        task="classification",
        label="kind",
        features=tuple(Feature(name=name, type="number") for name in ("long", "wide")),
        classes=("setosa", "versicolor", "virginica"),
    )
    stack.set_state("digits", CHAMPION)
    stack.put("digits/runs/r1/schema.json", schema.as_json())
    same = write_csv(tmp_path / "same.csv", flowers(), NAMES)
    assert refit("put", "digits", same).exit_code == 0
    other = write_csv(tmp_path / "other.csv", [row[1:] for row in flowers()], NAMES[1:])
    result = refit("put", "digits", other)
    assert result.exit_code == 2
    assert "gone: 'long'" in result.stderr
    assert stack.keys() == ["digits/raw/same.csv", "digits/runs/r1/schema.json"]


def test_files_that_are_too_large_for_a_run_are_not_uploaded(refit, stack, tmp_path):
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(5 * 2**30)
    result = refit("put", "digits", large)
    assert result.exit_code == 2
    assert "5.00 GiB" in result.stderr
    assert "large.csv (5.00 GiB)" in result.stderr
    assert "sample of the rows" in result.stderr
    assert stack.keys() == []
