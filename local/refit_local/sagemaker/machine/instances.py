"""vCPUs and memory of SageMaker's CPU instance types."""

from __future__ import annotations

import re
from dataclasses import dataclass

from refit_local.sagemaker.wire.errors import ValidationException

GIB = 1024**3

# GiB of memory per vCPU, by family. A size name means the same number of vCPUs in each family.
_GIB_PER_VCPU = {
    **dict.fromkeys(("m4", "m5", "m5d", "m6i", "m6id", "m6g", "m6gd", "m7i", "m8g"), 4.0),
    **dict.fromkeys(("c5", "c5d", "c6i", "c6id", "c6g", "c6gd", "c7g", "c7i"), 2.0),
    **dict.fromkeys(("c5n", "c6gn"), 2.625),
    "c4": 1.875,
    **dict.fromkeys(("r5", "r5d", "r6i", "r6id", "r6g", "r6gd", "r7i"), 8.0),
}
_BURSTABLE = {
    "t2.medium": (2, 4), "t2.large": (2, 8), "t2.xlarge": (4, 16), "t2.2xlarge": (8, 32),
    "t3.medium": (2, 4), "t3.large": (2, 8), "t3.xlarge": (4, 16), "t3.2xlarge": (8, 32),
}  # fmt: skip
_SIZE = re.compile(r"(\d*)xlarge")


@dataclass(frozen=True)
class InstanceType:
    """What an instance of the type has on AWS."""

    name: str
    vcpus: int
    memory_bytes: int


def instance_type(name: str) -> InstanceType:
    """Return the instance type with a name such as `ml.m5.large`.

    Raises:
        ValidationException: when the name is not one of a known CPU family; GPU types are not.
    """
    short = name.removeprefix("ml.")
    if short in _BURSTABLE:
        return InstanceType(name, _BURSTABLE[short][0], _BURSTABLE[short][1] * GIB)
    family, _, size = short.partition(".")
    vcpus = _vcpus(size)
    if family not in _GIB_PER_VCPU or vcpus is None:
        known = ", ".join(["t2", "t3", *_GIB_PER_VCPU])
        raise ValidationException(
            f"The local SageMaker has no instance type {name}: it knows the CPU types "
            f"of the families {known}."
        )
    return InstanceType(name, vcpus, int(vcpus * _GIB_PER_VCPU[family] * GIB))


def _vcpus(size: str) -> int | None:
    if size in ("medium", "large"):
        return 1 if size == "medium" else 2
    match = _SIZE.fullmatch(size)
    return 4 * int(match[1] or 1) if match else None
