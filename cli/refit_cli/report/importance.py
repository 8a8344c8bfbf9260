"""How much each feature contributes to a model, read from its artifact.

The gain of a feature is what all splits on it improve the training objective by. It is read from
the trees (XGBoost's `total_gain`); nothing is predicted. XGBoost itself loads the model, and its
formats hold no code. A pickled model, which old images write, is not loaded.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from refit.domain.errors import ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection

LARGEST_MODEL = 500_000_000
"""Bytes of an unpacked model that is read; larger ones take too much memory and time."""

_MODEL_FILE = "xgboost-model"
_BUFFER = 1 << 20


class ModelUnreadable(Exception):
    """When the trees of a model cannot be read. The text says why."""


@dataclass(frozen=True)
class FeatureImportance:
    """The share of a feature in the gain of all splits, 0 to 1, and the number of its splits."""

    name: str
    share: float
    splits: int


@dataclass(frozen=True)
class Importance:
    """The features by importance, largest first; or why they are not known."""

    features: Sequence[FeatureImportance] = field(default=())
    missing: str | None = None


def read_importance(connection: StackConnection, run: Run, names: Sequence[str]) -> Importance:
    """Return the importance of the features of the model that a run registered.

    Args:
        connection: the stack.
        run: the run.
        names: the features in the order of the training columns.
    """
    if run.package_arn is None:
        return Importance(missing="the run has registered no model")
    try:
        packages = connection.client("sagemaker")
        package = packages.describe_model_package(ModelPackageName=run.package_arn)
        uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        archive = connection.bucket.read(uri.removeprefix(f"s3://{connection.bucket.name}/"))
        return Importance(importance_of(archive, names))
    except (ClientError, ObjectNotFound, ModelUnreadable) as error:
        return Importance(missing=f"the model cannot be read: {error}")


def importance_of(archive: bytes, names: Sequence[str]) -> list[FeatureImportance]:
    """Return the features by importance, largest first, without those that no tree uses.

    Of several models in one archive, which predict together, the gains add up.

    Raises:
        ModelUnreadable: when the archive has no model that XGBoost loads.
    """
    from xgboost import Booster  # noqa: PLC0415 (slow)
    from xgboost.core import XGBoostError  # noqa: PLC0415

    gains: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    for content in _models(archive):
        booster = Booster()
        try:
            booster.load_model(content)
            gains.update(_scores(booster, "total_gain"))
            splits.update(_scores(booster, "weight"))
        except XGBoostError as error:
            reason = str(error).splitlines()[0][:200]
            raise ModelUnreadable(f"XGBoost does not load it ({reason})") from error
    total = sum(gains.values()) or 1.0
    return [
        FeatureImportance(_name(feature, names), gain / total, round(splits[feature]))
        for feature, gain in gains.most_common()
    ]


def _models(archive: bytes) -> Iterator[bytearray]:
    found = False
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*", bufsize=_BUFFER) as packed:
            for member in packed:
                name = member.name.rpartition("/")[2]
                if not member.isfile() or not name.startswith(_MODEL_FILE):
                    continue
                if member.size > LARGEST_MODEL:
                    raise ModelUnreadable(
                        f"{name} has {member.size:,} bytes, more than {LARGEST_MODEL:,}"
                    )
                content = packed.extractfile(member)
                assert content is not None
                found = True
                yield bytearray(content.read())
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ModelUnreadable(f"it is no tar archive ({error})") from error
    if not found:
        raise ModelUnreadable(f"it has no file {_MODEL_FILE}")


def _scores(booster: object, kind: str) -> dict[str, float]:
    scores: dict[str, float] = booster.get_score(importance_type=kind)  # type: ignore[attr-defined]
    return scores


def _name(feature: str, names: Sequence[str]) -> str:
    """Return the name of a column that XGBoost calls `f12`."""
    number = feature[1:]
    return names[int(number)] if number.isdigit() and int(number) < len(names) else feature
