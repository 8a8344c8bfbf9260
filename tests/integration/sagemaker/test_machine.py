"""Jobs stay within their share of the machine, and no process survives the local stack."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from local_sagemaker import (
    BUCKET,
    ROLE,
    long_training,
    make_model,
    put_training_data,
    training_request,
    until,
)
from refit_local.sagemaker.machine.processes import AlgorithmCommand, AlgorithmProcess
from refit_local.sagemaker.machine.shares import MachineLimits, Share

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker, SageMakerLauncher

MB = 1024**2
SMALL = MachineLimits(memory_bytes=600 * MB, reserve_memory_bytes=344 * MB)


@pytest.fixture(scope="module")
def small(
    launcher: SageMakerLauncher, tmp_path_factory: pytest.TempPathFactory
) -> RunningSageMaker:
    """A local SageMaker on a machine with 256 MB for all jobs."""
    local = launcher.start(tmp_path_factory.mktemp("small"), SMALL)
    put_training_data(local)
    return local


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def put_large_data(local: RunningSageMaker) -> None:
    """Upload a training set that needs several times the memory of the small machine."""
    digits = random.Random(3)
    lines = [",".join(digits.choice("0123456789") for _ in range(400)) for _ in range(2)]
    rows = "".join(f"{label},{line}\n" for label, line in enumerate(lines))
    local.put("large/train/rows.csv", rows * 30_000)


def large_training(name: str) -> dict[str, Any]:
    request = training_request(name)
    (train, _) = request["InputDataConfig"]
    train["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{BUCKET}/large/train/"
    return {**request, "InputDataConfig": [train]}


def endpoint_of(local: RunningSageMaker, name: str) -> str:
    local.sagemaker.create_training_job(**training_request(f"for-{name}"))
    job = local.trained(f"for-{name}")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    make_model(local, name, job["ModelArtifacts"]["S3ModelArtifacts"])
    local.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "v1",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    local.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    settled = local.settled(name)
    assert settled["EndpointStatus"] == "InService", settled.get("FailureReason")
    return name


def ask(local: RunningSageMaker, endpoint: str) -> str:
    answer = local.runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="text/csv", Body=b"0.9,0.1,0.5"
    )
    return str(answer["InvokedProductionVariant"])


def test_a_training_that_exceeds_its_share_fails_and_the_endpoint_keeps_answering(
    small: RunningSageMaker,
) -> None:
    endpoint_of(small, "beside")
    put_large_data(small)
    small.sagemaker.create_training_job(**large_training("too-large"))
    answers = 0
    while small.sagemaker.describe_training_job(TrainingJobName="too-large")[
        "TrainingJobStatus"
    ] in ("InProgress", "Stopping"):
        assert ask(small, "beside") == "v1"
        answers += 1
    job = small.trained("too-large")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "ClientError: Please use an instance type with more memory, or reduce the size of job "
        "data processed on an instance."
    )
    assert "ml.m5.large gets 0.25 GiB on this machine" in job["FailureReason"]
    assert answers > 0
    assert ask(small, "beside") == "v1"


def test_the_threads_of_an_algorithm_do_not_spin_while_they_wait() -> None:
    # Timing it would need a busy machine; libgomp reads this variable when XGBoost is loaded.
    program = "import os; print(os.environ.get('OMP_WAIT_POLICY'))"
    lines: list[str] = []
    share = Share("ml.m5.large", 512 * MB, cores=(0,))
    command = AlgorithmCommand((sys.executable, "-c", program), environment={}, nice=1)
    assert AlgorithmProcess(command, share, lines.append).wait(60) == 0
    assert lines == ["PASSIVE"]


def test_an_algorithm_whose_supervisor_is_killed_ends_and_has_the_exit_code_of_its_signal() -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    lines: list[str] = []
    share = Share("ml.m5.large", 512 * MB, cores=(0,))
    command = AlgorithmCommand((sys.executable, "-c", program), environment={}, nice=1)
    process = AlgorithmProcess(command, share, lines.append)
    until(lambda: lines, "the start of the algorithm")
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == 128 + signal.SIGKILL
    until(lambda: not psutil.pid_exists(int(lines[0])), "the end of the algorithm")


def test_a_job_waits_for_the_memory_of_earlier_jobs(small: RunningSageMaker) -> None:
    small.sagemaker.create_training_job(**long_training("first"))
    until(lambda: _secondary(small, "first") == "Training", "the first training")
    small.sagemaker.create_training_job(**training_request("second"))
    until(lambda: _secondary(small, "second") == "Pending", "the second to wait")
    small.sagemaker.stop_training_job(TrainingJobName="first")
    job = small.trained("second")
    assert job["TrainingJobStatus"] == "Completed"
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses[:3] == ["Starting", "Pending", "Downloading"]


def test_a_waiting_job_can_be_stopped(small: RunningSageMaker) -> None:
    small.sagemaker.create_training_job(**long_training("runs"))
    until(lambda: _secondary(small, "runs") == "Training", "the running training")
    small.sagemaker.create_training_job(**training_request("waits"))
    until(lambda: _secondary(small, "waits") == "Pending", "the other to wait")
    small.sagemaker.stop_training_job(TrainingJobName="waits")
    assert small.trained("waits")["TrainingJobStatus"] == "Stopped"
    small.sagemaker.stop_training_job(TrainingJobName="runs")
    small.trained("runs")


def _secondary(local: RunningSageMaker, name: str) -> str:
    described = local.sagemaker.describe_training_job(TrainingJobName=name)
    return str(described["SecondaryStatus"])


def test_shutdown_leaves_no_process_and_a_later_service_continues_from_the_folder(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    before = set(children())
    first = launcher.start(tmp_path)
    put_training_data(first)
    endpoint_of(first, "kept")
    first.sagemaker.create_training_job(**long_training("cut-off"))
    until(lambda: _secondary(first, "cut-off") == "Training", "the training")
    # Two supervisors, the model server and the training.
    started = until(lambda: _more_than(before, 4), "all processes")
    first.service.shutdown()
    psutil.wait_procs(started, 10)
    assert not [process for process in started if process.is_running()]

    second = launcher.start(tmp_path)
    job = second.trained("cut-off")
    assert job["TrainingJobStatus"] == "Failed"
    assert "was shut down while the job was running" in job["FailureReason"]
    assert second.trained("for-kept")["TrainingJobStatus"] == "Completed"
    until(lambda: second.settled("kept")["EndpointStatus"] == "InService", "the endpoint")
    assert ask(second, "kept") == "v1"
    second.service.shutdown()


def _more_than(before: set[psutil.Process], count: int) -> set[psutil.Process] | None:
    started = set(children()) - before
    return started if len(started) >= count else None


HOST_PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from moto import mock_aws
with mock_aws():
    import boto3
    from local_sagemaker import BUCKET, REGION, SageMakerLauncher
    from local_sagemaker import long_training, put_training_data, until
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    local = SageMakerLauncher().start(Path(sys.argv[1]))
    put_training_data(local)
    local.sagemaker.create_training_job(**long_training("orphan"))
    until(lambda: local.sagemaker.describe_training_job(
        TrainingJobName="orphan")["SecondaryStatus"] == "Training", "the training")
    print("training", flush=True)
    sys.stdin.read()
"""


def test_no_process_survives_a_killed_host(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOST_PROCESS, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "training\n"
            started = until(lambda: _at_least(host.pid, 2), "supervisor and training")
        finally:
            os.kill(host.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(started, 10)
    assert len(gone) >= 2
    assert alive == []


def _at_least(pid: int, count: int) -> list[psutil.Process] | None:
    processes = psutil.Process(pid).children(recursive=True)
    return processes if len(processes) >= count else None


def test_all_concurrent_requests_are_answered(small: RunningSageMaker) -> None:
    endpoint = endpoint_of(small, "busy")
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(ask(small, endpoint) for _ in range(25)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["v1"] * 200


def test_the_failure_reason_names_the_role_when_s3_refuses(small: RunningSageMaker) -> None:
    request = training_request("refused")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = "s3://somebody-elses-bucket/train/"
    small.sagemaker.create_training_job(**request)
    assert ROLE in small.trained("refused")["FailureReason"]
