"""Several processes write what one writes, and end with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from seq2seq import workers
from seq2seq.data.streams import Chunk
from tests.commands import command, mistake
from tests.conftest import Trained
from tests.test_entries import ENVIRONMENT, WEIRD, lines_of

OPTIONS = ["beam_size=2", "precision=fp32", "tokens=64"]
SMALL = "import runpy, sys; from seq2seq.data import streams; streams.MOST = 8; sys.argv[0] = 'predict'; "
"""Begins a process in which chunks are so small, for few tokens, that a short text is a long one."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.data.streams.MOST", 16)


@pytest.fixture
def text(trained: Trained, tmp_path: Path) -> Path:
    known = lines_of(trained.src.read_text(encoding="utf-8"))
    path = tmp_path / "long.de"
    path.write_bytes("".join(f"{line}\n" for line in (WEIRD + known) * 12).encode())
    return path


def predicted(trained: Trained, *arguments: str) -> str:
    """What the command prints."""
    result = command("predict", f"model={trained.run}", *OPTIONS, *arguments, cwd=trained.home)
    assert result.code == 0, result.err
    return result.out


def started(trained: Trained, *arguments: str, **options: object) -> subprocess.Popen[bytes]:
    """The command as a process of its own, with chunks of 8 lines."""
    words = [sys.executable, "-c", SMALL + "runpy.run_module('seq2seq.predict', run_name='__main__')"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT}
    return subprocess.Popen([*words, f"model={trained.run}", *OPTIONS, *arguments], **{**pipes, **options})  # type: ignore[call-overload,no-any-return]


def members(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # ended since
        if int(owner) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def late(chunk: Chunk) -> str:
    time.sleep(0.2 if chunk.first % 4 == 1 else 0)
    return f"{chunk.first} {os.getpid()}"


def dying(*arguments: object) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.usefixtures("small")
def test_two_write_what_one_writes(trained: Trained, text: Path, tmp_path: Path) -> None:
    alone = predicted(trained, f"input={text}", "workers=1", "threads=1")
    assert alone.count("\n") == text.read_bytes().count(b"\n") > 200
    assert predicted(trained, f"input={text}", "workers=2") == alone
    text.write_bytes(b"\n".join([*text.read_bytes().split(b"\n")[:24], b""]))
    outputs = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    for count, output in enumerate(outputs, start=1):
        maps = f"attention={output.with_suffix('')}"
        assert predicted(trained, f"input={text}", f"output={output}", f"workers={count}", "threads=1", maps) == ""
    one, two = ([json.loads(line) for line in lines_of(output.read_text(encoding="utf-8"))] for output in outputs)
    assert [record["source"] for record in one] == lines_of(text.read_bytes().decode())
    for a, b in zip(one, two, strict=True):
        best, other = a["hypotheses"][0], b["hypotheses"][0]
        assert (a["source"], best["tokens"]) == (b["source"], other["tokens"])
        assert best["score"] == pytest.approx(other["score"], abs=1e-4)
    pictures = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert pictures[0] == pictures[1]
    assert {int(name.partition(".")[0]) for name in pictures[0]} == {
        n for n, a in enumerate(one, 1) if a["source"].strip()
    }
    assert not list(tmp_path.glob("*.part*"))


def test_the_work_is_shared_and_its_order_kept_and_not_all_is_read_ahead() -> None:
    read = 0

    def chunks() -> Iterator[Chunk]:
        nonlocal read
        for first in range(1, 41):
            read += 1
            yield Chunk(first, ["x"] if first % 5 else [])

    seen = []
    for chunk, found in workers.in_order(late, chunks(), 2):
        assert found.split()[0] == str(chunk.first)
        assert read - chunk.first <= 2 * workers.AHEAD
        seen.append(found.split())
    assert [int(first) for first, _ in seen] == [n for n in range(1, 41) if n % 5]
    assert len({process for _, process in seen}) == 2


def test_one_that_dies_is_told(trained: Trained, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.workers.decode", dying)
    common = [f"model={trained.run}", f"input={text}", "workers=2"]
    for output in ("-", "out.en"):
        told = mistake("predict", *common, f"output={output}", cwd=tmp_path)
        assert "a worker process has ended before its time" in told and "fewer than workers=2" in told
    assert [path.name for path in tmp_path.iterdir()] == ["long.de"]
    with pytest.raises(BrokenProcessPool):
        list(workers.in_order(dying, iter([Chunk(1, ["x"])]), 1))


@pytest.mark.usefixtures("small")
def test_mistakes_are_told_as_by_one_process(trained: Trained, text: Path, tmp_path: Path) -> None:
    common = [f"model={trained.run}", "workers=2", "input=long.de", "tokens=64"]
    assert "beam_size=wide: expected a whole number" in mistake("predict", *common, "beam_size=wide", cwd=tmp_path)
    text.write_bytes(text.read_bytes() + b"na\xefve\n" * 2)
    line = text.read_bytes().count(b"\n") - 1
    for output in ("-", "out.en"):
        told = mistake("predict", *common, f"output={output}", cwd=tmp_path)
        assert f"long.de:{line} is not UTF-8" in told
        assert not (tmp_path / "out.en").exists()
    for wrong in ("0", "2.5", "many", "true"):
        told = mistake("predict", f"model={trained.run}", f"workers={wrong}", cwd=tmp_path)
        assert "expected a whole number of 1 or more, or auto" in told


@pytest.mark.usefixtures("small")
def test_by_itself_it_starts_processes_for_long_texts_only(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def in_order(work: object, chunks: Iterator[Chunk], count: int) -> Iterator[tuple[Chunk, str]]:
        for chunk in chunks:
            asked.append(count)
            yield chunk, "\n" * len(chunk.lines)

    monkeypatch.setattr(workers, "in_order", in_order)
    monkeypatch.setattr(workers, "cores", lambda: 6)
    source = tmp_path / "a.de"
    for lines, threads, processes, chunks in ((16, "null", 6, 0), (17, "null", 6, 2), (40, "2", 3, 3), (40, "4", 1, 0)):
        source.write_text("Er\n" * lines, encoding="utf-8")
        out = predicted(trained, f"input={source}", f"threads={threads}", "device=cpu")
        assert out.count("\n") == lines
        assert asked == [processes] * chunks
        asked.clear()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "6")
    predicted(trained, f"input={source}", "device=cpu", "threads=1")
    assert asked == []
    assert workers.cores() == 6


def test_it_uses_no_more_cores_than_it_may() -> None:
    may = len(os.sched_getaffinity(0))
    assert 1 <= workers.cores() <= may
    kept = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(kept)})
        assert workers.cores() == 1
    finally:
        os.sched_setaffinity(0, kept)


@pytest.mark.slow
def test_a_pipe_is_answered_by_several_and_ctrl_c_ends_them_all(trained: Trained) -> None:
    process = started(trained, "workers=2", start_new_session=True)
    assert process.stdin and process.stdout and process.stderr
    with process:
        for count in (1, 20):  # a full chunk, too, and nothing after it
            process.stdin.write(b"Er\n" * count)
            process.stdin.flush()
            assert all(process.stdout.readline().strip() for _ in range(count))
        assert len(members(process.pid)) >= 4
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""
    limit = time.monotonic() + 30
    while members(process.pid):
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.mark.slow
def test_nobody_is_left_when_it_is_killed_and_the_same_command_goes_on(
    trained: Trained, text: Path, tmp_path: Path
) -> None:
    whole = predicted(trained, f"input={text}", "workers=1", "threads=1", "tokens=20")
    output = tmp_path / "out.en"
    parts = tmp_path / "out.en.parts"
    arguments = [f"input={text}", f"output={output}", "threads=1", "tokens=20"]
    for count in (2, 1):
        done = len(list(parts.glob("*.txt")))
        process = started(trained, *arguments, f"workers={count}", start_new_session=True)
        with process:
            limit = time.monotonic() + 120
            while len(list(parts.glob("*.txt"))) <= done:
                assert process.poll() is None and time.monotonic() < limit
                time.sleep(0.01)
            process.kill()
        while members(process.pid):
            assert time.monotonic() < limit
            time.sleep(0.1)
    assert not output.exists() and len(list(parts.glob("*.txt"))) >= 2
    told = mistake("predict", f"model={trained.run}", "beam_size=1", *arguments, cwd=tmp_path)
    assert "begun with beam_size 2, not 1" in told and "remove that folder" in told
    # As torchrun starts them.
    environments = [{**ENVIRONMENT, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} for rank in (0, 1)]
    several = [started(trained, *arguments, "workers=auto", env={**e, "LOCAL_WORLD_SIZE": "2"}) for e in environments]
    told_by = [process.communicate(timeout=120)[1].decode() for process in several]
    assert [process.returncode for process in several] == [0, 0], told_by
    assert "going on beside the" in told_by[0] and told_by[1] == ""
    assert output.read_text(encoding="utf-8") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.de", "out.en"]


@pytest.mark.slow
def test_two_as_torchrun_starts_them_share_a_text(trained: Trained, text: Path, tmp_path: Path) -> None:
    environments = [{**ENVIRONMENT, "RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2"} for rank in (0, 1)]
    arguments = [f"input={text}", "output=out.en", "workers=1", "threads=1"]
    several = [started(trained, *arguments, env=environment, cwd=tmp_path) for environment in environments]
    told = [process.communicate(timeout=120)[1] for process in several]
    assert [process.returncode for process in several] == [0, 0], told
    assert told[0] == b"" or b"going on beside" in told[0]  # where the other one was quicker
    assert told[1] == b""
    assert (tmp_path / "out.en").read_text(encoding="utf-8") == predicted(trained, f"input={text}", "workers=1")
    alone = started(trained, f"input={text}", env=environments[1])
    assert b"need input=FILE and output=FILE" in alone.communicate(timeout=120)[1] and alone.returncode == 1
