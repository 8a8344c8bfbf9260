"""The parts of the demo: its digits, the traffic, the report, the picture, and the clean-up."""

from __future__ import annotations

import csv
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from refit_cli.commands.demo import print_console, what_is_live
from refit_cli.demo import picture
from refit_cli.demo.data import Digits, held_out_digits, write_digits
from refit_cli.demo.report import DemoReport, EvidencePoint, Exam, TimelineEntry
from refit_cli.demo.traffic import Traffic, TrafficCall

from tests.support.cli import API_KEYS, API_URL, BUCKET


def test_the_digits_are_written_label_first_without_those_of_traffic_and_exam(tmp_path):
    live = write_digits(tmp_path / "digits.csv")
    with (tmp_path / "digits.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:2] == ["digit", "pixel_0_0"]
    assert (len(rows), len(live.traffic), len(live.exam)) == (900, 597, 300)
    assert {row[0] for row in rows} == set(live.exam.labels) == set("0123456789")
    assert live.exam.side == 8
    dropped = {tuple(row[1:]) for row in rows}
    exam = {tuple(cells) for cells in live.exam.cells()}
    assert not dropped & (exam | {tuple(cells) for cells in live.traffic.cells()})
    assert not exam & {tuple(cells) for cells in live.traffic.cells()}


def test_traffic_and_exam_are_the_same_digits_each_time(tmp_path):
    one, other = write_digits(tmp_path / "a.csv"), write_digits(tmp_path / "b.csv")
    assert (one.exam.images == other.exam.images).all()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_rotated_digit_is_another_image_in_the_same_units_with_the_same_label(tmp_path):
    exam = write_digits(tmp_path / "digits.csv").exam
    rotated = exam.rotated()
    assert rotated.labels == exam.labels
    assert np.mean(rotated.images != exam.images) > 0.3
    assert set(np.unique(rotated.images)) <= set(range(17))


def test_the_rows_that_a_run_held_out_are_read_with_their_original_labels(stack):
    schema = {
        "task": "classification",
        "label": "label",
        "features": [{"name": "f0", "type": "number"}, {"name": "f1", "type": "number"}],
        "classes": ["seven", "nine"],
    }
    stack.put("m/runs/r1/schema.json", schema)
    stack.put("m/runs/r1/test/test.csv", "1,0.5,2\n0,3,\n1,4,4\n")
    live = held_out_digits(stack.s3, BUCKET, "m", "r1")
    assert live.traffic.cells() == [["0.5", "2"], ["3", "0"]]
    assert live.traffic.labels + live.exam.labels == ("nine", "seven", "nine")


class FakeApi:
    """Answers `7` to everything; version 1."""

    def predict(self, table):
        for row in table.rows:
            answer = {"inferenceId": f"i{row.number}", "prediction": "7"}
            yield SimpleNamespace(row=row.number, model_version=1, answer=answer)


class FakeLabels:
    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []

    def send(self, records):
        self.records += records


def test_the_traffic_sends_the_label_of_each_prediction_a_little_later():
    labels = FakeLabels()
    digits = Digits(np.zeros((4, 64)), ("7", "7", "1", "7"))
    deadline = time.monotonic() + 10
    traffic = Traffic(FakeApi(), labels, digits, is_rotated=True, pause_s=0.01, label_delay_s=0.02)
    with traffic:
        while len(traffic.rotated_label_times) < 60 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(traffic.rotated_label_times) == len(labels.records) >= 60
    assert {record["label"] for record in labels.records} == {"1", "7"}
    asked = sum(call.rows for call in traffic.calls)
    assert 0.5 < sum(call.correct for call in traffic.calls) / asked < 1
    assert all(call.is_rotated for call in traffic.calls)


def test_the_error_that_stops_the_traffic_is_raised():
    def refused(table):
        raise OSError("no answer")

    digits = Digits(np.zeros((1, 64)), ("7",))
    traffic = Traffic(SimpleNamespace(predict=refused), FakeLabels(), digits)
    with pytest.raises(OSError, match="no answer"), traffic:
        pass


def exam_of(version: int, right: int) -> Exam:
    labels = tuple(str(index % 10) for index in range(50))
    answers = tuple(
        label if index < right else str((int(label) + 1) % 10) for index, label in enumerate(labels)
    )
    return Exam(Digits(np.ones((50, 64)), labels), version, answers)


@pytest.fixture
def report() -> DemoReport:
    calls = [TrafficCall(second, second > 20, 1 + (second > 40), 20, 18) for second in range(60)]
    return DemoReport(
        before=exam_of(1, 48),
        drifted_old=exam_of(1, 20),
        drifted_new=exam_of(2, 45),
        upright_new=exam_of(2, 47),
        labels_until_detection=140,
        retrainings=1,
        timeline=[TimelineEntry(0, "traffic starts", ""), TimelineEntry(20, "images rotated", "")],
        evidence=[EvidencePoint(second, second / 10, 3.9) for second in range(60)],
        calls=calls,
        seconds={"total": 99.94},
    )


def test_the_report_gives_each_figure_with_its_number_of_rows(report):
    found = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert found["accuracy_before"]["value"] == 0.96
    assert found["accuracy_drifted_old"]["value"] == 0.4
    assert found["accuracy_drifted_new"]["value"] == 0.9
    assert {found[name]["n"] for name in found if name.startswith("accuracy_")} == {50}
    assert (found["labels_until_detection"], found["retrainings"]) == (140, 1)
    assert found["seconds"] == {"total": 99.9}


def test_the_picture_marks_wrong_answers_in_another_colour(tmp_path, report):
    path = tmp_path / "folder" / "demo.png"
    picture.save(path, report)
    with Image.open(path) as image:
        assert image.width >= 1200
        colours = {
            colour for _, colour in image.convert("RGB").getcolors(maxcolors=image.size[0] ** 2)
        }
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours


def test_a_file_that_is_no_mnist_pickle_is_rejected_before_a_stack_is_started(refit, tmp_path):
    other = tmp_path / "rows.csv"
    other.write_text("1,2\n")
    result = refit("demo", "--data", other)
    assert result.exit_code == 2
    assert "mnist.pkl.gz" in result.stderr
    assert refit("demo", "--data", tmp_path / "none.pkl.gz").exit_code == 2


def test_a_report_that_has_no_folder_is_rejected_before_a_stack_is_started(refit, tmp_path):
    result = refit("demo", "--report", tmp_path / "none" / "figures.json")
    assert result.exit_code == 2
    assert "no folder" in result.stderr


@pytest.mark.parametrize(("keep", "stopped"), [([], ["down"]), (["--keep"], [])])
def test_a_stack_that_the_demo_started_is_stopped_on_ctrl_c_unless_it_is_to_be_kept(
    refit, stack, clients, local_stacks, keep, stopped
):
    class InterruptedS3:
        def put_object(self, **request: object) -> None:
            raise KeyboardInterrupt

    clients["s3"] = InterruptedS3()
    result = refit("demo", *keep)
    assert result.exit_code == 130
    assert [call[0] for call in local_stacks.calls] == ["up", *stopped]
    goes_on = "its local stack is stopped" if stopped else "stop it with refit down"
    assert goes_on in result.stderr


def test_the_demo_ends_with_the_address_of_the_console_and_its_key(capsys):
    print_console(SimpleNamespace(api_url=API_URL, api_keys=API_KEYS))
    told = capsys.readouterr().err
    assert f"{API_URL}/" in told
    assert API_KEYS["operate"] in told


def test_the_end_of_the_demo_says_what_the_live_version_has_learned() -> None:
    assert what_is_live(2).startswith(
        "Version 2, which is live now, has learned upright digits and digits that are rotated by 25"
    )
