"""The example of a preparation of one's own: examples/deskew."""

from __future__ import annotations

import gzip
import pickle
import sys
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.model_settings import parse_settings

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[3] / "examples" / "deskew" / "deskew.py"
SIDE = 28


@pytest.fixture(scope="module")
def deskew() -> ModuleType:
    specification = util.spec_from_file_location("deskew", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def stroke(slant: float) -> np.ndarray:
    """Return a thick stroke that leans by `slant` columns a row."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.abs(columns - 12 - slant * (rows - 14))
    image: np.ndarray = np.clip(255 * (2 - distance), 0, 255)
    image[(rows < 5) | (rows > 22)] = 0
    return image


def lean(image: np.ndarray) -> float:
    """Return by how many columns a row the image leans."""
    rows, columns = np.nonzero(image)
    return float(np.polyfit(rows, columns, 1, w=image[rows, columns])[0])


@pytest.mark.parametrize("slant", [-0.5, -0.2, 0.3, 0.6])
def test_a_slanted_stroke_becomes_upright_and_comes_to_the_middle(
    deskew: ModuleType, slant: float
) -> None:
    assert abs(lean(stroke(slant))) > 0.15
    straight = deskew.deskewed(stroke(slant))
    assert abs(lean(straight)) < 0.05
    assert straight.sum(axis=0) @ np.arange(SIDE) / straight.sum() == pytest.approx(13.5, abs=0.1)


def test_a_blank_image_and_one_of_a_single_line_stay_as_they_are(deskew: ModuleType) -> None:
    line = np.zeros((SIDE, SIDE))
    line[4, 3:9] = 200
    for image in (np.zeros((SIDE, SIDE)), line):
        assert (deskew.deskewed(image) == image).all()


def run(deskew: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["deskew.py", *map(str, arguments)])
    deskew.main()


@pytest.mark.parametrize(
    ("has_header", "label"), [(False, ["7"]), (False, []), (True, ["7"]), (False, ["-1"])]
)
def test_labels_and_header_are_kept_if_there_are_any(
    deskew: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    has_header: bool,
    label: list[str],
) -> None:
    names = ",".join([*(["digit"] if label else []), *(f"x{index}" for index in range(SIDE**2))])
    row = ",".join([*label, *(f"{cell:.0f}" for cell in stroke(0.5).ravel())])
    source, target = tmp_path / "rows.csv", tmp_path / "straight.csv"
    source.write_text((names + "\n" if has_header else "") + row + "\n" + row + "\n")
    run(deskew, monkeypatch, source, target)
    lines = target.read_text().splitlines()
    if has_header:
        assert lines.pop(0) == names
    assert len(lines) == 2
    cells = [float(cell) for cell in lines[0].split(",")]
    assert cells[: len(label)] == [float(text) for text in label]
    assert abs(lean(np.array(cells[len(label) :]).reshape(SIDE, SIDE))) < 0.05


def test_rows_that_are_no_square_image_are_refused(
    deskew: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(SystemExit, match="3 columns"):
        run(deskew, monkeypatch, source, tmp_path / "straight.csv")


@pytest.mark.parametrize(
    ("edge", "direction"), [("right", 0), ("bottom", 2), ("left", 4), ("top", 6)]
)
def test_an_edge_counts_for_the_direction_in_which_it_gets_darker(
    deskew: ModuleType, edge: str, direction: int
) -> None:
    image = np.zeros((SIDE, SIDE))
    half = slice(SIDE // 2, None) if edge in ("right", "bottom") else slice(0, SIDE // 2)
    image[(slice(None), half) if edge in ("right", "left") else half] = 255
    strengths = deskew.directions_of(image.reshape(1, -1)).reshape(8, 7, 7)
    assert strengths.sum(axis=(1, 2)).argmax() == direction
    assert strengths[direction, 3, 3] > 10


def test_the_directions_of_an_image_do_not_depend_on_other_images(deskew: ModuleType) -> None:
    images = np.stack([stroke(slant).ravel() for slant in (-0.5, 0.0, 0.5)])
    alone = deskew.directions_of(images[1:2])
    assert (deskew.directions_of(images)[1] == alone[0]).all()


def test_directions_replace_the_pixels_if_they_are_asked_for(
    deskew: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, target = tmp_path / "rows.csv", tmp_path / "directions.csv"
    source.write_text(",".join(["7", *(f"{cell:.0f}" for cell in stroke(0.5).ravel())]) + "\n")
    run(deskew, monkeypatch, "--directions", source, target)
    (line,) = target.read_text().splitlines()
    assert line.startswith("7,")
    assert len(line.split(",")) == 1 + 8 * 7 * 7


def test_the_splits_of_a_pickle_become_folders(
    deskew: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.stack([stroke(0.3).ravel(), stroke(-0.3).ravel()]).astype(np.float32) / 255
    source, folder = tmp_path / "mnist.pkl.gz", tmp_path / "prepared"
    source.write_bytes(gzip.compress(pickle.dumps([(pixels, np.array([1, 7]))] * 3)))
    run(deskew, monkeypatch, "--directions", source, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["test", "train", "validation"]
    names, one, seven = (folder / "train" / "images.csv").read_text().splitlines()
    assert names.startswith("label,x0,")
    assert (one[:2], seven[:2]) == ("1,", "7,")


def test_the_settings_of_the_example_are_valid() -> None:
    settings = parse_settings((SCRIPT.parent / "model.toml").read_text())
    assert settings.data.label == "label"
    assert settings.training.hyperparameters["min_child_weight"] == 0.1
