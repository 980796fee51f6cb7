"""Numbers as text: what comes back, what is learned, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.data.numbers import NumbersField
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build
from seq2seq.types import Example


def learned(*raws: str, scale: str = "own", other: str = "") -> NumbersField:
    field = NumbersField(scale=scale)
    field.learn(Example(raw, other, f"file:{number}") for number, raw in enumerate(raws, start=1))
    return field


def test_numbers_are_standardised_by_what_was_learned_and_come_back(tmp_path: Path) -> None:
    field = learned("1,1000 3,1010", "5,1020")
    assert field.size == 2 and field.means.tolist() == [3, 1010]
    assert field.encode("3,1010 5,1010")[0].tolist() == [0, 0]
    assert float(field.encode("5,1010")[0, 0]) == pytest.approx((3 / 2) ** 0.5)
    for raw in ("1,1000 3,1010", "2.5,1007", ""):
        assert field.decode(field.encode(raw)) == raw
    again = build(field.save(tmp_path, "src"), at="src", trusted=())
    assert again.fingerprint() == field.fingerprint()
    assert torch.equal(again.encode("4,1015"), field.encode("4,1015"))


def test_small_changes_on_a_high_level_are_not_lost() -> None:
    field = learned("1000000.001 1000000.002 1000000.003")
    assert field.encode("1000000.001 1000000.003").flatten().tolist() == pytest.approx([-1.2247, 1.2247], abs=1e-3)


def test_both_sides_may_share_a_scale_or_have_none() -> None:
    assert learned("1 3", scale="both", other="5 7").means.tolist() == [4]
    assert learned("1 3", scale="none").encode("1 3").flatten().tolist() == [1, 3]
    assert learned("5 5", "5").encode("5 6").flatten().tolist() == [0, 1], "what never changes has no deviation"


def test_a_batch_is_filled_up_with_zeros_and_has_a_step_at_least() -> None:
    field = learned("1 2 3", scale="none")
    batch = field.collate(field.encode_all(["4", "5 6", ""]))
    assert batch.values.squeeze(2).tolist() == [[4, 0], [5, 6], [0, 0]] and batch.lengths.tolist() == [1, 2, 0]
    assert field.collate(field.encode_all([""])).values.shape == (1, 1, 1)
    assert field.prepare(["1", ""], print) == [True, False] and field.is_empty(np.zeros((0, 1)))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("1,2 nan,4", r"step 2 .nan,4.: 'nan' stands where a number should"),
        ("1,2 3,inf", r"step 2 .3,inf.: 'inf' stands"),
        ("1,2 3,", r"step 2 .3,.: nothing stands where a number should"),
        ("1,two", r"'two' stands"),
        ("1,2 3", r"step 2 .3. has 1 numbers, but 2 are expected"),
        ("1,2,3", r"step 1 .1,2,3. has 3 numbers"),
    ],
)
def test_what_is_no_number_is_told_in_one_line(raw: str, told: str) -> None:
    field = learned("1,2 3,4")
    with pytest.raises(DataError, match=told) as caught:
        field.encode(raw)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="file:1: step"):
        learned(raw, "1,2") if "," in raw and raw != "1,2,3" else learned("1,2 3")


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="scale='mine'"):
        NumbersField(scale="mine")
    with pytest.raises(DataError, match="no number to learn from"):
        learned("", "")
