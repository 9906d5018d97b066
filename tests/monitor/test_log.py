"""A log that another program goes on writing."""

import json

import pytest

from tf_taintradar.monitor import AnswerLog, Monitor


@pytest.fixture
def log(tmp_path):
    log = AnswerLog(tmp_path / "answers.jsonl")
    yield log
    log.close()


def write(log, *documents, end="\n"):
    with log.path.open("a") as file:
        file.write("".join(json.dumps(document) + end for document in documents))


def test_what_is_added_is_read_once(log):
    assert list(log.read()) == []  # there is no file yet
    write(log, 1, {"a": [2]})
    assert list(log.read()) == [1, {"a": [2]}]
    assert list(log.read()) == []
    write(log, 3)
    assert list(log.read()) == [3]


def test_a_line_is_read_when_it_is_whole(log):
    write(log, [1, 2], end="")
    assert list(log.read()) == []
    write(log, end="")
    with log.path.open("a") as file:
        file.write("\n")
    assert list(log.read()) == [[1, 2]]


def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(log):
    write(log, 1)
    assert list(log.read()) == [1]
    write(log, 2)
    log.path.rename(log.path.with_suffix(".1"))
    assert list(log.read()) == [2]  # the new one is not there yet
    write(log, 3)
    assert list(log.read()) == [3]


def test_a_log_that_was_cut_is_read_from_its_beginning(log):
    write(log, "long enough", 1)
    assert len(list(log.read())) == 2
    log.path.write_text("")
    write(log, 2)
    assert list(log.read()) == [2]


def test_lines_that_are_no_json_are_counted(log, caplog):
    log.path.write_text("1\nhalf a line {\n\n2\n")
    assert list(log.read()) == [1, 2]
    assert log.n_bad == 2
    assert "no JSON" in caplog.text


def test_answers_arrive_at_the_monitor(log):
    rows = [
        {"score": 0.5, "is_adversarial": False},
        {"score": 7.0, "is_adversarial": True},
        {"score": float("nan"), "is_adversarial": True},
    ]
    for row in rows:
        log.append([row])
    log.append({"predictions": rows})
    monitor = Monitor(None, rate=0.1)
    for answers in log.read():
        monitor.observe(answers)
    found = monitor.report()
    assert (found.n_images, found.n_flagged, found.n_invalid) == (4, 2, 2)
    with pytest.raises(ValueError, match="`answers`"):
        log.append([{"label": 3}])
