"""An output in parts is the output in one piece, whoever wrote them and however often it was begun."""

from __future__ import annotations

import gzip
import multiprocessing
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data.readers import read_lines
from seq2seq.errors import DataError
from seq2seq.parts import Parts, sizes


def shouted(lines: list[str]) -> str:
    return "".join(f"{line.upper()}\n" for line in lines)


def opened(folder: Path, lines: int = 4, **belongs: Any) -> Parts:
    return Parts(output=folder / "out", source=folder / "in", belongs=belongs, lines=lines)


def write(folder: Path, count: int, *, packed: bool = False) -> list[str]:
    draw = random.Random(count)
    lines = ["".join(draw.choice("aä🦖 \u2028") for _ in range(draw.randint(0, 9))) for _ in range(count)]
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / "in").write_bytes(gzip.compress(content) if packed else content)
    return lines


@pytest.mark.parametrize("count", [0, 1, 4, 5, 30])
def test_what_is_added_is_joined_in_order_and_nothing_else_stays(count: int, tmp_path: Path) -> None:
    lines = write(tmp_path, count, packed=count == 30)
    with opened(tmp_path) as parts:
        claimed = list(parts.claim())  # far ahead of what is done
        assert [chunk.first for chunk in claimed] == list(range(1, count + 1, 4))
        for chunk in claimed:
            parts.add(chunk, shouted(chunk.lines))
        assert parts.join() == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") == shouted(lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_goes_on_after_any_number_of_interruptions(tmp_path: Path) -> None:
    lines = write(tmp_path, 50)
    worked = 0
    for stop in (1, 2, 3, 99):
        with opened(tmp_path, lines=4 * stop) as parts:  # the first to begin decides
            for chunk in islice(parts.claim(), stop):
                assert len(chunk.lines) == min(4, 51 - chunk.first)
                parts.add(chunk, shouted(chunk.lines))
                worked += len(chunk.lines)
            if stop == 99:
                assert parts.join() == 0
    assert worked == 50
    assert (
        (tmp_path / "out").read_text(encoding="utf-8") == shouted(lines) == shouted(list(read_lines(tmp_path / "in")))
    )


def test_what_was_begun_otherwise_is_refused_and_kept(tmp_path: Path) -> None:
    write(tmp_path, 50)
    with opened(tmp_path, beam_size=5, model="a") as parts:
        chunk = next(parts.claim())
        parts.add(chunk, shouted(chunk.lines))
    for other in ({"beam_size": 1, "model": "a"}, {"beam_size": 5}):
        with pytest.raises(DataError, match=r"out\.parts: begun with (beam_size 5, not 1|model a, not None): .*remove"):
            opened(tmp_path, **other)
    with opened(tmp_path, beam_size=5, model="a") as parts:
        assert parts.found == 1
        assert next(parts.claim()).first == 5


def test_a_part_has_its_name_once_it_has_all_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.parts.SHARE", 2)
    assert list(islice(sizes(1), 9)) == [1, 1, 1, 1, 2, 3, 4, 6, 9]
    lines = write(tmp_path, 30)
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, lines=1) as parts:
        for chunk in parts.claim():
            if chunk.first == 8:
                raise KeyboardInterrupt  # in the midst of lines 7 to 9
            parts.add(chunk, shouted(chunk.lines))
    done = {int(path.stem): path.read_text(encoding="utf-8") for path in (tmp_path / "out.parts").glob("*.txt")}
    assert done == {n: shouted(lines[n - 1 : n + (n == 5)]) for n in (1, 2, 3, 4, 5)}
    assert not list((tmp_path / "out.parts").glob("*.part"))


def test_parts_that_were_taken_away_are_missed(tmp_path: Path) -> None:
    """Who came first has stopped and cleaned up, before who came second had anything to do."""
    write(tmp_path, 4)
    with opened(tmp_path) as first:
        assert len(list(first.claim())) == 1
        second = opened(tmp_path)
    assert list(second.claim()) == []
    with pytest.raises(DataError, match="was taken away before all was done; give the command again"), second:
        second.join()


def test_who_finds_nothing_to_do_leaves_what_others_work_on(tmp_path: Path) -> None:
    """Two processes share a text of one part: the second ends while the first has not written anything yet."""
    lines = write(tmp_path, 3)
    with opened(tmp_path) as parts:
        (chunk,) = parts.claim()
        context = multiprocessing.get_context("spawn")  # locks are those of a process
        other = context.Process(target=finds_nothing, args=(tmp_path,))
        other.start()
        other.join()
        assert other.exitcode == 0
        parts.add(chunk, shouted(chunk.lines))
        assert parts.join() == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") == shouted(lines)


def finds_nothing(folder: Path) -> None:
    with opened(folder) as parts:
        assert list(parts.claim()) == []
        assert parts.join() == 1


def test_nothing_is_left_where_nothing_came_of_it(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\nthr\xe9\n")
    with pytest.raises(DataError, match=r"in:3 is not UTF-8"), opened(tmp_path) as parts:
        list(parts.claim())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    with pytest.raises(DataError, match="cannot be written"):
        opened(tmp_path / "in")


def test_a_long_text_has_few_parts_and_none_of_them_much_of_it() -> None:
    total, parts = 0, 0
    for size in sizes(1024):
        assert 1024 <= size <= max(1024, total // 1000)
        total, parts = total + size, parts + 1
        if total > 10**9:
            break
    assert parts < 25_000
    assert list(islice(sizes(1024), 64)) == [1024] * 64
