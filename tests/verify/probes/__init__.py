"""The open questions about AWS. Each probe asks one, and says whether Refit's assumption holds.

The names are those in docs/aws-assumptions.md, "Open questions". A new question is a new probe in
this list and a new row there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.verify.probes.delivery import ErrorObjectExtension, StreamRoleCondition
from tests.verify.probes.endpoints import (
    DeleteWhileCreating,
    UpdateInProgress,
    UpdateToAnotherVariant,
)
from tests.verify.probes.figures import StreamShards, TransformQuotaDefault
from tests.verify.probes.packages import (
    GroupNumbering,
    ListPackagesResource,
    PackageRights,
    RegistryLag,
)
from tests.verify.probes.queue_policy import QueuePolicyWithTwoResources
from tests.verify.probes.refusals import MissingEndpointConfig, MissingResources
from tests.verify.probes.state_fields import FIELDS, SdkValidationError
from tests.verify.probes.uploads import OverlappingUploads

if TYPE_CHECKING:
    from tests.verify.probes.base import Probe

PROBES: tuple[Probe, ...] = (
    QueuePolicyWithTwoResources(),
    OverlappingUploads(),
    *FIELDS,
    SdkValidationError(),
    MissingResources(),
    MissingEndpointConfig(),
    StreamShards(),
    TransformQuotaDefault(),
    StreamRoleCondition(),
    PackageRights(),
    ListPackagesResource(),
    RegistryLag(),
    GroupNumbering(),
    DeleteWhileCreating(),
    UpdateInProgress(),
    UpdateToAnotherVariant(),
    ErrorObjectExtension(),
)
