from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError
from refit_local.stack.packages import digest_of, upload_packages


class Bucket:
    """An S3 client that keeps what is uploaded."""

    def __init__(self) -> None:
        self.uploaded: dict[str, bytes] = {}

    def head_bucket(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "404"}}, "HeadBucket")

    def create_bucket(self, **_: Any) -> None: ...

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.uploaded[f"s3://{bucket}/{key}"] = Path(path).read_bytes()


def built(folder: Path) -> Path:
    for name in ("First", "Second"):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text("answer = 42\n")
    (folder / "Layer" / "python").mkdir(parents=True)
    (folder / "Layer" / "python" / "lib.py").write_text("")
    function = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "First"}}
    resources = {
        "First": function,
        "Second": {**function, "Properties": {"CodeUri": "Second"}},
        "Layer": {
            "Type": "AWS::Serverless::LayerVersion",
            "Properties": {"ContentUri": "Layer"},
        },
        "Table": {"Type": "AWS::DynamoDB::Table"},
    }
    (folder / "template.yaml").write_text(yaml.safe_dump({"Resources": resources}))
    return folder


def test_code_that_is_shared_is_uploaded_once(tmp_path: Path) -> None:
    bucket = Bucket()
    packaged = upload_packages(bucket, built(tmp_path), tmp_path / "store")
    resources = yaml.safe_load(packaged.read_text())["Resources"]
    first = resources["First"]["Properties"]["CodeUri"]
    layer = resources["Layer"]["Properties"]["ContentUri"]
    assert resources["Second"]["Properties"]["CodeUri"] == first
    assert set(bucket.uploaded) == {first, layer}
    with zipfile.ZipFile(io.BytesIO(bucket.uploaded[first])) as archive:
        assert archive.read("app.py") == b"answer = 42\n"
        assert any(name.startswith("__pycache__/app.") for name in archive.namelist())


def test_the_same_files_make_the_same_archive_and_old_archives_go(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    build, store = built(tmp_path / "build"), tmp_path / "store"
    first, again = Bucket(), Bucket()
    upload_packages(first, build, store)
    for archive in store.iterdir():
        archive.unlink()
    upload_packages(again, build, store)
    assert first.uploaded == again.uploaded
    for name in ("First", "Second"):
        (build / name / "app.py").write_text("answer = 43\n")
    upload_packages(again, build, store)
    assert len(list(store.iterdir())) == 2


def test_a_digest_sees_names_and_contents_and_no_caches(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    seen = {digest_of(folder)}
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("x")
    assert digest_of(folder) in seen
    (folder / "a.py").rename(folder / "b.py")
    seen.add(digest_of(folder))
    (folder / "b.py").write_text("2")
    seen.add(digest_of(folder))
    assert len(seen) == 3
