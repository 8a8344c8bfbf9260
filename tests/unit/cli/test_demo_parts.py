"""The demo's parts: which digits are kept back, what is drawn, and that it cleans up."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from cli_stack import BUCKET
from PIL import Image
from refit_cli import demo_picture, ground
from refit_cli.demo_data import held_out_of_run, write_digits
from refit_cli.demo_picture import AnsweredDigit, chosen


def answered(right: int, wrong: int) -> list[AnsweredDigit]:
    pixels = np.zeros(64)
    return [AnsweredDigit(pixels, "1", "1", 0.9)] * right + [
        AnsweredDigit(pixels, "1", "7", 0.5 + number / 100) for number in range(wrong)
    ]


def test_the_digits_are_written_label_first_and_none_of_the_kept_back_is_among_them(tmp_path):
    n_dropped, held_out = write_digits(tmp_path / "digits.csv")
    with (tmp_path / "digits.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:2] == ["digit", "pixel_0_0"]
    assert len(rows) == n_dropped == 1438
    assert len(held_out.rows) == len(held_out.labels) == 359
    assert {row[0] for row in rows} == set(held_out.labels) == set("0123456789")
    assert held_out.side == 8
    dropped = {tuple(row[1:]) for row in rows}
    assert not dropped & {tuple(row) for row in held_out.rows}


def test_the_same_digits_are_kept_back_each_time(tmp_path):
    assert write_digits(tmp_path / "a.csv") == write_digits(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_rows_a_run_held_out_come_back_with_the_labels_they_were_dropped_with(stack):
    schema = {
        "task": "classification",
        "label": "label",
        "features": [{"name": "f0", "type": "number"}, {"name": "f1", "type": "number"}],
        "classes": ["seven", "nine"],
    }
    stack.put("m/runs/r1/schema.json", schema)
    stack.put("m/runs/r1/test/test.csv", "1,0.5,2\n0,3,\n")
    held_out = held_out_of_run(stack.s3, BUCKET, "m", "r1")
    assert held_out.rows == [["0.5", "2"], ["3", ""]]
    assert held_out.labels == ["nine", "seven"]


def test_wrong_answers_are_shown_last_and_the_surest_first():
    shown = chosen(answered(right=100, wrong=3))
    assert len(shown) == demo_picture.COLUMNS * demo_picture.ROWS
    assert [digit.is_right for digit in shown[-4:]] == [True, False, False, False]
    assert [digit.probability for digit in shown[-3:]] == [0.52, 0.51, 0.5]


def test_many_wrong_answers_fill_one_row_and_no_more():
    shown = chosen(answered(right=100, wrong=50))
    assert sum(not digit.is_right for digit in shown) == demo_picture.COLUMNS


@pytest.mark.parametrize(("right", "wrong"), [(100, 5), (3, 0)])
def test_the_picture_marks_wrong_answers_in_another_colour(tmp_path, right, wrong):
    path = tmp_path / "folder" / "demo.png"
    demo_picture.save(path, answered(right, wrong), 8, "Title", "Subtitle")
    with Image.open(path) as image:
        assert image.width >= 1200
        colours = {
            colour for _, colour in image.convert("RGB").getcolors(maxcolors=image.size[0] ** 2)
        }
    blue, vermilion = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
    assert blue in colours
    assert (vermilion in colours) == (wrong > 0)


def test_a_file_that_is_no_mnist_pickle_is_refused_before_a_ground_is_started(refit, tmp_path):
    other = tmp_path / "rows.csv"
    other.write_text("1,2\n")
    result = refit("demo", "--data", other)
    assert result.exit_code == 2
    assert "mnist.pkl.gz" in result.stderr
    assert refit("demo", "--data", tmp_path / "none.pkl.gz").exit_code == 2


@pytest.mark.parametrize(("keep", "ended"), [([], ["down"]), (["--keep"], [])])
def test_a_ground_that_the_demo_started_is_ended_on_ctrl_c_unless_it_is_to_be_kept(
    refit, stack, monkeypatch, keep, ended
):
    asked = []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ground, "bring_up", lambda *_, **__: None)
    monkeypatch.setattr(ground, "bring_down", lambda *_, **__: asked.append("down"))
    monkeypatch.setattr("refit_cli.demo._round", interrupted)
    monkeypatch.setattr("refit_cli.connection._ground", lambda target: None)
    result = refit("demo", *keep)
    assert result.exit_code == 130
    assert asked == ended
