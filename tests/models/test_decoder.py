"""The decoder: law 1 and law 2 for every combination of its parts, and what each part does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.models.decoder import Decoder, Unrolled
from seq2seq.nn.cells import CELLS
from seq2seq.types import Memory, Padded, select
from tests.models.networks import (
    ATTENTIONS,
    DEPTHS,
    D,
    combinations,
    decoder,
    possible,
    real,
    row,
    stack,
    table,
    tokens,
)
from tests.nn.helpers import close, gradients, random

SRC = tokens(4, 2, 3)
TGT = tokens(2, 5, 4, seed=1)


def memory(cell: str = "gru", longest: int = 4) -> Memory:
    """A memory of SRC's lengths, whose padding is loud."""
    values = torch.cat([random(3, 4, D), 100 * random(3, longest - 4, D)], 1)
    values = values.where(Padded(values, SRC.lengths).mask.unsqueeze(2), 100.0)
    parts = 2 if cell == "lstm" else 1
    summary = tuple(tuple(random(3, D, seed=5 + part) for part in range(parts)) for _ in range(2))
    return Memory(values, Padded(values, SRC.lengths).mask, summary)


def looped(built: Decoder, tgt: Padded, source: Memory) -> Unrolled:
    """The plain twin of ``unroll``."""
    keys = built.prepare(source)
    state, steps = built.start(source, keys), []
    for fed in tgt.values.unbind(1):
        output, attention, state = built.step(fed, state, keys)
        steps.append((output, attention))
    outputs, attentions = zip(*steps)
    return Unrolled(torch.stack(outputs, 1), None if attentions[0] is None else torch.stack(attentions, 1))


PAIRS = [(cell, kind) for cell in CELLS for kind in (ATTENTIONS if cell in ("lstm", "gru", "elman") else ["general"])]


@pytest.mark.parametrize(("cell", "attention"), PAIRS)
def test_unroll_equals_looping_step_and_padding_changes_nothing(cell: str, attention: str) -> None:
    """Every order, input feeding, bridge, depth and residual."""
    for options in combinations():
        if not possible(attention, options):
            continue
        built = decoder(cell=cell, attention=attention, **options)
        outputs, weights = built.unroll(TGT, memory(cell))
        plain = looped(built, TGT, memory(cell))
        close(real(outputs, TGT), real(plain.outputs, TGT))
        parameters = list(built.parameters())
        weight = random(*outputs.shape, seed=3) * TGT.mask.unsqueeze(2)
        close(
            gradients((outputs * weight).sum(), parameters), gradients((plain.outputs * weight).sum(), parameters), 1e-3
        )
        with torch.no_grad():
            longer = built.unroll(tokens(2, 5, 4, longest=7, seed=1), memory(cell, longest=6))
            alone = built.unroll(
                row(TGT, 1),
                Memory(*(part[1:2, :2] for part in memory(cell)[:2]), select(memory(cell).summary, torch.tensor([1]))),
            )
        close(real(longer.outputs, TGT), real(outputs, TGT))
        close(alone.outputs[0], outputs[1])
        assert (weights is None) == (attention == "none")
        if weights is not None:
            assert plain.attention is not None and alone.attention is not None and longer.attention is not None
            close(real(weights, TGT), real(plain.attention, TGT))
            close(alone.attention[0], weights[1, :, :2])
            close(longer.attention[1, :5, :4], weights[1])
            assert (longer.attention[..., 4:] == 0).all()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_hypotheses_of_one_input_share_its_memory(attention: str) -> None:
    """A beam of two equals two batches of one."""
    for options in combinations():
        if options["bridge"] != "projected" or options["depth"] != DEPTHS[0] or not possible(attention, options):
            continue
        built = decoder(attention=attention, **options)
        keys = built.prepare(memory())
        start = built.start(memory(), keys)
        both = select(start, torch.tensor([0, 0, 1, 1, 2, 2]))
        ones = [start, start]
        for t in range(3):
            fed = [tokens(1, 1, 1, seed=2 * t + k).values[:, 0] for k in range(2)]
            output, weights, both = built.step(torch.stack(fed, 1).flatten(), both, keys)
            for k in range(2):
                single, single_weights, ones[k] = built.step(fed[k], ones[k], keys)
                close(output[k::2], single)
                if weights is not None:
                    close(weights[k::2], single_weights)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("feed", [False, True])
def test_targets_of_one_input_share_its_memory(attention: str, feed: bool) -> None:
    """Two targets of each input give what they give beside a copy of its memory each."""
    built, owners = decoder(attention=attention, input_feed=feed), torch.tensor([0, 0, 1, 1, 2, 2])
    targets = tokens(2, 5, 4, 1, 3, 5, seed=1)
    shared, tiled = built.unroll(targets, memory()), built.unroll(targets, select(memory(), owners))
    close(real(shared.outputs, targets), real(tiled.outputs, targets))
    if shared.attention is not None:
        close(real(shared.attention, targets), real(tiled.attention, targets))


def test_luong_attends_with_the_new_state_and_feeds_its_readout_back() -> None:
    """Luong et al. 2015, eq. 5 and section 3.3."""
    built, source = decoder(attention="dot", cell="elman"), memory()
    outputs, weights = built.unroll(TGT, source)
    (cell,) = built.recurrent.layers[0]
    hidden, readout = torch.tanh(built.bridge.projections[0](source.summary[0][0])), torch.zeros(3, 5)
    for t in range(5):
        inside = built.embedding.weight[TGT.values[:, t]] @ cell.input.weight.T + cell.input.bias
        hidden = torch.tanh(inside + hidden @ cell.recurrent.weight.T + readout @ cell.feedback.weight.T)
        context, attention = attended(hidden, source)
        readout = torch.tanh(torch.cat([hidden, context], 1) @ built.readout.weight.T)
        close((outputs[:, t], weights[:, t]), (readout, attention))
    close(built.logits(readout), readout @ built.output.weight.T + built.output.bias)


def test_bahdanau_attends_with_the_old_top_state_and_feeds_the_context_to_the_first_layer() -> None:
    """Bahdanau et al. 2015, section 3.1."""
    built = decoder(attention="dot", cell="elman", order="bahdanau", input_feed=False, depth=(2, False))
    source = memory()
    outputs, weights = built.unroll(TGT, source)
    (lower,), (upper,) = built.recurrent.layers
    low, top = (torch.tanh(built.bridge.projections[layer](source.summary[layer][0])) for layer in range(2))
    for t in range(5):
        context, attention = attended(top, source)
        inside = built.embedding.weight[TGT.values[:, t]] @ lower.input.weight.T + lower.input.bias
        low = torch.tanh(inside + low @ lower.recurrent.weight.T + context @ lower.feedback.weight.T)
        top = torch.tanh(low @ upper.input.weight.T + upper.input.bias + top @ upper.recurrent.weight.T)
        readout = torch.tanh(torch.cat([top, context], 1) @ built.readout.weight.T)
        close((outputs[:, t], weights[:, t]), (readout, attention))


def attended(query: Tensor, source: Memory) -> tuple[Tensor, Tensor]:
    scores = torch.einsum("bd,bsd->bs", query, source.values).masked_fill(~source.mask, -torch.inf)
    return torch.einsum("bs,bsd->bd", scores.softmax(1), source.values), scores.softmax(1)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_only_what_feeds_back_is_looped(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("looped")

    monkeypatch.setattr(Decoder, "_advance", refuse)
    built = decoder(attention=attention, input_feed=False)
    assert built.feeds_back == (attention == "coverage")
    if not built.feeds_back:
        built.unroll(TGT, memory())
    if attention != "none":
        first = decoder(attention=attention, input_feed=False, order="bahdanau")
        assert first.feeds_back == (attention != "mean"), "what is asked first is known from the start"
        if not first.feeds_back:
            first.unroll(TGT, memory())


@pytest.mark.parametrize("attention", ["none", "general", "coverage"])
def test_fed_with_gold_tokens_scheduled_sampling_is_teacher_forcing(attention: str) -> None:
    built = decoder(attention=attention, input_feed=attention == "general")
    offered: list[Tensor] = []

    def gold(tokens: Tensor, logits: Tensor) -> Tensor:
        offered.append(logits)
        return tokens

    sampled, forced = built.unroll(TGT, memory(), gold), built.unroll(TGT, memory())
    close(sampled.outputs, forced.outputs)
    close(torch.stack(offered, 1), built.logits(forced.outputs)[:, :-1])


def test_scheduled_sampling_feeds_what_is_chosen() -> None:
    built, chosen = decoder(), tokens(5, 5, 5, seed=7)
    rest = iter(chosen.values[:, 1:].unbind(1))
    given = built.unroll(Padded(chosen.values[:, :1].expand(-1, 5), TGT.lengths), memory(), lambda *_: next(rest))
    close(given.outputs, built.unroll(chosen, memory()).outputs)


def test_variational_dropout_of_the_embedding_is_drawn_once_for_sampled_sequences_too() -> None:
    """A decoder whose readout shows its embedding: its other weights are zero."""
    built = decoder(attention="none", cell="elman", bridge="zero", input_feed=False,
                    embedding=table(variational_dropout=0.5))  # fmt: skip
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.zero_()
        built.embedding.weight.fill_(1.0)
        (cell,) = built.recurrent.layers[0]
        cell.input.weight[:4, :4] = torch.eye(4)
        built.readout.weight[:4, :4] = torch.eye(4)
    torch.manual_seed(0)
    built.train()
    for outputs in (built.unroll(TGT, memory(), lambda gold, _: gold).outputs, built.unroll(TGT, memory()).outputs):
        assert (outputs == outputs[:, :1]).all()
        assert 0 < (outputs[..., :4] == 0).float().mean() < 1


def test_dropout_of_the_readout_is_off_in_evaluation() -> None:
    built = decoder(dropout=0.5, input_feed=False)
    assert torch.equal(built.unroll(TGT, memory()).outputs, built.unroll(TGT, memory()).outputs)
    dropped = built.train().unroll(TGT, memory()).outputs
    assert 0.2 < (dropped == 0).float().mean() < 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "loung"}, r"order='loung': did you mean 'luong'\?"),
        ({"order": "bahdanau", "attention": "none"}, "Bahdanau's order feeds a context .* choose an attention"),
        ({"dropout": 1.0}, "dropout=1.0: expected the share that is dropped"),
        ({"recurrent": stack(cell="gru", depth=(1, False), hidden_dim=3, bidirectional=True), "input_feed": False},
         "a decoder cannot read from both ends.*bidirectional=false"),
        ({"recurrent": stack(cell="gru", depth=(1, False), hidden_dim=3, bidirectional=True)},
         "a bidirectional stack cannot be fed back"),
        ({"attention": "dot", "memory_dim": 8}, "decoder states and memory of one size, not 6 and 8"),
        ({"bridge": "last", "summary_dim": 8}, "the last bridge hands the encoder's state of 8 features to .* 6"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        decoder(**options)
