"""An image of one's own is a command that speaks the contract of /opt/ml, without Docker."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from local_sagemaker import (
    ROLE,
    RunningSageMaker,
    SageMakerLauncher,
    make_model,
    put_training_data,
    training_request,
)
from refit_local.sagemaker.machine.images import FILE_VARIABLE, ImagesInvalid, LocalImages
from served_models import config, invoke, variant

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/mean"
METRICS = [{"Name": "rows", "Regex": r"rows=(\d+)"}, {"Name": "none", "Regex": "x=(.)"}]
PROGRAM = """
import http.server, json, os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
model = base / "model/mean"
if sys.argv[1] == "train":
    options = json.loads((base / "input/config/hyperparameters.json").read_text())
    if "fail" in options:
        (base / "output/failure").write_text("no mean today")
        sys.exit(3)
    files = [f for f in (base / "input/data/train").rglob("*") if f.is_file()]
    labels = [float(line.split(",")[0]) for f in files for line in f.read_text().split()]
    print(f"rows=1\\nrows={len(labels)}")
    model.write_text(repr(sum(labels) / len(labels)))
else:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(b"")
        def do_POST(self):
            rows = self.rfile.read(int(self.headers["Content-Length"])).split()
            self.reply(b"".join(model.read_bytes() + b"\\n" for _ in rows))
        def reply(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def images_file(folder: Path, text: str = "") -> Path:
    (folder / "mean.py").write_text(PROGRAM)
    path = folder / "images.toml"
    default = f'[images."{REPOSITORY}"]\ntrain = "python mean.py train"\n'
    path.write_text(text or f'{default}serve = "python mean.py serve"\n')
    return path


@pytest.fixture(scope="module")
def own(launcher: SageMakerLauncher, tmp_path_factory: pytest.TempPathFactory) -> RunningSageMaker:
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(FILE_VARIABLE, str(images_file(folder)))
        local = launcher.start(folder / "state")
    put_training_data(local)
    return local


def request(name: str, **hyperparameters: str) -> dict[str, Any]:
    algorithm = {
        "TrainingImage": f"{REPOSITORY}:7",
        "TrainingInputMode": "File",
        "MetricDefinitions": METRICS,
    }
    return training_request(name, AlgorithmSpecification=algorithm, HyperParameters=hyperparameters)


@pytest.fixture(scope="module")
def trained(own: RunningSageMaker) -> dict[str, Any]:
    own.sagemaker.create_training_job(**request("mean-1"))
    return own.trained("mean-1")


def test_its_training_command_reads_and_writes_the_folder_of_the_container(
    own: RunningSageMaker, trained: dict[str, Any]
) -> None:
    assert trained["TrainingJobStatus"] == "Completed", trained.get("FailureReason")
    assert own.keys("out/mean-1/output/model.tar.gz")


def test_its_metrics_are_those_that_the_request_defines(trained: dict[str, Any]) -> None:
    assert trained["AlgorithmSpecification"]["MetricDefinitions"] == METRICS
    (metric,) = trained["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("rows", 400.0)


def test_its_failure_file_and_its_exit_code_are_the_reason_of_a_failure(
    own: RunningSageMaker,
) -> None:
    own.sagemaker.create_training_job(**request("mean-2", fail="1"))
    assert own.trained("mean-2")["FailureReason"] == "AlgorithmError: no mean today, exit code: 3"


def test_its_serving_command_answers_for_an_endpoint(
    own: RunningSageMaker, trained: dict[str, Any]
) -> None:
    uri = trained["ModelArtifacts"]["S3ModelArtifacts"]
    make_model(own, "mean", uri, Image=f"{REPOSITORY}:7")
    own.sagemaker.create_endpoint(
        EndpointName="mean", EndpointConfigName=config(own, "mean", variant("mean"))
    )
    assert own.settled("mean")["EndpointStatus"] == "InService"
    lines = invoke(own, "mean", b"1,2,3\n4,5,6\n")["Body"].read().decode().splitlines()
    assert len(lines) == 2
    assert 0 < float(lines[0]) < 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (f"{REPOSITORY}2:7", "refit up --images FILE"),
        ("210987654321.dkr.ecr.us-east-1.amazonaws.com/team/mean:7", "refit up --images FILE"),
        (
            "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
            "its code is not public",
        ),
    ],
)
def test_an_image_without_a_command_is_refused(
    own: RunningSageMaker, image: str, message: str
) -> None:
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    with pytest.raises(ClientError, match=message):
        own.sagemaker.create_training_job(
            **training_request("refused", AlgorithmSpecification=algorithm)
        )
    container = {"Image": image, "ModelDataUrl": "s3://refit-test/model.tar.gz"}
    with pytest.raises(ClientError, match=message):
        own.sagemaker.create_model(
            ModelName="refused", ExecutionRoleArn=ROLE, PrimaryContainer=container
        )


def test_a_role_that_may_not_pull_the_image_can_neither_train_nor_serve_it(
    own: RunningSageMaker, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def may(role: str, action: str, resource: str) -> bool:
        asked.append((role, resource))
        return action != "ecr:BatchGetImage"

    host = own.service._platform.host
    monkeypatch.setattr(own.service._platform, "host", replace(host, may=may))
    with pytest.raises(ClientError, match="Access denied for repository: team/mean in registry ID"):
        own.sagemaker.create_training_job(**request("mean-3"))
    with pytest.raises(ClientError, match="Access denied for repository: team/mean in registry ID"):
        make_model(
            own, "no-mean", trained["ModelArtifacts"]["S3ModelArtifacts"], Image=f"{REPOSITORY}:7"
        )
    assert set(asked) == {(ROLE, "arn:aws:ecr:us-east-1:123456789012:repository/team/mean")}


def test_a_file_allows_the_repositories_that_it_names(tmp_path: Path) -> None:
    images = LocalImages.read(images_file(tmp_path))
    assert images.repository_arns == ["arn:aws:ecr:us-east-1:123456789012:repository/team/mean"]
    assert images.commands(f"{REPOSITORY}@sha256:{'0' * 64}").folder == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images = 1", 'allowed: tables [images."REGISTRY/REPOSITORY"] only'),
        ("[images.mean]\ntrain = 'a'\nserve = 'b'", "is a repository of Amazon ECR without tag"),
        (f"[images.'{REPOSITORY}:1']\ntrain = 'a'\nserve = 'b'", "without tag"),
        (f"[images.'{REPOSITORY}']\ntrain = 'a'", "needs the keys train and serve, and no other"),
        (f"[images.'{REPOSITORY}']\ntrain = ''\nserve = 'b'", "train = '': allowed: a command"),
        (f"[images.'{REPOSITORY}']\ntrain = '\"'\nserve = 'b'", "No closing quotation"),
        (f"[images.'{REPOSITORY}']\ntrain = 'pyhton a'\nserve = 'b'", "no program 'pyhton'"),
        (f"[images.'{REPOSITORY}']\ntrain = './a.sh'\nserve = 'b'", "no program './a.sh'"),
        ("images", "cannot be read as TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ImagesInvalid, match=re.escape(message)):
        LocalImages.read(images_file(tmp_path, text))
