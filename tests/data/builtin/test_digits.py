"""Generated digits."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq.data.builtin.digits import Digits, drawn
from seq2seq.errors import ConfigError


def test_pictures_are_drawn_from_their_description_alone_and_no_part_shares_one() -> None:
    parts = {part: list(Digits(part=part, size=200, seed=1)) for part in ("train", "valid", "test")}
    sources = [example.src for examples in parts.values() for example in examples]
    assert len(set(sources)) == 600 and {example.tgt for example in parts["test"]} == set("0123456789")
    first = parts["train"][0]
    assert first.src.startswith(f"digit:{first.tgt};") and np.array_equal(drawn(first.src), drawn(first.src))
    assert (
        list(Digits(part="train", size=200, seed=1)) == parts["train"] != list(Digits(part="train", size=200, seed=2))
    )


def test_digits_look_like_themselves_and_not_like_others() -> None:
    means = {digit: np.mean([drawn(f"digit:{digit};{seed}") for seed in range(40)], 0) for digit in range(10)}
    hits = 0
    for digit in range(10):
        for seed in range(100, 110):
            picture = drawn(f"digit:{digit};{seed}").astype(float)
            likeness = {other: np.corrcoef(picture.ravel(), mean.ravel())[0, 1] for other, mean in means.items()}
            hits += max(likeness, key=likeness.__getitem__) == digit
    assert 50 <= hits <= 97, "neither nonsense nor to be told by comparing with a mean"


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="part='tests' of the built-in digits"):
        Digits(part="tests", size=1, seed=1)
    with pytest.raises(ConfigError, match="size=0"):
        Digits(part="test", size=0, seed=1)
