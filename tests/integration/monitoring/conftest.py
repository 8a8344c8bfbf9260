"""The pipeline's stack in moto: what watches a model stands in the same one."""

from __future__ import annotations

from tests.integration.pipeline.conftest import stack

__all__ = ["stack"]
