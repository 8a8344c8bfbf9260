"""The `train` entry point: run the training job of the base directory and report a failure.

Output  model/xgboost-model, metric lines on standard output, the log on standard error
        output/failure if the job fails: a traceback, followed by the message
Exit    0 completed · 1 failed (or the error number of an OSError)
"""

import io
import logging
import sys
import traceback
import warnings

from refit_local.algorithms.xgboost.job_files import ContainerFolders, read_training_job
from refit_local.algorithms.xgboost.script_mode import (
    ScriptError,
    is_script_mode,
    read_hyperparameters,
    run_script,
)

_log = logging.getLogger(__name__)


def main() -> int:
    """Train; return the exit code."""
    logging.basicConfig(
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
        level=logging.INFO,
    )
    # The image's file name `xgboost-model` has no suffix; XGBoost would warn after every round.
    warnings.filterwarnings("ignore", ".*Saving model in the UBJSON format as default")
    # Each metric line is to be read while the job runs, not when the buffer is full.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    folders = ContainerFolders.from_environment()
    try:
        hyperparameters = read_hyperparameters(folders)
        if is_script_mode(hyperparameters):
            run_script(folders, hyperparameters)
            return 0
        from refit_local.algorithms.xgboost.train_model import run  # noqa: PLC0415 - a script imports XGBoost itself

        _log.info("Running XGBoost Sagemaker in algorithm mode")
        run(read_training_job(folders))
    except ScriptError as error:
        _report(folders, str(error))
        return 1
    except Exception as error:  # the boundary of the job: every error is the job's failure
        # An error without a message, such as MemoryError, is reported by its class name.
        message = str(error) or type(error).__name__
        _log.error("Reporting training FAILURE")
        _report(folders, f"framework error: \n{traceback.format_exc()}\n{message}")
        number = getattr(error, "errno", None)
        return number if isinstance(number, int) and number else 1
    return 0


def _report(folders: ContainerFolders, report: str) -> None:
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    folders.failure.write_text(report)
    _log.error(report)
