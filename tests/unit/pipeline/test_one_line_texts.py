"""A text becomes what a description field of SageMaker takes."""

from __future__ import annotations

import botocore.session
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.one_line import one_line

MODEL = botocore.session.get_session().get_service_model("sagemaker")
PATTERNS = {
    name: MODEL.shape_for(name).metadata["pattern"]
    for name in ("ApprovalDescription", "EntityDescription")
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@given(text=st.text())
def test_every_text_fits_the_fields_of_sagemaker(pattern: str, text: str) -> None:
    line = one_line(text, 1024)
    assert regex.fullmatch(pattern, line, regex.WORD)
    assert len(line.encode("utf-16-le")) // 2 <= 1024


@given(st.text(st.characters(categories=["L", "S"]), min_size=5), st.integers(2, 4))
def test_the_end_of_a_text_that_is_too_long_is_cut(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert text.startswith(line)
    assert limit - 1 <= len(line.encode("utf-16-le")) // 2 <= limit


def test_a_message_of_several_lines_keeps_its_words() -> None:
    message = "1 validation error\n  run\n\tField required\x1b[0m"
    assert one_line(message, 1024) == "1 validation error run Field required [0m"
