"""Mini-batches, filters, metric lines, archives and failure files."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit_local.sagemaker.jobs.batching import FieldFilter, mini_batches
from refit_local.sagemaker.jobs.training_metrics import MetricLines
from refit_local.sagemaker.machine.containers import ContainerFolder, unpack
from refit_local.sagemaker.machine.images import LocalImages
from refit_local.sagemaker.machine.instances import GIB, instance_type
from refit_local.sagemaker.storage import local_path
from refit_local.sagemaker.wire.errors import JobFailed, NotImplementedLocally

if TYPE_CHECKING:
    from pathlib import Path


def cut(data: bytes, *, multi_record: bool, max_bytes: int, split: bool = True) -> list[bytes]:
    batches = mini_batches(
        io.BytesIO(data), split=split, multi_record=multi_record, max_bytes=max_bytes
    )
    return [b"".join(batch.records) for batch in batches]


@given(
    st.lists(st.text("0123456789,", max_size=20), max_size=30),
    st.integers(21, 80),
    st.booleans(),
)
def test_batches_contain_every_record_once_in_order_and_fit_the_payload(
    lines: list[str], max_bytes: int, multi_record: bool
) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    batches = cut(data, multi_record=multi_record, max_bytes=max_bytes)
    assert b"".join(batches) == data
    assert all(len(batch) <= max_bytes for batch in batches)
    if not multi_record:
        assert len(batches) == len(lines)


def test_batches_are_as_large_as_the_payload_allows() -> None:
    assert cut(b"11\n22\n33\n4\n", multi_record=True, max_bytes=6) == [b"11\n22\n", b"33\n4\n"]


def test_without_split_the_object_is_one_request() -> None:
    whole = b"1\n2\n"
    assert cut(whole, multi_record=True, max_bytes=100, split=False) == [whole]
    with pytest.raises(JobFailed, match="larger than the maximum payload"):
        cut(whole, multi_record=True, max_bytes=3, split=False)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("$", "a,b,c,d"),
        ("$[0]", "a"),
        ("$[-1]", "d"),
        ("$[1:]", "b,c,d"),
        ("$[:-1]", "a,b,c"),
        ("$[1:3]", "b,c"),
        ("$[3,0]", "d,a"),
    ],
)
def test_a_filter_selects_columns(path: str, kept: str) -> None:
    assert FieldFilter(path).apply("a,b,c,d") == kept


def test_a_filter_respects_quotes() -> None:
    assert FieldFilter("$[1:]").apply('1,"a, b",2') == '"a, b",2'


def test_a_filter_of_a_missing_column_fails_the_job() -> None:
    with pytest.raises(JobFailed, match="a record of 2 columns does not have"):
        FieldFilter("$[5]").apply("1,2")


@pytest.mark.parametrize("path", ["$.a", "$..*", "$[?(@.x)]", "$['a']", "1", "$[1:2:3]"])
def test_other_json_paths_are_refused(path: str) -> None:
    with pytest.raises(NotImplementedLocally):
        FieldFilter(path)


def test_the_last_round_of_each_metric_counts() -> None:
    lines = MetricLines()
    for line in (
        "[0]\ttrain-auc:0.5\tvalidation-auc:0.4",
        "[1]\ttrain-auc:0.75\tvalidation-auc:0.625",
        "[2024-01-01:00:00:00:INFO] train-auc:0.1",
        "said train-auc:0.2",
        "[2]\ttrain-auc:nan",
    ):
        lines.read(line)
    final = {metric["MetricName"]: metric["Value"] for metric in lines.final(None)}
    assert final == {"train:auc": 0.75, "validation:auc": 0.625}


def test_a_failure_reason_begins_with_the_message(tmp_path: Path) -> None:
    folder = ContainerFolder(tmp_path / "ml")
    folder.prepare()
    (folder.output / "failure").write_text(
        "framework error: \nTraceback (most recent call last):\n"
        '  File "train.py", line 1, in main\n    run()\n'
        "a.package.UserError: label must be in [0, 1]\nStack trace:\n  [bt] (0) lib.so\n\n"
        "label must be in [0, 1]"
    )
    reason = folder.failure_reason(1)
    assert reason == "AlgorithmError: UserError: label must be in [0, 1], exit code: 1"


def test_a_long_failure_keeps_message_and_exit_code(tmp_path: Path) -> None:
    folder = ContainerFolder(tmp_path / "ml")
    folder.prepare()
    (folder.output / "failure").write_text("what went wrong " * 500)
    reason = folder.failure_reason(3)
    assert len(reason) == 1024
    assert reason.startswith("AlgorithmError: what went wrong")
    assert reason.endswith("…, exit code: 3")


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../escaped")
        tar.addfile(member, io.BytesIO())
    with pytest.raises(JobFailed, match="Failed to extract model data archive"):
        unpack(archive, tmp_path / "model")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("key", ["../up", "/root", "a/../../b", ""])
def test_a_key_cannot_write_outside_its_channel(tmp_path: Path, key: str) -> None:
    with pytest.raises(JobFailed, match="not a safe path"):
        local_path(tmp_path, key)


@pytest.mark.parametrize(
    ("name", "vcpus", "gib"),
    [
        ("ml.m5.large", 2, 8),
        ("ml.m5.4xlarge", 16, 64),
        ("ml.c5.xlarge", 4, 8),
        ("ml.c4.xlarge", 4, 7.5),
        ("ml.r5.12xlarge", 48, 384),
        ("ml.t3.medium", 2, 4),
    ],
)
def test_instance_types_have_the_vcpus_and_memory_of_aws(name: str, vcpus: int, gib: float) -> None:
    known = instance_type(name)
    assert (known.vcpus, known.memory_bytes) == (vcpus, int(gib * GIB))


def test_an_image_is_recognized_by_its_repository() -> None:
    registry = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
    images = LocalImages()
    for tag in (":3.0-5", f"@sha256:{'0' * 64}"):
        commands = images.commands(f"{registry}/sagemaker-xgboost{tag}")
        assert commands.serve[1:] == ("-m", "refit_local.algorithms.xgboost", "serve")
    with pytest.raises(NotImplementedLocally, match="repositories sagemaker-xgboost"):
        images.commands(f"{registry}/churn:1")
    with pytest.raises(NotImplementedLocally, match="its code is not public"):
        images.commands(f"{registry}/linear-learner:1")
