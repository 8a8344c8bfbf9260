"""What a probe is, and what it works with."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from tests.verify import own_stack
from tests.verify.target import PREFIX, STACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.verify.target import Target

HOLDS, DIFFERS, UNKNOWN = "holds", "differs", "no answer"


@dataclass(frozen=True)
class Answer:
    """What AWS answered.

    Attributes:
        verdict: whether the assumption holds.
        text: the answer to the question.
        evidence: requests and responses.
    """

    verdict: str
    text: str
    evidence: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class NoSubject(Exception):
    """When what a probe asks about does not exist, such as a live model."""


class Probe(ABC):
    """One question about AWS.

    Attributes:
        name: as in docs/aws-assumptions.md.
        assumption: what Refit relies on.
        question: what is asked.
    """

    name: str
    assumption: str
    question: str

    @abstractmethod
    def ask(self, lab: Lab) -> Answer:
        """Ask AWS. What was created is deleted by `lab.undo`, also after an error."""


@dataclass
class Lab:
    """The deployed stack, and what probes do with it.

    Attributes:
        evidence: requests and responses so far.
        undo: deletes what the probe created, the newest first.
    """

    target: Target
    undo: ExitStack = field(default_factory=ExitStack)
    evidence: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self.target.client(service)

    def name(self, suffix: str) -> str:
        """Return a name that no rule of a Refit stack matches, and that the cleaning finds."""
        return f"probe-{PREFIX}-{suffix}-{uuid4().hex[:6]}"

    @property
    def outputs(self) -> dict[str, str]:
        stack = own_stack.find(self.target)
        if stack is None:
            raise NoSubject(f"there is no stack {STACK}")
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    @property
    def partition(self) -> str:
        return str(self.client("sts").get_caller_identity()["Arn"].split(":")[1])

    def attempt(self, what: str, call: Callable[..., Any], **request: Any) -> str | None:
        """Send a request; return None if AWS accepts it, otherwise the error's code."""
        try:
            call(**request)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            self.evidence.append(f"{what}: {code}: {message}")
            return str(code)
        self.evidence.append(f"{what}: accepted")
        return None

    def wait_for(self, check: Callable[[], Any], what: str, timeout_s: float) -> Any:
        """Poll until the check returns something true, and return it.

        Raises:
            NoSubject: after the timeout.
        """
        end = time.monotonic() + timeout_s
        while not (result := check()):
            if time.monotonic() > end:
                raise NoSubject(f"{what} did not happen within {timeout_s:.0f} s")
            time.sleep(min(self.target.pace.poll_s, 10))
        return result

    def long_s(self, on_aws: float) -> float:
        """Return a timeout: this on AWS, and at most a minute on the local stack."""
        return min(on_aws, 60) if self.target.is_local else on_aws


def asked(probe: Probe, target: Target) -> Answer:
    """Ask a probe; an error is no answer, and says why."""
    lab = Lab(target)
    try:
        with lab.undo:
            answer = probe.ask(lab)
    except NoSubject as error:
        return Answer(UNKNOWN, str(error), tuple(lab.evidence))
    except (ClientError, BotoCoreError) as error:
        return Answer(UNKNOWN, f"an unexpected error: {error}", tuple(lab.evidence))
    return Answer(answer.verdict, answer.text, (*answer.evidence, *lab.evidence))
