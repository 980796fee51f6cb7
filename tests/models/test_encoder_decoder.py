"""The whole network: tying, and what a search sees of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.types import select
from tests.models.networks import V, decoder, encoder, network, real, row, table, tokens
from tests.nn.helpers import close

SRC, TGT = tokens(4, 2, 3), tokens(2, 5, 4, seed=1)


def test_padding_changes_nothing_from_end_to_end() -> None:
    built = network()
    outputs = built(SRC, TGT).outputs
    longer = built(tokens(4, 2, 3, longest=8), tokens(2, 5, 4, longest=9, seed=1)).outputs
    close(real(longer, TGT), real(outputs, TGT))
    for number in range(3):
        close(built(row(SRC, number), row(TGT, number)).outputs[0], outputs[number, : TGT.lengths[number]])


@pytest.mark.parametrize(("tying", "tables"), [("none", 3), ("decoder", 2), ("all", 1)])
def test_tying_leaves_one_tensor(tying: str, tables: int) -> None:
    built = network(tying=tying, readout_dim=4)
    weights = [built.encoder.embedding.weight, built.decoder.embedding.weight, built.decoder.output.weight]
    assert len({id(weight) for weight in weights}) == tables
    assert len({weight.data_ptr() for weight in weights}) == tables
    assert sum(parameter.shape == (V, 4) for parameter in built.parameters()) == tables
    outputs = built.logits(built(SRC, TGT).outputs)
    outputs.square().sum().backward()
    before = [weight.detach().clone() for weight in weights]
    torch.optim.SGD(built.parameters(), lr=0.1).step()
    assert all((weight != old).any() for weight, old in zip(weights, before))
    if tying == "all":
        assert torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("tying", "options", "message"),
    [
        ("al", {}, r"tying='al': did you mean 'all'\?"),
        ("decoder", {"readout_dim": 5}, "tying=decoder .* features differ: embedding_dim=4, readout_dim=5; make them"),
        ("all", {"readout_dim": 5}, "tying=all .* features differ: embedding_dim=4, readout_dim=5; make them equal"),
        ("all", {"source": (V + 1, 4)}, r"the source's is \[12, 4\] and the target's \[11, 4\]: use a joint tokenizer"),
        ("all", {"source": (V, 3)}, r"the source's is \[11, 3\] and the target's \[11, 4\]: .* or tying=decoder"),
        ("all", {"source": None}, r"the source's is none and the target's \[11, 4\]"),
    ],
)
def test_refuses_tables_that_cannot_be_one(tying: str, options: dict[str, Any], message: str) -> None:
    source = options.pop("source", (V, 4))
    read = encoder(embedding=table(*source) if source else None)
    if source is None:
        del read.embedding
    with pytest.raises(ConfigError, match=message):
        EncoderDecoder(encoder=read, decoder=partial(decoder, **{"readout_dim": 4, **options}), tying=tying)


def test_a_step_gives_the_log_probabilities_of_teacher_forcing() -> None:
    built = network()
    expected = built.logits(built(SRC, TGT).outputs).log_softmax(-1)
    step, state = built.begin(built.encode(SRC))
    for t in range(5):
        log_probs, state = step(TGT.values[:, t], state)
        close(log_probs, expected[:, t])
        close(log_probs.exp().sum(1), torch.ones(3))


def test_keeping_some_inputs_changes_nothing_for_them() -> None:
    built, rows = network(attention="coverage"), torch.tensor([0, 2])
    step, state = built.begin(built.encode(SRC), coverage=True)
    _, state = step(TGT.values[:, 0], state)
    after, later = step(TGT.values[:, 1], state)
    kept, state = step.keep(rows), select(state, rows)
    log_probs, state = kept(TGT.values[rows, 1], state)
    close((log_probs, kept.coverage(state)), (after[rows], step.coverage(later)[rows]))


def test_coverage_sums_attention_and_counts_padding_as_covered() -> None:
    built = network()
    weights = built(SRC, TGT).attention
    memory = built.encode(SRC)
    step, state = built.begin(memory, coverage=True)
    state = select(state, torch.tensor([0, 0, 1, 1, 2, 2]))
    for t in range(2):
        _, state = step(TGT.values[:, t].repeat_interleave(2), state)
    expected = weights[:, :2].sum(1).masked_fill(~memory.mask, 1.0)
    close(step.coverage(state), expected.repeat_interleave(2, 0))


def test_coverage_is_refused_where_there_is_none() -> None:
    built = network(attention="none")
    with pytest.raises(ConfigError, match="a coverage penalty needs a model with attention: set it to 0"):
        built.begin(built.encode(SRC), coverage=True)
    step, state = built.begin(built.encode(SRC))
    with pytest.raises(ValueError, match="begun without coverage"):
        step.coverage(state)
