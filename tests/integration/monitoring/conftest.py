"""The pipeline's stack in moto: what watches a model stands in the same one."""

from __future__ import annotations

from tests.integration.monitoring.captured_digits import digits
from tests.integration.monitoring.labelled_flowers import flowers
from tests.support.aws_stack import stack

__all__ = ["digits", "flowers", "stack"]
