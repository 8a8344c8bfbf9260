"""`refit put`: what is uploaded where, and what is rejected before any upload."""

from __future__ import annotations

import json

import pytest
from refit_cli import uploads
from refit_cli.uploads import PlannedFile, Uploader, parts_of

from tests.support.cli import BUCKET


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,2\n0,3\n")
    return path


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
        {"key": "digits/raw/rows.csv", "version": head["VersionId"], "size": 8}
    ]


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
            path.write_text("" if name in empty else "1,2\n")
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
        assert note in result.stderr
    assert any(
        "val/" in note
        for note in json.loads(refit("put", "digits", path, "--json").stdout)["notes"]
    )


@pytest.mark.parametrize("names", [["part-0.csv", "part-1.csv"], ["y=0/a.csv", "y=1/a.csv"]])
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


def test_two_files_with_the_same_name_are_rejected(refit, stack, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text("1,2\n")
    result = refit("put", "digits", tmp_path / "a/x.csv", tmp_path / "b/x.csv")
    assert result.exit_code == 2
    assert "would all become digits/raw/x.csv" in result.stderr


def test_settings_are_checked_and_uploaded_before_the_data(refit, stack, rows, tmp_path):
    settings = tmp_path / "mine.toml"
    settings.write_text("[data]\nlabel = 3\n")
    result = refit("put", "digits", rows, "--settings", settings)
    assert result.exit_code == 0
    assert stack.keys() == ["digits/model.toml", "digits/raw/rows.csv"]


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
