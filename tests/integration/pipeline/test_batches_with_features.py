"""The rows of a batch get the predictions of another model before they are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import EvaluationIncomplete
from refit.domain.feature_source import FeatureSource
from refit.domain.inferences.feature_inputs import with_added_features
from refit.domain.naming import BatchKeys
from refit.domain.schema import Schema
from refit.handlers import prepare_batch
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT
from tests.support.feature_models import SEGMENTS, put_version
from tests.support.versions import promote_version

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

FILE = b"a,b,c\n1,2,3\n4,5,6\n7,x,9\n10,11,12\n"
OWN = Schema.model_validate(
    {
        "task": "regression",
        "label": "y",
        "features": [{"name": name, "type": "number"} for name in "abc"],
    }
)


@pytest.fixture
def keys(stack: Stack) -> BatchKeys:
    """A batch of digits, whose version 1 reads version 3 of segments."""
    put_version("segments", 3)
    source = FeatureSource(model="segments", version=3, run="run3", columns=2)
    put_version("digits", 1, with_added_features(OWN, source, SEGMENTS))
    stack.put("digits/model.toml", "[data]\nmax_bad_fraction = 0.5\n")
    version = stack.put("digits/batch/in/rows.csv", FILE)
    services().batches.begin("digits", "0123456789ab", "rows.csv", version)
    return BatchKeys("digits", "0123456789ab")


def prepare(keys: BatchKeys, **more: Any) -> dict[str, Any]:
    return prepare_batch.handler({"model": keys.model, "batch": keys.batch} | more, CONTEXT)


def test_the_pinned_version_is_asked_first_and_its_answers_are_appended(
    stack: Stack, keys: BatchKeys
) -> None:
    plan = prepare(keys)
    assert plan["asks_another_model"]
    assert plan["model_request"]["ModelName"] == plan["stem"] == "refit-digits-0123456789ab-f-batch"
    assert plan["model_request"]["Containers"] == [{"ModelPackageName": "arn:package/3"}]
    assert stack.read(keys.features_part(0)) == b"3,1\n6,4\n12,10\n"
    stack.put(keys.features_part_output(0), "0.25\n0.5\n0.75\n")
    put_version("segments", 4)
    promote_version("digits", 1, "run1")
    plan = prepare(keys, is_answered=True)
    assert not plan["asks_another_model"]
    assert plan["stem"] == "refit-digits-0123456789ab-batch"
    assert stack.read(keys.part(0)) == b"1,2,3,0.75,0.25\n4,5,6,0.5,0.5\n10,11,12,0.25,0.75\n"
    assert stack.get(keys.prepared)["refused"] == 1


@pytest.mark.parametrize(
    ("lines", "reason"), [("0.5\n", "fewer answers"), ("0.5\n" * 4, "more answers")]
)
def test_answers_that_do_not_match_the_rows_are_refused(
    stack: Stack, keys: BatchKeys, lines: str, reason: str
) -> None:
    prepare(keys)
    stack.put(keys.features_part_output(0), lines)
    with pytest.raises(EvaluationIncomplete, match=reason):
        prepare(keys, is_answered=True)
