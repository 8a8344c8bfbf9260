"""Fixtures of the tests of the XGBoost container."""

import logging
import warnings

import pytest
from refit_local.algorithms.xgboost import train
from xgboost_container import FIXTURES, JobFolder


@pytest.fixture
def job(tmp_path):
    """An empty folder in place of /opt/ml."""
    return JobFolder(tmp_path / "ml")


@pytest.fixture
def oracle():
    """Returns the folder of a recorded training by its name."""
    return lambda name: FIXTURES / "oracle" / name


@pytest.fixture
def train_here(monkeypatch, caplog):
    """Runs the train entry point inside the test, which is faster than a process."""

    def run(job):
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        with warnings.catch_warnings(), caplog.at_level(logging.INFO):
            warnings.simplefilter("default")
            return train.main()

    return run
