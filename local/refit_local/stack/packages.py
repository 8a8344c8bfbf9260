"""Upload the output of `sam build` to the local stack's S3, once for functions that share code.

`sam deploy` would compress the same folder again for each function, which takes most of its time.
It uploads the rest: state machines and the template, which are small.
"""

from __future__ import annotations

import compileall
import hashlib
import shutil
import zipfile
from py_compile import PycInvalidationMode
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET = "refit-packages"
# The archive is read once, on this machine: speed matters, size does not.
_COMPRESSION_LEVEL = 1
# Threads of the upload would print a traceback when the user interrupts it.
_IN_THIS_THREAD = TransferConfig(use_threads=False)
_CODE = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}


def digest_of(*roots: Path) -> str:
    """Return a digest of the names and contents of files, and of all files in folders."""
    digest = hashlib.sha256()
    for number, root in enumerate(roots):
        for path, name in _files(root):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{number}/{name}\0{content}\0".encode())
    return digest.hexdigest()


def upload_packages(s3: Any, build: Path, store: Path) -> Path:
    """Upload functions and layers, and return the template that refers to the uploaded archives.

    Args:
        s3: a client of the local stack's S3.
        build: the output folder of `sam build`, with its `template.yaml`.
        store: the folder in which archives are kept for the next deployment.
    """
    template = yaml_parse((build / "template.yaml").read_text())
    _create_bucket(s3)
    store.mkdir(exist_ok=True)
    uploaded: dict[str, str] = {}
    for resource in template["Resources"].values():
        code = _CODE.get(resource["Type"])
        path = resource.get("Properties", {}).get(code) if code else None
        if not isinstance(path, str) or path.startswith("s3://"):
            continue
        digest = digest_of(build / path)
        if digest not in uploaded:
            # All functions share one folder; compiling the layers takes longer than it saves.
            is_function = code == "CodeUri"
            archive = _archive(build / path, store, digest, compiled=is_function)
            s3.upload_file(str(archive), BUCKET, archive.name, Config=_IN_THIS_THREAD)
            uploaded[digest] = f"s3://{BUCKET}/{digest}.zip"
        resource["Properties"][code] = uploaded[digest]
    _delete_others(store, uploaded)
    packaged = build / "packaged.yaml"
    packaged.write_text(yaml_dump(template))
    return packaged


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file with its name relative to the root, without Python's bytecode caches."""
    if root.is_file():
        yield root, ""
        return
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, path.relative_to(root).as_posix()


def _archive(folder: Path, store: Path, digest: str, *, compiled: bool) -> Path:
    """Return the folder's archive; a Lambda process starts sooner with compiled modules."""
    archive = store / f"{digest}.zip"
    if archive.exists():
        return archive
    if compiled:
        unchecked = PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, force=True, invalidation_mode=unchecked)
    draft = archive.with_suffix(".new")
    with zipfile.ZipFile(
        draft, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL
    ) as target:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as source, target.open(_entry(path, name), "w") as entry:
                shutil.copyfileobj(source, entry)
    draft.replace(archive)
    return archive


def _entry(path: Path, name: str) -> zipfile.ZipInfo:
    """Return an entry without the file's time, so that the same content gives the same archive."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = path.stat().st_mode << 16
    return entry


def _create_bucket(s3: Any) -> None:
    try:
        s3.head_bucket(Bucket=BUCKET)
    except ClientError:
        s3.create_bucket(Bucket=BUCKET)


def _delete_others(store: Path, uploaded: dict[str, str]) -> None:
    for archive in store.glob("*.zip"):
        if archive.stem not in uploaded:
            archive.unlink()
