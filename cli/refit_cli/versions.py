"""Decisions on the versions of a model: approve, reject, roll back.

Each is a change of approval in the model registry, as a person makes it there. The registry's
events carry it out: the newest approved version of a model is the one that is live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.one_line import one_line
from refit.stores.registry import ModelRegistry
from refit.usecases.reject_newer_versions import reject_newer_versions

from refit_cli.errors import BadInput, Refused, unknown_model
from refit_cli.removal.removal import check_not_being_removed
from refit_cli.user_commands import user_name

if TYPE_CHECKING:
    from refit.stores.registry import PackageVersion

    from refit_cli.connection import StackConnection

_PENDING = "PendingManualApproval"
_MAX_DESCRIPTION = 1024  # characters in ApprovalDescription


@dataclass(frozen=True)
class Decided:
    """What was decided.

    Attributes:
        run: the run that made the version.
        live: the version that is live now.
        rejected: the versions that a rollback has rejected, in this order.
    """

    version: int
    run: str | None
    live: int | None
    by: str
    rejected: tuple[int, ...] = ()


class Versions:
    """The versions of one model.

    Raises:
        BadInput: when there is no such model.
        Refused: when it is being removed.
    """

    def __init__(self, connection: StackConnection, model: str) -> None:
        check_not_being_removed(connection, model)
        self._model = model
        self._registry = ModelRegistry(connection.client("sagemaker"))
        self._sagemaker = connection.client("sagemaker")
        self._models = connection.models
        self._state = connection.models.state(model)
        self._by = user_name(connection)
        runs = connection.models.runs(model)
        if not runs:
            raise unknown_model(model, connection.models.models(), connection.location)
        self._arns = {
            run.version: run.package_arn for run in runs if run.version and run.package_arn
        }

    @property
    def live(self) -> int | None:
        """The version that is live."""
        return self._state.champion.version if self._state.champion else None

    def approve(self, version: int | None) -> Decided:
        """Approve a version, by default the newest that waits for it.

        Raises:
            BadInput: when there is no such version.
            Refused: when none waits, or it is approved.
        """
        package = self._waiting() if version is None else self._package(version)
        if package.approval == "Approved":
            raise Refused(f"version {package.version} of {self._model} is approved already")
        self._sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            ModelApprovalStatus="Approved",
            ApprovalDescription=one_line(f"Approved by {self._by}", _MAX_DESCRIPTION),
        )
        return Decided(package.version, package.run, self.live, self._by)

    def reject(self, version: int) -> Decided:
        """Reject a version.

        Raises:
            BadInput: when there is no such version.
            Refused: when it is rejected.
        """
        package = self._package(version)
        if package.approval == "Rejected":
            raise Refused(f"version {version} of {self._model} is rejected already")
        self._registry.reject_package(package.arn, f"Rejected by {self._by}")
        return Decided(version, package.run, self.live, self._by)

    def roll_back(self, version: int) -> Decided:
        """Make an approved older version live again, by rejecting all newer approved versions.

        An interrupted rollback leaves the live version live, and can be repeated.

        Raises:
            BadInput: when there is no such version.
            Refused: when it is not approved, or not older than the live one, or when a version is
                being deployed.
        """
        package, live = self._package(version), self.live
        if live is None or version >= live:
            raise Refused(
                f"version {version} of {self._model} is not older than the live version, "
                f"{live or 'which does not exist'}",
                f"name an approved version before it: refit status {self._model}",
            )
        if package.approval != "Approved":
            raise Refused(
                f"version {version} of {self._model} is not approved, but {package.approval}",
                f"refit approve {self._model} {version}, which does not deploy it while a newer "
                "one is approved",
            )
        if self._state.deployment is not None:
            raise Refused(
                f"a version of {self._model} is being deployed", "try again when it has ended"
            )
        rejected = reject_newer_versions(
            self._models, self._registry, self._model, version, live, self._by
        )
        return Decided(version, package.run, live, self._by, tuple(rejected))

    def _package(self, version: int) -> PackageVersion:
        arn = self._arns.get(version)
        package = self._registry.find_package(arn) if arn else None
        if package is None:
            known = ", ".join(map(str, sorted(self._arns))) or "none"
            raise BadInput(f"{self._model!r} has no version {version}; versions: {known}")
        return package

    def _waiting(self) -> PackageVersion:
        for version in sorted(self._arns, reverse=True):
            package = self._registry.find_package(self._arns[version])
            if package is not None and package.approval == _PENDING:
                return package
        raise Refused(
            f"no version of {self._model!r} waits for an approval",
            f"name one: refit approve {self._model} VERSION",
        )
