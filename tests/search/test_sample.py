"""Sampling, against transition tables whose distribution over outputs is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import ConfigError, UserError
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.sample import Sample, truncated
from seq2seq.types import Hypothesis
from tests.search.tables import BOS, EOS, Table, brute_force, first_order, forced, whole_history

VOCAB, LONGEST, MANY = 4, 4, 4000
LIMITS = Limits(max_ratio=0.0, max_extra=LONGEST)
Model = Callable[[int, tuple[int, ...]], Tensor]


def sample(model: Model, inputs: int = 2, lengths: list[int] | None = None, **options: Any) -> list[list[Hypothesis]]:
    settings: dict[str, Any] = {
        "limits": LIMITS,
        "samples": MANY,
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "seed": 1,
    }
    table = Table(model, list(range(inputs)))
    given = torch.tensor(lengths or [3] * inputs)
    return Sample(**{**settings, **options})(table, table.start(), bos_id=BOS, eos_id=EOS, src_lengths=given)


def free(model: Model, i: int, tokens: list[int]) -> float:
    """The probability of drawing an output: at the longest length its eos is no choice."""
    drawn = tokens if len(tokens) < LONGEST else tokens[:-1]
    return float(torch.tensor(forced(model, i, drawn)).exp())


def agrees(found: list[Hypothesis], expected: dict[tuple[int, ...], float]) -> None:
    """Frequencies lie within four standard deviations of the probabilities."""
    assert sum(expected.values()) == pytest.approx(1, abs=1e-4)
    counts = Counter(tuple(hypothesis.tokens) for hypothesis in found)
    assert counts.keys() <= {tokens for tokens, probability in expected.items() if probability > 0}
    for tokens, probability in expected.items():
        spread = (MANY * probability * (1 - probability)) ** 0.5
        assert abs(counts[tokens] - MANY * probability) <= 4 * spread + 1, tokens


@pytest.mark.parametrize("model", [first_order(VOCAB, 1, 2), whole_history(VOCAB, 5)])
def test_outputs_are_as_frequent_as_they_are_probable(model: Model) -> None:
    for i, found in enumerate(sample(model)):
        outputs = brute_force(model, i, vocab=VOCAB, longest=LONGEST, shortest=1, score=lambda p, _: p)
        agrees(found, {tuple(tokens): free(model, i, tokens) for tokens, _ in outputs})


def test_temperature_and_truncation_shape_every_step() -> None:
    model = first_order(VOCAB, 2, 2)

    def shaped(i: int, prefix: tuple[int, ...]) -> Tensor:
        probs = truncated((model(i, prefix) / 0.7).softmax(0)[None], top_k=3, top_p=0.9)[0]
        return (probs / probs.sum()).log()

    for i, found in enumerate(sample(model, temperature=0.7, top_k=3, top_p=0.9)):
        outputs = brute_force(shaped, i, vocab=VOCAB, longest=LONGEST, shortest=1, score=lambda p, _: p)
        agrees(found, {tuple(tokens): free(shaped, i, tokens) for tokens, _ in outputs})


def test_truncation_by_hand() -> None:
    probs = torch.tensor([[0.1, 0.4, 0.3, 0.2]])
    assert truncated(probs, top_k=None, top_p=None) is probs
    assert truncated(probs, top_k=2, top_p=None).tolist() == [pytest.approx([0, 0.4, 0.3, 0])]
    assert truncated(probs, top_k=None, top_p=0.65).tolist() == [pytest.approx([0, 0.4, 0.3, 0])]
    assert truncated(probs, top_k=None, top_p=0.75).tolist() == [pytest.approx([0, 0.4, 0.3, 0.2])]
    assert truncated(probs, top_k=1, top_p=0.9).tolist() == [pytest.approx([0, 0.4, 0, 0])]
    assert truncated(probs, top_k=9, top_p=1e-6).tolist() == [pytest.approx([0, 0.4, 0, 0])]


def test_a_log_probability_is_that_of_forced_decoding_and_the_likeliest_is_first() -> None:
    model = whole_history(VOCAB, 3)
    for i, found in enumerate(sample(model, samples=20, temperature=1.5)):
        for hypothesis in found:
            assert (
                hypothesis.log_prob == hypothesis.score == pytest.approx(forced(model, i, hypothesis.tokens), rel=1e-5)
            )
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_one_token_to_draw_from_is_greedy() -> None:
    model = whole_history(VOCAB, 7)
    table = Table(model, list(range(5)))
    greedy = Greedy(limits=LIMITS)(table, table.start(), bos_id=BOS, eos_id=EOS, src_lengths=torch.full((5,), 3))
    for options in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-3}):
        found = sample(model, inputs=5, samples=2, **options)
        assert [[h.tokens for h in each] for each in found] == [[h.tokens for h in each] * 2 for each in greedy]


def test_lengths_are_kept_by_inputs_that_leave_at_different_times() -> None:
    limits = Limits(max_ratio=1.0, max_extra=0, min_ratio=0.5)
    lengths = [2, 12, 4, 7, 1, 3, 9, 5]
    for length, found in zip(lengths, sample(whole_history(VOCAB, 1), 8, lengths, limits=limits, samples=30)):
        assert len(found) == 30
        for hypothesis in found:
            assert -(-length // 2) <= len(hypothesis.tokens) <= length
            assert hypothesis.tokens.index(EOS) == len(hypothesis.tokens) - 1


def test_a_seed_gives_the_same_again_and_torch_s_own_numbers_go_on() -> None:
    model = whole_history(VOCAB, 4)
    assert sample(model, samples=20) == sample(model, samples=20) != sample(model, samples=20, seed=2)
    torch.manual_seed(5)
    first, second = sample(model, samples=20, seed=None), sample(model, samples=20, seed=None)
    assert first != second
    torch.manual_seed(5)
    assert sample(model, samples=20, seed=None) == first


def test_what_is_not_a_number_is_told() -> None:
    with pytest.raises(UserError, match="NaN"):
        sample(lambda i, prefix: torch.full((VOCAB,), torch.nan), samples=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.1}, "top_p=1.1"),
    ],
)
def test_impossible_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sample(whole_history(VOCAB, 1), **options)
