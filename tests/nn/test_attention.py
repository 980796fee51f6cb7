"""Attention against hand computation, for steps, beams and whole targets alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.attention import Additive, Attention, Dot, General, MultiHead, masked_softmax
from seq2seq.types import Memory
from tests.nn.helpers import close, random, shaken

B, Q, S, D = 2, 3, 4, 6
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])
KINDS: dict[str, Callable[..., Attention]] = {
    "dot": partial(Dot, scaled=False),
    "scaled": partial(Dot, scaled=True),
    "general": General,
    "additive": partial(Additive, attention_dim=5, coverage=False),
    "coverage": partial(Additive, attention_dim=5, coverage=True),
    "multi_head": partial(MultiHead, num_heads=2),
}


def built(kind: str) -> Attention:
    return shaken(KINDS[kind](query_dim=D, memory_dim=D))


def memory(seed: int = 0, positions: int = S) -> Memory:
    mask = torch.cat([MASK, torch.zeros(B, positions - S, dtype=torch.bool)], 1)
    return Memory(torch.cat([random(B, S, D, seed=seed), 1e3 * random(B, positions - S, D, seed=7)], 1), mask, ())


def attend(attention: Attention, queries: Tensor, positions: int = S) -> tuple[Tensor, Tensor]:
    keys = attention.prepare(memory(positions=positions))
    context, weights, _ = attention(queries, keys, attention.start(keys, B * queries.shape[1]))
    return context, weights


SCORES: dict[str, Callable[..., Tensor]] = {
    "dot": lambda a, q, k: q @ k,
    "scaled": lambda a, q, k: q @ k / math.sqrt(D),
    "general": lambda a, q, k: q @ (a.key.weight @ k),
    "additive": lambda a, q, k: a.energy.weight[0] @ torch.tanh(a.query.weight @ q + a.key.weight @ k + a.key.bias),
}


@pytest.mark.parametrize("kind", SCORES)
def test_equals_its_equation(kind: str) -> None:
    attention, queries, values = built(kind), random(B, Q, D, seed=3), memory().values
    context, weights = attend(attention, queries)
    for b in range(B):
        real = int(MASK[b].sum())
        for q in range(Q):
            scores = torch.stack([SCORES[kind](attention, queries[b, q], values[b, s]) for s in range(real)])
            exponents = [math.exp(score) for score in scores.tolist()]
            expected = torch.tensor([e / sum(exponents) for e in exponents])
            close(weights[b, q, :real], expected)
            close(context[b, q], sum(expected[s] * values[b, s] for s in range(real)))
    assert (weights[1, :, 2:] == 0).all()


def test_heads_attend_apart_and_are_reported_by_their_mean() -> None:
    attention, queries, values = built("multi_head"), random(B, Q, D, seed=3), memory().values
    assert isinstance(attention, MultiHead)
    context, weights = attend(attention, queries)
    query, key, value = (
        linear(x).unflatten(2, (2, D // 2)).transpose(1, 2)
        for linear, x in ((attention.query, queries), (attention.key, values), (attention.value, values))
    )
    heads = F.scaled_dot_product_attention(query, key, value, attn_mask=MASK[:, None, None])
    close(context, attention.join(heads.transpose(1, 2).flatten(2)))
    scores = (query @ key.transpose(2, 3) / math.sqrt(D // 2)).masked_fill(~MASK[:, None, None], -torch.inf)
    close(weights, scores.softmax(-1).mean(1))


def test_coverage_is_what_all_earlier_steps_attended_to() -> None:
    """See et al. 2017, eq. 10 and 11."""
    attention = built("coverage")
    assert isinstance(attention, Additive) and attention.coverage is not None and attention.feeds_back
    keys, values = attention.prepare(memory()), memory().values
    state, received = attention.start(keys, B), torch.zeros(B, S)
    for t in range(3):
        query = random(B, 1, D, seed=10 + t)
        _, weights, state = attention(query, keys, state)
        inside = query @ attention.query.weight.T + values @ attention.key.weight.T + attention.key.bias
        inside = inside + received.unsqueeze(2) * attention.coverage.weight[:, 0]
        scores = (torch.tanh(inside) @ attention.energy.weight[0]).masked_fill(~MASK, -torch.inf)
        close(weights[:, 0], scores.softmax(-1))
        received = received + weights[:, 0]
        close(state, received)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_do_not_see_each_other(kind: str) -> None:
    """A beam's or a whole target's queries at once give what each gives as a step."""
    attention, queries = built(kind), random(B, Q, D, seed=3)
    together = attend(attention, queries)
    each = [attend(attention, queries[:, q : q + 1]) for q in range(Q)]
    close(together, tuple(torch.cat(parts, 1) for parts in zip(*each)))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_not_seen(kind: str) -> None:
    attention, queries = built(kind), random(B, Q, D, seed=3)
    context, weights = attend(attention, queries)
    longer, longer_weights = attend(attention, queries, S + 3)
    close((context, weights), (longer, longer_weights[..., :S]))
    assert (longer_weights[..., S:] == 0).all()
    close(weights.sum(-1), torch.ones(B, Q))


def test_softmax_is_computed_in_fp32_and_gives_padding_nothing() -> None:
    scores = torch.tensor([[[1.0, 2.0, 300.0]]], dtype=torch.bfloat16)
    weights = masked_softmax(scores, torch.tensor([[True, True, False]]))
    assert weights.dtype == torch.float32
    close(weights[0, 0], torch.tensor([1 / (1 + math.e), math.e / (1 + math.e), 0]))


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_casts_the_memory_once_and_learns_the_same(kind: str) -> None:
    attention, queries = built(kind), 0.3 * random(B, Q, D, seed=3)
    values = (0.3 * memory().values).requires_grad_()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            keys = attention.prepare(Memory(values, MASK, ()))
            assert {keys.keys.dtype, keys.values.dtype} == {torch.bfloat16 if enabled else torch.float32}
            context, _, _ = attention(queries, keys, attention.start(keys, B * Q))
        results.append((context.float(), *torch.autograd.grad(context.float().square().sum(), [values])))
    close(results[1], results[0], 0.05)


def test_refuses_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match=r"one size, not 6 and 8: set the decoder's hidden_dim .* or use general"):
        Dot(query_dim=6, memory_dim=8, scaled=True)
    for heads in (4, 0):
        with pytest.raises(ConfigError, match=f"num_heads={heads} does not divide the memory's 6 features"):
            MultiHead(query_dim=6, memory_dim=6, num_heads=heads)
