"""The page about AWS and the probes of the verification have the same open questions."""

from __future__ import annotations

import re

from tests.support.template import ROOT
from tests.verify.probes import PROBES

PAGE = (ROOT / "docs/aws-assumptions.md").read_text()


def test_every_open_question_has_a_probe_and_every_probe_is_an_open_question() -> None:
    section = PAGE.partition("## Open questions")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == {
        probe.name for probe in PROBES
    }
