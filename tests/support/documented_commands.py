"""The shell commands of README and the documents, and which test runs each, or why none does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md", "benchmarks/README.md")
    for path in sorted(ROOT.glob(pattern))
)
_BLOCK = re.compile(r"^(?P<indent> *)```sh\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*)?$")
_HEREDOC = re.compile(r"<<'(\w+)'")


@dataclass(frozen=True)
class Documented:
    """A command of a document, without its comment and `.venv/bin/`."""

    document: str
    text: str


def commands_of(text: str) -> list[str]:
    """Return the commands of all `sh` blocks of a Markdown text, in their order."""
    found: list[str] = []
    for block in _BLOCK.finditer(text):
        lines = [line.removeprefix(block["indent"]) for line in block["body"].splitlines()]
        found += _commands(lines)
    return found


def _commands(lines: list[str]) -> list[str]:
    found: list[str] = []
    pending, end = "", None
    for line in lines:
        if end is not None:
            pending += f"\n{line}"
            if line == end:
                found.append(pending)
                pending, end = "", None
            continue
        bare = _COMMENT.sub("", line).strip()
        if bare.endswith("\\"):
            pending += f"{bare[:-1].strip()} "
            continue
        pending += bare
        if heredoc := _HEREDOC.search(pending):
            end = heredoc[1]
            continue
        found += [part.strip() for part in pending.split(" && ") if part.strip()]
        pending = ""
    return [re.sub(r"(^|(?<=\s))\.venv/bin/", "", command) for command in found]


def documented() -> list[Documented]:
    """Return the commands of all documents."""
    return [
        Documented(path.relative_to(ROOT).as_posix(), command)
        for path in DOCUMENTS
        for command in commands_of(path.read_text("utf-8"))
    ]


EXECUTED = "tests/e2e/test_documented_commands.py"
"""Runs these as they stand, on the shared stack, in the order of this list."""

RUN_AS_THEY_STAND = (
    # docs/quick-start.md
    "python - > iris.csv <<'END'",
    "refit check iris.csv --label species",
    "refit put iris iris.csv --label species",
    "refit watch iris",
    "refit report iris --output iris.html",
    "refit predict iris iris.csv --json > answers.jsonl",
    "refit batch iris iris.csv --output scored.csv",
    "python - > truth.csv <<'END'",
    "refit label iris truth.csv",
    "refit status iris",
    # README and other pages, with the model, the files and the keys of the quick start
    "refit check flowers.csv --label species",
    "refit predict flowers new.csv",
    "refit predict flowers flowers.csv",
    "refit label flowers truth.csv",
    "refit status flowers",
    'curl -H "x-api-key: $PREDICT_KEY" -H "Content-Type: text/csv" --data-binary @rows.csv '
    '"$API_URL/models/flowers/predictions"',
    'curl -H "x-api-key: $LABEL_KEY" -H "Content-Type: application/json" '
    '--data \'{"labels": [{"inferenceId": "7c9e…-0", "label": "rose"}]}\' '
    '"$API_URL/models/flowers/ground-truth"',
    'curl -H "x-api-key: $LABEL_KEY" -H "Content-Type: application/json" '
    '"$API_URL/models/flowers/ground-truth" '
    '--data \'{"labels": [{"inferenceId": "7c9e…-0", "label": "rose", '
    '"observedAt": "2026-11-25T10:00:00Z"}]}\'',
    "refit retrain iris",
)
"""First lines of commands; those of several lines have a here-document."""

CI = ".ci/run"
CODE = "tests/unit/cli/test_putting_code.py"
CHAOS = "tests/unit/test_chaos_campaign.py"
LOCAL = "tests/unit/cli/test_local_stack_commands.py"
RUN_BY = {
    "make setup": CI,
    "make test": CI,
    "make check": CI,
    "make docs": CI,
    'make test ARGS="tests/unit"': CI,
    "make chaos LIST=1": CHAOS,
    "make chaos ONLY=killed-trainer,redelivered-captures SEED=7": CHAOS,
    "make chaos ONLY='deleted-*'": CHAOS,
    "make notebook": "tests/e2e/test_notebook.py",
    "refit doctor": "tests/unit/cli/test_doctor_command.py",
    "refit doctor --aws": "tests/unit/cli/test_doctor_command.py",
    "refit up --detach": LOCAL,
    "refit demo --keep": "tests/unit/cli/test_demo_parts.py",
    "refit status": "tests/unit/cli/test_status_command.py",
    "refit destroy --aws --stack-name refit --account 123456789012": (
        "tests/unit/cli/test_destroy_command.py"
    ),
    "refit destroy --aws --stack-name refit --account 123456789012 --delete-data": (
        "tests/unit/cli/test_destroy_command.py"
    ),
    "refit export digits": "tests/unit/cli/test_export_command.py",
    "refit export digits --version 3 --output digits-v3.json": (
        "tests/unit/cli/test_export_command.py"
    ),
    "refit down": LOCAL,
    "refit up --images images.toml": LOCAL,
    "refit up --allow-scripts": LOCAL,
    "refit up --detach --allow-scripts": LOCAL,
    "refit up --detach --images examples/sklearn/images.toml": LOCAL,
    "refit put flowers flowers.csv --label species": "tests/unit/cli/test_put_command.py",
    "refit watch flowers": "tests/unit/cli/test_watch_command.py",
    "refit remove flowers": "tests/unit/cli/test_remove_command.py",
    "refit remove iris": "tests/unit/cli/test_remove_command.py",
    "refit batch churn customers.parquet --output scored.csv": (
        "tests/e2e/test_files_predicted_in_batch.py"
    ),
    "refit watch churn --batch": "tests/unit/cli/test_batch_command.py",
    "refit status churn": "tests/unit/cli/test_status_command.py",
    "refit put reviews reviews.csv --settings examples/sklearn/model.toml": (
        "tests/unit/cli/test_put_command.py"
    ),
    "refit put demand sales.csv --settings model.toml --code train.py": CODE,
    "refit put demand --code train.py": CODE,
    "cat > model.toml <<'END'": "tests/e2e/test_scripts_of_users.py",
    "python examples/deskew/deskew.py --directions mnist.pkl.gz prepared": (
        "tests/unit/examples/test_deskewing.py"
    ),
    "python examples/deskew/deskew.py --directions rows.csv prepared.csv": (
        "tests/unit/examples/test_deskewing.py"
    ),
}
"""The file that runs a command, or what it does with other names."""

AWS = "needs an AWS account"
AWS_CLI = "needs the AWS CLI, which is not installed with Refit; the tests do the same with boto3"
DOCKER = "needs Docker"
LONG = "needs MNIST, which is not in the repository, and minutes"
DEMO = "takes minutes; tests/unit/cli/test_demo_parts.py has its parts, and tests/e2e the loop"
HEAVY = "needs 1 GB of packages; a target of its own"
INTERACTIVE = "opens a program in the browser"
NOT_RUN = {
    "sam build": AWS,
    "sam deploy --guided": AWS,
    "sam deploy --config-env staging": AWS,
    "sam deploy --config-env prod": AWS,
    "sam deploy --parameter-overrides AllowedScripts=yes": AWS,
    "sam deploy --parameter-overrides "
    "AllowedImages=arn:aws:ecr:eu-central-1:123456789012:repository/churn": AWS,
    "sam deploy --parameter-overrides "
    "AllowedImages=arn:aws:ecr:$REGION:$ACCOUNT:repository/refit-sklearn": AWS,
    "refit put flowers flowers.csv --label species --aws --stack-name refit": AWS,
    "refit remove flowers --aws --stack-name refit --account 123456789012": AWS,
    "refit status --aws --stack-name refit-prod": AWS,
    "make verify-aws": AWS,
    "aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com "
    "--client-id-list sts.amazonaws.com": AWS,
    "aws iam create-role --role-name refit-deploy-prod "
    "--assume-role-policy-document file://trust.json": AWS,
    "aws iam attach-role-policy --role-name refit-deploy-prod "
    "--policy-arn arn:aws:iam::aws:policy/AdministratorAccess": AWS,
    "aws apigateway update-api-key --api-key ID "
    "--patch-operations op=replace,path=/enabled,value=false": AWS,
    "aws apigateway get-usage --usage-plan-id ID "
    "--start-date 2026-11-01 --end-date 2026-11-30": AWS,
    "aws s3 cp truth.csv s3://$BUCKET/flowers/ground-truth/": AWS_CLI,
    "export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-east-1": AWS_CLI,
    "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…": AWS_CLI,
    "aws sagemaker list-training-jobs": AWS_CLI,
    "aws logs tail /aws/sagemaker/TrainingJobs": AWS_CLI,
    "REGION=eu-central-1 "
    "ACCOUNT=$(aws sts get-caller-identity --query Account --output text)": DOCKER,
    "REGISTRY=$ACCOUNT.dkr.ecr.$REGION.amazonaws.com": DOCKER,
    "aws ecr create-repository --repository-name refit-sklearn "
    "--image-tag-mutability IMMUTABLE": DOCKER,
    "aws ecr get-login-password | docker login --username AWS --password-stdin $REGISTRY": DOCKER,
    "docker build --platform linux/amd64 --provenance false -t $REGISTRY/refit-sklearn:1 "
    "examples/sklearn": DOCKER,
    "docker push $REGISTRY/refit-sklearn:1": DOCKER,
    "refit put digits prepared --settings examples/deskew/model.toml": LONG,
    "refit watch digits": LONG,
    "refit predict digits prepared.csv": LONG,
    "make notebook DATA=path/to/mnist.pkl.gz": LONG,
    "make demo": DEMO,
    "make test-notebook-sdk": HEAVY,
    "python -m pip install jupyterlab": INTERACTIVE,
    "jupyter lab notebooks/handwritten_digits.ipynb": INTERACTIVE,
}
"""Why a command is run by no test."""
