"""The `train` entry point: run the job of the base directory, and report how it failed.

Output  model/xgboost-model, metric lines on standard output, the log on standard error
        output/failure when it fails: a traceback, and the message in the end
Exit    0 done · 1 failed (or the number of the operating system's error)
"""

import logging
import sys
import traceback
import warnings

from refit_local.algorithms.xgboost.job import Folders, read_training_job
from refit_local.algorithms.xgboost.training import run

_log = logging.getLogger(__name__)


def main() -> int:
    """Train and return the exit code."""
    logging.basicConfig(
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
        level=logging.INFO,
    )
    # The name `xgboost-model` has no suffix on purpose; XGBoost would say so after every round.
    warnings.filterwarnings("ignore", ".*Saving model in the UBJSON format as default")
    # A log that is followed while the job runs must not wait for a full buffer.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    folders = Folders.from_environment()
    try:
        _log.info("Running XGBoost Sagemaker in algorithm mode")
        run(read_training_job(folders))
    except Exception as error:  # the job's boundary: whatever failed is the job's failure
        # An error without words, such as MemoryError, is at least named.
        message = str(error) or type(error).__name__
        report = f"framework error: \n{traceback.format_exc()}\n{message}"
        folders.failure.parent.mkdir(parents=True, exist_ok=True)
        folders.failure.write_text(report)
        _log.error("Reporting training FAILURE")
        _log.error(report)
        number = getattr(error, "errno", None)
        return number if isinstance(number, int) and number else 1
    return 0
