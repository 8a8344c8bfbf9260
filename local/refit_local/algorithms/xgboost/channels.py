"""Validate the channels of a training job.

Source  docs/sagemaker-contract.md, "Input channels and content types"
"""

from collections.abc import Mapping
from typing import Any

from refit_local.algorithms.xgboost.content_types import ACCEPTED
from refit_local.algorithms.xgboost.errors import UserError

_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
_LIBSVM_NAMES = frozenset({"libsvm", "text/libsvm", "text/x-libsvm"})
_DATA_CHANNEL = frozenset(
    (content_type, mode, distribution)
    for content_type in ACCEPTED
    for mode in ("File", "Pipe")
    for distribution in _DISTRIBUTIONS
    if mode == "File" or content_type not in _LIBSVM_NAMES
)
_SUPPORTED = {
    "train": _DATA_CHANNEL,
    "validation": _DATA_CHANNEL,
    "code": frozenset({("text/python", "File", "FullyReplicated")}),
}
_DEFAULT_CONTENT_TYPE = "text/libsvm"


def validate(configured: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the channels of inputdataconfig.json with the default content type filled in.

    Raises:
        UserError: a channel is missing, unknown, or has a configuration that is not supported.
        KeyError: a channel has no TrainingInputMode or no S3DistributionType.
    """
    if "train" not in configured:
        raise UserError("Missing required channel: train")
    checked = {}
    for name, config in configured.items():
        if name not in _SUPPORTED:
            raise UserError(f"Extraneous channel found: {name}")
        channel = dict(config)
        channel.setdefault("ContentType", _DEFAULT_CONTENT_TYPE)
        configuration = (
            channel["ContentType"],
            channel["TrainingInputMode"],
            channel["S3DistributionType"],
        )
        if configuration not in _SUPPORTED[name]:
            raise UserError(
                f"Channel configuration for '{name}' channel is not supported: {channel}"
            )
        checked[name] = channel
    return checked
