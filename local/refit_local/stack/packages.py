"""Put what `sam build` made into the ground's S3: once for all functions that share their code.

`sam deploy` would compress the same folder anew for each function, which takes most of its time.
What is left in the template for it to upload (state machines, the template itself) is small.
"""

from __future__ import annotations

import compileall
import hashlib
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
from py_compile import PycInvalidationMode

BUCKET = "refit-packages"
# Stored on this machine and read once: speed counts, size does not.
_COMPRESSION_LEVEL = 1
_CODE = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}


def digest_of(*roots: Path) -> str:
    """Return a digest of the names and contents of files and of all files in folders."""
    digest = hashlib.sha256()
    for number, root in enumerate(roots):
        for path, name in _files(root):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{number}/{name}\0{content}\0".encode())
    return digest.hexdigest()


def upload_packages(s3: Any, build: Path, store: Path) -> Path:
    """Upload functions and layers, and return a template that says where they are.

    Args:
        s3: a client of the ground's S3.
        build: the folder that `sam build` made, with its `template.yaml`.
        store: where archives are kept for the next time.
    """
    template = yaml_parse((build / "template.yaml").read_text())
    _make_bucket(s3)
    store.mkdir(exist_ok=True)
    uploaded: dict[str, str] = {}
    for resource in template["Resources"].values():
        code = _CODE.get(resource["Type"])
        local = resource.get("Properties", {}).get(code) if code else None
        if not isinstance(local, str) or local.startswith("s3://"):
            continue
        digest = digest_of(build / local)
        if digest not in uploaded:
            # All functions share one folder; compiling the layers would not pay.
            is_function = code == "CodeUri"
            archive = _archive(build / local, store, digest, compiled=is_function)
            s3.upload_file(str(archive), BUCKET, archive.name)
            uploaded[digest] = f"s3://{BUCKET}/{digest}.zip"
        resource["Properties"][code] = uploaded[digest]
    _forget_others(store, uploaded)
    packaged = build / "packaged.yaml"
    packaged.write_text(yaml_dump(template))
    return packaged


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file with its name below the root; what Python caches is no content."""
    if root.is_file():
        yield root, ""
        return
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, path.relative_to(root).as_posix()


def _archive(folder: Path, store: Path, digest: str, *, compiled: bool) -> Path:
    """Return the folder's archive; with compiled modules a Lambda process starts sooner."""
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
    """The same content makes the same archive: the time of the build is left out."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = path.stat().st_mode << 16
    return entry


def _make_bucket(s3: Any) -> None:
    try:
        s3.head_bucket(Bucket=BUCKET)
    except ClientError:
        s3.create_bucket(Bucket=BUCKET)


def _forget_others(store: Path, uploaded: dict[str, str]) -> None:
    for archive in store.glob("*.zip"):
        if archive.stem not in uploaded:
            archive.unlink()
