from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError
from refit_local.stack.packages import digest_of, upload_packages


class Bucket:
    """An S3 client that records uploads."""

    def __init__(self) -> None:
        self.uploaded: dict[str, bytes] = {}

    def head_bucket(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "404"}}, "HeadBucket")

    def create_bucket(self, **_: Any) -> None: ...

    def upload_file(self, path: str, bucket: str, key: str, **_: Any) -> None:
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


def test_functions_with_the_same_code_share_one_upload(tmp_path: Path) -> None:
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


def test_the_same_files_give_the_same_archive_and_old_archives_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    build, store = built(tmp_path / "build"), tmp_path / "store"
    first, second = Bucket(), Bucket()
    upload_packages(first, build, store)
    for archive in store.iterdir():
        archive.unlink()
    upload_packages(second, build, store)
    assert first.uploaded == second.uploaded
    for name in ("First", "Second"):
        (build / name / "app.py").write_text("answer = 43\n")
    upload_packages(second, build, store)
    assert len(list(store.iterdir())) == 2


def test_a_digest_depends_on_names_and_contents_and_not_on_bytecode_caches(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    digests = {digest_of(folder)}
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("x")
    assert digest_of(folder) in digests
    (folder / "a.py").rename(folder / "b.py")
    digests.add(digest_of(folder))
    (folder / "b.py").write_text("2")
    digests.add(digest_of(folder))
    assert len(digests) == 3
