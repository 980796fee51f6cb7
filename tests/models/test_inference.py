"""A network made ready for use: what it computes is what it computed, and laws 1 to 3 hold in every precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.inference import for_inference
from seq2seq.nn import fused, int8
from seq2seq.nn.bf16 import Bf16Linear, Bf16Reader
from seq2seq.nn.bridge import FirstInput
from seq2seq.nn.cells import CELLS
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import NoLengthPenalty
from tests.models.networks import ATTENTIONS, BRIDGES, V, network, row, tokens
from tests.nn.helpers import close

SRC, TGT = tokens(4, 2, 3), tokens(2, 5, 4, seed=1)
BOS, EOS = 2, 3
ERRORS = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.05}
KINDS = [
    pytest.param(name, marks=pytest.mark.skipif(name == "int8" and not int8.available(), reason="no VNNI here"))
    for name in ERRORS
]


def ready(precision: str, **options: Any) -> Any:
    return for_inference(network(**options).eval(), precision)


def decoded(built: Any, src: Any, search: Any) -> list[Any]:
    with torch.inference_mode():
        step, state = built.begin(built.encode(src))
        return search(step, state, bos_id=BOS, eos_id=EOS, src_lengths=src.lengths)


def beam(size: int) -> BeamSearch:
    return BeamSearch(
        limits=Limits(max_ratio=2.0, max_extra=3), beam_size=size, n_best=size, length_penalty=NoLengthPenalty()
    )


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.inference_mode()
def test_equals_the_network_it_was(precision: str, cell: str, attention: str) -> None:
    options = {"cell": cell, "attention": attention}
    plain, fast = network(**options).eval(), ready(precision, **options)
    given = fast.logits(fast(SRC, TGT).outputs)[TGT.mask]
    expected = plain.logits(plain(SRC, TGT).outputs)[TGT.mask]
    assert (given - expected).norm() / expected.norm() < ERRORS[precision]


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("cell", CELLS)
@torch.inference_mode()
def test_every_cell_computes_in_every_precision(precision: str, cell: str) -> None:
    plain, fast = network(cell=cell).eval(), ready(precision, cell=cell)
    given, expected = (each.logits(each(SRC, TGT).outputs)[TGT.mask] for each in (fast, plain))
    assert (given - expected).norm() / expected.norm() < ERRORS[precision]
    assert all(type(module) is not torch.nn.Linear for module in fast.modules()) or precision == "fp32"


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("input_feed", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@torch.inference_mode()
def test_what_is_fed_before_bos_stays(precision: str, input_feed: bool, cell: str) -> None:
    options = {"cell": cell, "input_feed": input_feed, "first_input": FirstInput}
    plain, fast = network(**options).eval(), ready(precision, **options)
    given, expected = (each.logits(each(SRC, TGT).outputs)[TGT.mask] for each in (fast, plain))
    assert (given - expected).norm() / expected.norm() < ERRORS[precision]


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("bridge", BRIDGES)
@torch.inference_mode()
def test_a_first_state_may_have_any_size(precision: str, bridge: str) -> None:
    """A minGRU's state lies within no bounds, and ``last`` hands it on as it is."""
    plain, fast = (make(reads="min_gru", bridge=bridge, cell="lstm") for make in (network, partial(ready, precision)))
    plain.eval()
    for each in (plain, fast):
        each.encoder.embedding.weight.data.mul_(20)
    given, expected = (each.logits(each(SRC, TGT).outputs)[TGT.mask] for each in (fast, plain))
    assert (given - expected).norm() / expected.norm() < ERRORS[precision]


@pytest.mark.parametrize("precision", KINDS)
def test_lstms_read_by_kernels_and_multiply_state_and_feedback_at_once(precision: str) -> None:
    built = ready(precision, reads="lstm", cell="lstm")
    first = built.decoder.recurrent.layers[0][0]
    assert first.joined and first.feedback is None
    reads = built.encoder.recurrent.layers[0][0]
    if precision == "fp32":
        assert fused.fitting(reads, torch.zeros(1, 2, reads.input_dim), reads.start(1)) is fused.lstm
    elif fused.reads_bf16(reads):
        assert type(reads.input) is type(reads.recurrent) is Bf16Reader
        assert precision == "int8" or type(first.recurrent) is Bf16Linear, (
            "a cell that steps must round as its loop does"
        )


@pytest.mark.parametrize("precision", KINDS)
@torch.inference_mode()
def test_padding_and_neighbours_change_nothing(precision: str) -> None:
    built = ready(precision)
    outputs = built(SRC, TGT).outputs
    for number in range(3):
        close(built(row(SRC, number), row(TGT, number)).outputs[0], outputs[number, : TGT.lengths[number]])


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"cell": "lstm", "reads": "lstm"}, {"cell": "lstm", "depth": (2, False), "input_feed": False}],
    ids=str,
)
def test_a_score_equals_that_of_forced_decoding_and_a_beam_of_one_is_greedy(precision: str, options: Any) -> None:
    built = ready(precision, **options)
    greedy = decoded(built, SRC, Greedy(limits=Limits(max_ratio=2.0, max_extra=3)))
    assert [found[0].tokens for found in decoded(built, SRC, beam(1))] == [found[0].tokens for found in greedy]
    for number, found in enumerate(decoded(built, SRC, beam(3))):
        for hypothesis in found:
            written = torch.tensor([hypothesis.tokens])
            tgt = row(TGT, 0)._replace(
                values=torch.cat([torch.full((1, 1), BOS), written[:, :-1]], 1),
                lengths=torch.tensor([written.shape[1]]),
            )
            with torch.inference_mode():
                log_probs = built.logits(built(row(SRC, number), tgt).outputs).log_softmax(-1)
            forced = log_probs.gather(2, written.unsqueeze(2)).sum()
            assert float(forced) == pytest.approx(hypothesis.log_prob, abs=1e-4)


@pytest.mark.parametrize("precision", KINDS)
def test_serves_tied_tables(precision: str) -> None:
    plain, fast = network(tying="all", readout_dim=4).eval(), ready(precision, tying="all", readout_dim=4)
    with torch.inference_mode():
        given, expected = fast.logits(fast(SRC, TGT).outputs), plain.logits(plain(SRC, TGT).outputs)
    assert given.shape[-1] == V
    assert (given - expected)[TGT.mask].norm() / expected[TGT.mask].norm() < ERRORS[precision]


def test_auto_takes_what_the_processor_computes_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "available", lambda: False)
    plain = network().eval()
    with torch.inference_mode():
        close(ready("auto")(SRC, TGT).outputs, plain(SRC, TGT).outputs)


def test_refuses_a_precision_that_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"precision=int9: did you mean 'int8'\?"):
        ready("int9")
