"""Pack the models of the folds into one model.tar.gz, which the XGBoost container serves together.

The container loads every file of the model folder and returns the mean of their predictions, if the
variable SAGEMAKER_INFERENCE_ENSEMBLE is `true` (docs/sagemaker-contract.md, "k-fold"). Archives are
read and written as streams, so neither disk nor memory limits the size of the models.
"""

from __future__ import annotations

import gzip
import tarfile
from typing import IO, TYPE_CHECKING, cast

from refit.domain.errors import EnsembleNotPacked, ObjectNotFound
from refit.domain.naming import RunKeys
from refit.usecases.plan_evaluation import TrainedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.usecases.services import Services

_MODEL_FILE = "xgboost-model"
_ENVIRONMENT = {"SAGEMAKER_INFERENCE_ENSEMBLE": "true"}
_COMPRESSION = 1  # trees compress by half at any level, and level 1 takes a third of the time


def pack_ensemble(
    services: Services, model: str, run: str, image: str, artifacts: Sequence[str]
) -> TrainedModel:
    """Write the model.tar.gz of the ensemble; return the ensemble as a trained model.

    Args:
        services: the AWS services of this process.
        model: name of the model.
        run: id of the run.
        image: URI of the container image of all models.
        artifacts: S3 URIs of the model.tar.gz of each fold.

    Raises:
        EnsembleNotPacked: when a model.tar.gz is missing, or holds no model.
    """
    name = services.names(model).ensemble(run)
    key = f"{RunKeys(model, run).training_output}{name}/output/model.tar.gz"
    begin = f"s3://{services.environment.bucket}/"
    with (
        services.bucket.writer(key, "application/gzip") as writer,
        gzip.GzipFile(
            fileobj=cast("IO[bytes]", writer), mode="wb", compresslevel=_COMPRESSION, mtime=0
        ) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as packed,
    ):
        for number, uri in enumerate(artifacts):
            _add(services, packed, uri.removeprefix(begin), number)
    return TrainedModel(name, image, f"{begin}{key}", _ENVIRONMENT)


def _add(services: Services, packed: tarfile.TarFile, key: str, number: int) -> None:
    try:
        stream = services.bucket.open(key)
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for member in archive:
                if member.name.removeprefix("./") == _MODEL_FILE and member.isfile():
                    copied = tarfile.TarInfo(f"{_MODEL_FILE}-{number}")
                    copied.size = member.size
                    packed.addfile(copied, archive.extractfile(member))
                    return
    except (ObjectNotFound, tarfile.ReadError) as error:
        raise EnsembleNotPacked(f"{key} cannot be read: {error}") from error
    raise EnsembleNotPacked(f"{key} holds no file {_MODEL_FILE}")
