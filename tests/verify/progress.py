"""What a verification has done so far, in a file.

The file is written before the first resource is created, and deleted when nothing is left. Its id
is the value of the stack's tag: a stack without this tag is never touched.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.verify import limits

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Progress:
    """One verification.

    Attributes:
        id: the value of the stack's tag.
        started_at: ISO 8601.
        stack_id: the stack's ARN, when it is known.
        resources: type and physical id of the stack's resources.
        runs: runs of former attempts.
        journey: the results of the tests; None until they have ended.
        answers: the answers of the probes that were asked, by name.
    """

    path: Path
    account: str
    region: str
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    stack_id: str | None = None
    resources: list[list[str]] = field(default_factory=list)
    runs: int = 0
    journey: dict[str, Any] | None = None
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file; a crash leaves the former or the new content."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {key: value for key, value in asdict(self).items() if key != "path"}
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=2))
        draft.replace(self.path)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - datetime.fromisoformat(self.started_at)

    @property
    def left_s(self) -> float:
        """Seconds until the limit; negative after it."""
        return (timedelta(hours=limits.HOURS) - self.age).total_seconds()


def load(path: Path) -> Progress | None:
    """Return the verification that was begun, or None."""
    try:
        return Progress(path=path, **json.loads(path.read_text()))
    except FileNotFoundError:
        return None
