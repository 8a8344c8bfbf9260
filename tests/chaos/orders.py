"""What faults request of a stack: failures of the local SageMaker, and what users request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
from refit_local.sagemaker.faults import OF_NAMES

if TYPE_CHECKING:
    from tests.chaos.subject import Subject


def order(subject: Subject, **faults: Any) -> None:
    """Order failures of the local SageMaker for the jobs and the endpoint of the model."""
    folder = subject.user.stack.state_dir / "sagemaker" / OF_NAMES
    folder.mkdir(exist_ok=True)
    (folder / f"refit-{subject.model}.json").write_text(json.dumps(faults))


def requested(subject: Subject, action: str) -> requests.Response:
    """Request an action of the model over the API."""
    stack = subject.user.stack
    return requests.post(
        f"{stack.api_url}/models/{subject.model}/{action}",
        headers={"x-api-key": stack.api_keys["operate"]},
        timeout=60,
    )
