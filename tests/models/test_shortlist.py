"""Shortlists: all tokens change nothing, neighbours change nothing, and nothing else comes out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from seq2seq.models.inference import for_inference
from seq2seq.models.shortlist import MULTIPLE, Shortlist
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import NoLengthPenalty
from seq2seq.types import Hypothesis, Padded, select
from tests.models.networks import network, row, tokens
from tests.models.test_inference import BOS, EOS, KINDS
from tests.nn.helpers import close

V = 300
"""More than ``MULTIPLE``"""
SRC = tokens(4, 2, 3, size=V)
LIMITS = Limits(max_ratio=2.0, max_extra=3)
ALL = Shortlist(torch.arange(V), torch.zeros(V, 1, dtype=torch.int64), V)


def some() -> Shortlist:
    """Six tokens of every source token's own, and four for all."""
    likely = torch.randint(0, V, (V, 6), generator=torch.Generator().manual_seed(5))
    return Shortlist(torch.tensor([BOS, EOS, 7, 8]), likely, V)


def built(precision: str, *, listed: bool = True) -> Any:
    return for_inference(network(size=V).eval(), precision, listed=listed)


def search(size: int, coverage_penalty: float = 0.0) -> BeamSearch:
    parts = {"length_penalty": NoLengthPenalty(), "coverage_penalty": coverage_penalty}
    return BeamSearch(limits=LIMITS, beam_size=size, n_best=size, **parts)


def decoded(
    model: Any, src: Padded, shortlist: Shortlist | None, how: Any, *, coverage: bool = False
) -> list[list[Hypothesis]]:
    with torch.inference_mode():
        step, state = model.begin(model.encode(src), coverage=coverage)
        if shortlist is None:
            return how(step, state, bos_id=BOS, eos_id=EOS, src_lengths=src.lengths)
        listed = shortlist.bind(step, src)
        ids = {"bos_id": listed.place(BOS), "eos_id": listed.place(EOS)}
        return listed.named(how(listed, state, **ids, src_lengths=src.lengths))


def same(found: list[list[Hypothesis]], expected: list[list[Hypothesis]]) -> None:
    assert [[each.tokens for each in best] for best in found] == [[each.tokens for each in best] for best in expected]
    for ours, theirs in zip(found, expected):
        assert [each.score for each in ours] == pytest.approx([each.score for each in theirs], abs=1e-4)


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("coverage_penalty", [0.0, 0.4])
def test_a_list_of_all_tokens_changes_nothing(precision: str, coverage_penalty: float) -> None:
    model, how = built(precision), search(4, coverage_penalty)
    coverage = coverage_penalty > 0
    expected = decoded(model, SRC, None, how, coverage=coverage)
    same(decoded(model, SRC, ALL, how, coverage=coverage), expected)


@pytest.mark.parametrize("precision", KINDS)
def test_a_source_has_its_own_list_whatever_its_neighbours(precision: str) -> None:
    model, shortlist = built(precision), some()
    found = decoded(model, SRC, shortlist, search(3))
    for number, hypotheses in enumerate(found):
        alone = row(SRC, number)
        same([hypotheses], decoded(model, alone, shortlist, search(3)))
        own = {BOS, EOS, 7, 8, *shortlist.likely[alone.values].flatten().tolist()}
        assert all(set(hypothesis.tokens) <= own for hypothesis in hypotheses)
    assert found != decoded(model, SRC, None, search(3))


def test_a_beam_of_one_is_greedy() -> None:
    model = built("fp32")
    same(decoded(model, SRC, some(), search(1)), decoded(model, SRC, some(), Greedy(limits=LIMITS)))


@torch.inference_mode()
def test_a_step_gives_the_log_probabilities_of_the_list() -> None:
    """Also for several hypotheses of a source, and after one has left the batch."""
    model, shortlist = network(size=V).eval(), some()
    step, state = model.begin(model.encode(SRC))
    listed = shortlist.bind(step, SRC).keep(torch.tensor([0, 2]))
    step, state = step.keep(torch.tensor([0, 2])), select(state, torch.tensor([0, 0, 2, 2]))
    words = torch.tensor([BOS, EOS, 7, 8])
    given, _ = listed(torch.tensor([listed.place(int(word)) for word in words]), state)
    logits = model.logits(step.advance(words, state)[0])
    lists = shortlist.lists(SRC)[[0, 0, 2, 2]]
    expected = logits.masked_fill(~lists, -torch.inf).log_softmax(-1)
    close(given.exp().sum(1), torch.ones(4))
    assert given.shape[1] % MULTIPLE == 0
    for scores, target in zip(given, expected):
        possible = scores > -torch.inf
        names = listed.tokens[possible]
        assert names.tolist() == (target > -torch.inf).nonzero().flatten().tolist()
        close(scores[possible], target[names])
