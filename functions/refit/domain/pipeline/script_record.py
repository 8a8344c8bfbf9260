"""The program of a user that trained the model of a run, as the RUN item records it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class CodeFile(BaseModel):
    """A file below `{model}/code/`: its path there, and its version."""

    model_config = ConfigDict(frozen=True)

    path: str
    version: str


class ScriptRecord(BaseModel):
    """The program, with all files that were sent with it.

    Attributes:
        program: its path below `{model}/code/`.
        packed: key of the archive in the run's folder that the job got.
    """

    model_config = ConfigDict(frozen=True)

    program: str
    packed: str
    files: tuple[CodeFile, ...]

    @property
    def sentence(self) -> str:
        """The record in one line."""
        version = next(file.version for file in self.files if file.path == self.program)
        others = len(self.files) - 1
        more = f" and {others} other file{'s' * (others > 1)}" if others else ""
        return f"was trained by code/{self.program} (version {version}){more}"
