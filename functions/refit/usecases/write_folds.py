"""Write the folds of the training rows: for each, the rows to train on and the held-out rows."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid
from refit.tabular.preparation import FoldSinks

if TYPE_CHECKING:
    from refit.domain.naming import RunKeys
    from refit.stores.bucket import ObjectWriter
    from refit.tabular.preparation import Preparation
    from refit.usecases.services import Services

MAX_FOLD_BYTES = 16 * 1024**3
"""Rows of all folds together, which are written in the 15 minutes of Prepare."""


def write_folds(
    services: Services, keys: RunKeys, prepared: Preparation, folds: int, train_bytes: int
) -> None:
    """Write the folds, after the training rows.

    Every training row is written once for each fold but one.

    Raises:
        DatasetInvalid: when all folds together are too large.
    """
    _check_size(folds, train_bytes)
    with ExitStack() as stack:

        def writer(key: str, content_type: str = "text/csv") -> ObjectWriter:
            return stack.enter_context(services.bucket.writer(key, content_type))

        prepared.write_folds(
            [
                FoldSinks(
                    train=writer(f"{keys.fold_train(fold)}train.csv"),
                    features=writer(f"{keys.fold_input(fold)}rows.csv"),
                    labels=writer(keys.fold_labels(fold)),
                    weights=writer(keys.fold_weights(fold), "text/plain")
                    if prepared.has_weights
                    else None,
                )
                for fold in range(folds)
            ]
        )


def _check_size(folds: int, train_bytes: int) -> None:
    if (folds - 1) * train_bytes <= MAX_FOLD_BYTES:
        return
    most = 1 + MAX_FOLD_BYTES // train_bytes
    size = (folds - 1) * train_bytes / 1024**3
    raise DatasetInvalid(
        f"[training] folds = {folds}: the folds of these rows have {size:.1f} GiB together, and at "
        f"most {MAX_FOLD_BYTES // 1024**3} GiB are written",
        advice=f"Set [training] folds to at most {most}"
        if most > 1
        else "Set [training] folds = 0",
    )
