"""A language model: steps equal whole texts, padding changes nothing, and a search begins where a prompt ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.language_model import LanguageModel
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.recurrent import Recurrent
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import NoLengthPenalty
from seq2seq.types import Padded, select
from tests.nn.helpers import shaken

V, D, EOS = 9, 6, 3


def model(cell: str = "lstm", layers: int = 2, hidden: int = D, tying: str = "none", **options: Any) -> LanguageModel:
    torch.manual_seed(1)
    stack: dict[str, Any] = {
        "cell": cell,
        "hidden_dim": hidden,
        "num_layers": layers,
        "bidirectional": False,
        "residual": False,
        "dropout": 0.0,
        "variational_dropout": 0.0,
        **options,
    }
    embedding = Embedding(vocab_size=V, embedding_dim=D, dropout=0.0)
    return shaken(
        LanguageModel(embedding=embedding, recurrent=partial(Recurrent, **stack), dropout=0.3, tying=tying).eval()
    )


def texts(*lengths: int) -> Padded:
    values = torch.randint(4, V, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(2))
    return Padded(values, torch.tensor(lengths))


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("tying", ["none", "decoder"])
@torch.no_grad()
def test_unroll_equals_looping_step(cell: str, tying: str) -> None:
    net, tokens = model(cell, tying=tying), texts(5, 5, 5)
    outputs, layers = net.unroll(tokens)
    step, state = net.begin(Padded(tokens.values[:, :1], torch.ones(3, dtype=torch.int64)))
    for t in range(5):
        log_probs, state = step(tokens.values[:, t], state)
        torch.testing.assert_close(log_probs, net.logits(outputs[:, t]).log_softmax(-1))
    torch.testing.assert_close(state.layers, layers)


@torch.no_grad()
def test_a_text_in_two_parts_equals_one() -> None:
    net, tokens = model(), texts(7, 7)
    whole, end = net.unroll(tokens)
    first, state = net.unroll(Padded(tokens.values[:, :3], torch.tensor([3, 3])))
    second, last = net.unroll(Padded(tokens.values[:, 3:], torch.tensor([4, 4])), state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    """Law 1, of readouts, of states and of where prompts end."""
    net, tokens = model(), texts(2, 6, 1)
    outputs, layers = net.unroll(tokens)
    _, state = net.begin(tokens)
    longer = Padded(torch.cat([tokens.values, torch.full((3, 4), 7)], dim=1), tokens.lengths)
    torch.testing.assert_close(net.begin(longer)[1], state)
    for row, length in enumerate(tokens.lengths.tolist()):
        alone = Padded(tokens.values[row : row + 1, :length], tokens.lengths[row : row + 1])
        one, own = net.unroll(alone)
        torch.testing.assert_close(one[0], outputs[row, :length])
        torch.testing.assert_close(own, select(layers, torch.tensor([row])))
        torch.testing.assert_close(net.begin(alone)[1], select(state, torch.tensor([row])))


def test_searches_go_on_from_the_last_token_of_each_prompt() -> None:
    net, prompts = model(hidden=D), texts(2, 5, 3)
    limits = Limits(max_ratio=0.0, max_extra=6)
    step, state = net.begin(prompts)
    given = {"bos_id": EOS, "eos_id": EOS, "src_lengths": prompts.lengths}
    greedy = Greedy(limits=limits)(step, state, **given)
    beams = {
        size: BeamSearch(limits=limits, beam_size=size, length_penalty=NoLengthPenalty())(step, state, **given)
        for size in (1, 4)
    }
    assert beams[1] == greedy
    for found in (greedy, beams[4]):
        for row, ((best, *_), length) in enumerate(zip(found, prompts.lengths.tolist())):
            tokens = torch.cat([prompts.values[row, :length], torch.tensor(best.tokens)])
            with torch.no_grad():
                outputs, _ = net.unroll(Padded(tokens[None, :-1], torch.tensor([len(tokens) - 1])))
                log_probs = net.logits(outputs[0, length - 1 :]).log_softmax(-1)
            forced = log_probs.gather(1, tokens[length:, None]).sum()
            assert best.log_prob == pytest.approx(float(forced), abs=1e-4)
    assert any(len(best.tokens) > 2 for (best, *_) in greedy)


@torch.no_grad()
def test_other_tokens_may_end_a_text_as_eos_does() -> None:
    net, prompts = model(), texts(2, 4)
    step, state = net.begin(prompts)
    plain, _ = step(prompts.values[:, 0], state)
    ends = torch.zeros(V, dtype=torch.bool)
    ends[[5, 7]] = True
    ending, _ = step.until(ends, EOS)(prompts.values[:, 0], state)
    torch.testing.assert_close(ending[:, EOS].exp(), plain[:, [EOS, 5, 7]].exp().sum(1))
    torch.testing.assert_close(ending.exp().sum(1), torch.ones(2))
    assert (ending[:, [5, 7]] == -torch.inf).all()


def test_dropout_is_that_of_training_alone() -> None:
    net, tokens = model(variational_dropout=0.4, layers=1), texts(4, 4)
    torch.testing.assert_close(net.unroll(tokens)[0], net.unroll(tokens)[0])
    net.train()
    assert not torch.equal(net.unroll(tokens)[0], net.unroll(tokens)[0])


def test_what_cannot_be_built() -> None:
    with pytest.raises(ConfigError, match="tying='all': known are: decoder, none"):
        model(tying="all")
    with pytest.raises(ConfigError, match=r"embedding_dim=6, hidden_dim=5; make them equal"):
        model(hidden=5, tying="decoder")
    with pytest.raises(ConfigError, match="cannot read from both ends"):
        model(bidirectional=True)


def test_tying_shares_one_table() -> None:
    net = model(tying="decoder")
    assert net.output.weight is net.embedding.weight


def test_there_is_no_coverage() -> None:
    step, state = model().begin(texts(1))
    with pytest.raises(ValueError, match="attends to nothing"):
        step.coverage(state)
