"""A run's lines, its bar, and the figures that it leaves."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from seq2seq.errors import TrainingError
from seq2seq.training import logging
from seq2seq.training.logging import RunLog


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def strftime(self, layout: str) -> str:
        return "2030-01-02 03:04:05"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(logging, "time", clock)
    return clock


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_plain_lines_give_means_speed_and_time_left(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with RunLog(folder=tmp_path, total=6, every=2, stream=out) as log:
        for update, loss in enumerate([4.0, 3.0, 2.0, 1.0], start=1):
            clock.now += 0.5
            log.update(update, {"loss": loss, "lr": 0.001 * update}, 1000)
    assert out.getvalue().splitlines() == [
        "update 2/6  loss 3.5  lr 0.002  2,000 tok/s  ETA 00:02",
        "update 4/6  loss 1.5  lr 0.004  2,000 tok/s  ETA 00:01",
    ]
    assert lines_of(tmp_path)[0] == {"update": 2, "split": "train", "loss": 3.5, "lr": 0.002, "tokens_per_second": 2000}
    assert (tmp_path / "train.log").read_text().splitlines()[0].startswith("2030-01-02 03:04:05  update 2/6  loss 3.5")
    assert list((tmp_path / "tensorboard").glob("*tfevents*"))


def test_the_last_update_is_told_and_a_resumed_run_estimates_from_its_own_pace(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with RunLog(folder=tmp_path, total=105, every=2, stream=out) as log:
        log.truncate(100)
        for update in range(101, 106):
            clock.now += 10
            log.update(update, {"loss": 1.0}, 50)
    assert out.getvalue().splitlines() == [
        "update 102/105  loss 1  5 tok/s  ETA 00:30",
        "update 104/105  loss 1  5 tok/s  ETA 00:10",
        "update 105/105  loss 1  5 tok/s  ETA 00:00",
    ]


def test_without_a_total_no_time_is_left(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with RunLog(folder=tmp_path, total=None, every=1, stream=out) as log:
        clock.now += 1
        log.update(1, {"loss": 2.0}, 10)
    assert out.getvalue() == "update 1  loss 2  10 tok/s\n"


def test_time_spent_aside_counts_in_the_time_left_but_not_in_the_speed(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with RunLog(folder=tmp_path, total=4, every=2, stream=out) as log:
        with log.aside("reading the data"):
            clock.now += 500
        clock.now += 1
        log.update(1, {"loss": 1.0}, 100)
        with log.aside("validating"):
            clock.now += 8
        clock.now += 1
        log.update(2, {"loss": 1.0}, 100)
    assert out.getvalue() == "update 2/4  loss 1  100 tok/s  ETA 00:10\n"


@pytest.mark.parametrize("total", [10, None])
def test_a_terminal_gets_a_bar_and_whole_lines(tmp_path: Path, clock: Clock, total: int | None) -> None:
    out = Terminal()
    with RunLog(folder=tmp_path, total=total, every=2, stream=out) as log:
        for update in range(1, 4):
            clock.now += 1
            log.update(update, {"loss": 2.0}, 7)
        log.say("two\nlines")
        with log.aside("validating"):
            pass
    shown = out.getvalue()
    assert "loss 2  7 tok/s" in shown
    assert "validating …" in shown
    assert ("%|" in shown) == (total is not None)
    # Before the lines the bar has been wiped: nothing but blanks stands left of them.
    before = shown[: shown.index("two\nlines\n")].rsplit("\n", 1)[-1]
    assert before.endswith("\r") and before.rsplit("\r", 2)[-2].strip() == ""
    assert "update 2" in (tmp_path / "train.log").read_text()


def test_what_is_said_is_kept(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    RunLog(folder=tmp_path / "deep" / "run", total=1, every=1, stream=out).say("Grüße, 世界")
    assert out.getvalue() == "Grüße, 世界\n"
    kept = (tmp_path / "deep" / "run" / "train.log").read_text(encoding="utf-8")
    assert kept == "2030-01-02 03:04:05  Grüße, 世界\n"


def test_figures_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with RunLog(folder=tmp_path, total=1, every=1, stream=io.StringIO()) as log:
        log.metrics(1, "valid", {"loss": float("nan"), "perplexity": float("inf"), "bleu": 12.5})
    assert lines_of(tmp_path) == [{"update": 1, "split": "valid", "loss": None, "perplexity": None, "bleu": 12.5}]


def test_figures_are_on_disk_before_the_run_ends(tmp_path: Path) -> None:
    log = RunLog(folder=tmp_path, total=1, every=1, stream=io.StringIO())
    log.metrics(1, "valid", {"loss": 1.0})
    assert lines_of(tmp_path) == [{"update": 1, "split": "valid", "loss": 1.0}]
    log.close()
    log.close()


def test_resuming_forgets_what_came_after(tmp_path: Path) -> None:
    with RunLog(folder=tmp_path, total=9, every=9, stream=io.StringIO()) as log:
        for update in (2, 4, 6):
            log.metrics(update, "valid", {"loss": 1.0 / update})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"update": 3, "split": "val')  # the process was killed in the middle of a line
    with RunLog(folder=tmp_path, total=9, every=9, stream=io.StringIO()) as log:
        log.truncate(4)
        log.metrics(5, "valid", {"loss": 0.2})
    assert [line["update"] for line in lines_of(tmp_path)] == [2, 4, 5]
    assert not list(tmp_path.glob("*.part"))


def test_outputs_are_kept_and_those_after_the_resumed_update_forgotten(tmp_path: Path) -> None:
    with RunLog(folder=tmp_path, total=9, every=9, stream=io.StringIO()) as log:
        for update in (2, 4, 6):
            log.output(update, "Haus", "house", f"said at {update}")
    with RunLog(folder=tmp_path, total=9, every=9, stream=io.StringIO()) as log:
        log.truncate(4)
        log.output(5, "Haus", "house", "anew")
    lines = [json.loads(line) for line in (tmp_path / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["output"] for line in lines] == ["said at 2", "said at 4", "anew"]
    assert lines[0] == {"update": 2, "source": "Haus", "reference": "house", "output": "said at 2"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=r"train\.log: cannot be written") as caught:
        RunLog(folder=tmp_path / "run", total=1, every=1, stream=io.StringIO()).say("hello")
    assert "\n" not in str(caught.value)


def test_every_is_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every is 0"):
        RunLog(folder=tmp_path, total=1, every=0)
