"""Series, cut by time: nothing of a later part is in an earlier one."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seq2seq.data.builtin.waves import Sines, Waves
from seq2seq.data.datasets import open_dataset
from seq2seq.data.fields import Fields
from seq2seq.data.numbers import NumbersField
from seq2seq.data.recast import Following
from seq2seq.data.series import Cut, Series
from seq2seq.errors import ConfigError, DataError

ROWS = [f'"{1950 + number}",{number},{10 * number}' for number in range(20)]


def cut(part: str, *, window: int = 4, horizon: int = 2, every: int = 1, valid: int = 5, test: int = 5) -> Cut:
    return Cut(part=part, window=window, horizon=horizon, every=every, valid=valid, test=test)


def series(
    folder: Path, part: str, *, rows: list[str] | None = None, columns: tuple[str, ...] = ("A",), **how: int
) -> Series:
    (folder / "series.csv").write_text("\n".join(['"Year","A","B"', *(ROWS if rows is None else rows)]) + "\n", "utf-8")
    return Series(path=folder / "series.csv", columns=columns, cut=cut(part, **how))


def test_each_part_foretells_its_own_steps_only(tmp_path: Path) -> None:
    told = {}
    for part in ("train", "valid", "test"):
        told[part] = [tuple(map(int, example.tgt.split(" "))) for example in series(tmp_path, part)]
    assert told["train"] == [(4, 5), (5, 6), (6, 7), (7, 8), (8, 9)]
    assert told["valid"][0] == (10, 11) and told["valid"][-1] == (13, 14)
    assert told["test"][0] == (15, 16) and told["test"][-1] == (18, 19)
    first = next(iter(series(tmp_path, "test")))
    assert first.src == "11 12 13 14" and first.where == "series.csv, step 16", "a window is what was known by then"
    assert [each.tgt for each in series(tmp_path, "valid", every=3)] == ["10 11", "13 14"]


def test_no_scale_is_learned_from_what_comes_later(tmp_path: Path) -> None:
    field = NumbersField(scale="both")
    field.learn(series(tmp_path, "train"))
    later = [*ROWS[:10], *(f'"{year}",1e6,1e6' for year in range(10))]
    other = NumbersField(scale="both")
    other.learn(series(tmp_path, "train", rows=later))
    assert other.fingerprint() == field.fingerprint()


def test_several_series_at_once(tmp_path: Path) -> None:
    example = next(iter(series(tmp_path, "train", columns=("B", "A"))))
    assert example.src == "0,0 10,1 20,2 30,3" and example.tgt == "40,4 50,5"


@pytest.mark.parametrize(("text", "what"), [("", "nothing"), ("NaN", "'NaN'"), ("?", "'\\?'"), ("inf", "'inf'")])
def test_a_gap_is_told(tmp_path: Path, text: str, what: str) -> None:
    rows = [*ROWS[:7], f'"1957",{text},70', *ROWS[8:]]
    with pytest.raises(DataError, match=rf"series.csv:9: {what} stands where A should have a number: fill the gap"):
        list(series(tmp_path, "train", rows=rows))
    with pytest.raises(DataError, match=r"series.csv:9: nothing stands where B"):
        list(series(tmp_path, "train", rows=[*ROWS[:7], '"1957",7', *ROWS[8:]], columns=("B",)))


def test_too_few_points_and_too_long_windows_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the train part has 10 of 20 steps, too few for a window of 30 and 2"):
        list(series(tmp_path, "train", window=30))
    with pytest.raises(DataError, match=r"the test part has 1 of 20 steps, too few"):
        list(series(tmp_path, "test", test=1))
    with pytest.raises(DataError, match=r"the train part has 0 of 3 steps"):
        list(series(tmp_path, "train", rows=ROWS[:3]))
    with pytest.raises(DataError, match=r"series.csv:1: has no column 'C'"):
        list(series(tmp_path, "train", columns=("C",)))
    with pytest.raises(DataError, match=r"series.csv:4: has 4 columns where the first line names 3"):
        list(series(tmp_path, "train", rows=[*ROWS[:2], "1,2,5,6", *ROWS[3:]]))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match=r"empty.csv: is empty: expected a line that names its columns"):
        list(Series(path=tmp_path / "empty.csv", columns=["A"], cut=cut("train")))
    with pytest.raises(ConfigError, match="part='tests'"):
        cut("tests")
    with pytest.raises(ConfigError, match="window=0"):
        cut("test", window=0)


def test_sines_are_what_they_are_called() -> None:
    options = {"size": 300, "period": 25.0, "seed": 1}
    quiet = list(Sines(noise=0.0, cut=cut("train", window=50, valid=50, test=50), **options))  # type: ignore[arg-type]
    noisy = list(Sines(noise=0.2, cut=cut("train", window=50, valid=50, test=50), **options))  # type: ignore[arg-type]
    first = np.array([[float(each) for each in step.split(",")] for step in quiet[0].src.split(" ")])
    assert first[:25, 0] == pytest.approx(first[25:, 0], abs=1e-3) and abs(first[:25, 1] - first[25:, 1]).max() > 0.5
    assert noisy[0].src != quiet[0].src and len(noisy) == len(quiet) == 149


def test_waves_go_on_where_the_window_before_ended() -> None:
    examples = list(Waves(part="train", size=6, length=3, window=5, step=0.4))
    sines, cosines = (
        [float(number) for example in examples[:3] for number in getattr(example, side).split(" ")]
        for side in ("src", "tgt")
    )
    angles = [math.atan2(sine, cosine) for sine, cosine in zip(sines, cosines)]
    assert [(after - before) % (2 * math.pi) for before, after in pairwise(angles)] == pytest.approx(
        [0.4] * 14, abs=1e-3
    )
    assert float(examples[3].src.split(" ")[0]) != pytest.approx(math.sin(angles[-1] + 0.4), abs=1e-2), "another wave"
    with pytest.raises(ConfigError, match="length=0"):
        Waves(part="train", size=6, length=0, window=5, step=0.4)


def test_examples_that_follow_each_other_say_so(tmp_path: Path) -> None:
    field = NumbersField(scale="own")
    waves = Waves(part="train", size=7, length=3, window=5, step=0.4)
    field.learn(waves)
    options = {"filters": None, "name": "waves", "say": print}
    data = open_dataset(Following(reader=waves, every=3), Fields(field, field), tmp_path, **options)  # type: ignore[arg-type]
    assert data.batch(range(7)).follows == [None, 0, 1, None, 3, 4, None]
    whole = open_dataset(Following(reader=waves, every=None), Fields(field, field), tmp_path, **options)  # type: ignore[arg-type]
    assert whole.batch([0, 3, 6]).follows == [None, 2, 5]
    plain = open_dataset(waves, Fields(field, field), tmp_path, **options)  # type: ignore[arg-type]
    assert plain.batch([1]).follows is None
    with pytest.raises(ConfigError, match="every=0"):
        Following(reader=waves, every=0)
