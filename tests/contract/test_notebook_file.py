"""The notebook is stored without outputs, and explains every field of a training job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import botocore.session
import nbformat
import pytest
from botocore.model import ListShape, StructureShape

NOTEBOOK = nbformat.read(
    Path(__file__).parents[2] / "notebooks/handwritten_digits.ipynb", as_version=4
)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def test_no_cell_has_an_output_or_a_number() -> None:
    # Times, names and keys of a run would change with every commit, and say nothing.
    for cell in CODE:
        assert not cell.outputs, cell.source
        assert cell.execution_count is None, cell.source
    assert set(NOTEBOOK.metadata) == {"kernelspec", "language_info"}


def test_nothing_but_the_parameters_decides_where_it_runs() -> None:
    tagged = [cell for cell in CODE if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert "ON_AWS = False" in tagged[0].source
    for cell in CODE:
        assert "4566" not in cell.source or cell is tagged[0]


def fields() -> list[tuple[str, str]]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    members: dict[str, Any] = dict(model.operation_model("CreateTrainingJob").input_shape.members)
    found = [("request", name) for name in members]
    for parent in ("AlgorithmSpecification", "InputDataConfig", "OutputDataConfig"):
        found += parts_of(parent, members[parent])
    for parent in ("ResourceConfig", "StoppingCondition"):
        found += parts_of(parent, members[parent])
    return found


def parts_of(parent: str, shape: Any) -> list[tuple[str, str]]:
    of = shape.member if isinstance(shape, ListShape) else shape
    assert isinstance(of, StructureShape)
    return [(parent, name) for name in of.members]


@pytest.mark.parametrize(("parent", "name"), fields())
def test_a_field_of_create_training_job_is_explained(parent: str, name: str) -> None:
    used = "\n".join(cell.source for cell in CODE)
    explained = re.search(rf"`(\w+\.)?{name}`", TEXT) is not None
    if parent == "request":
        assert explained, name
    else:
        assert explained or f'"{name}"' in used, f"{parent}.{name}"


def test_links_and_sections_of_the_notebook_exist() -> None:
    folder = Path(__file__).parents[2] / "notebooks"
    for target in re.findall(r"\]\(((?!https?:|#)[^)#]+)", TEXT):
        assert (folder / target).exists(), target
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings}
    for target in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert target.lower() in anchors, target
