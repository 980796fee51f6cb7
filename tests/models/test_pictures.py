"""How a picture can enter a decoder: laws 1 to 3 for every way, and each way against its equations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.inference import for_inference
from seq2seq.models.stepping import StepDecoder
from seq2seq.models.up_down import UpDown
from seq2seq.models.vision import RegionEncoder
from seq2seq.nn import int8
from seq2seq.nn.attention import Additive
from seq2seq.nn.bridge import FirstInput, Projected, Zero
from seq2seq.nn.cells import LSTM, SentinelLSTM
from seq2seq.nn.glimpse import Adaptive, Gated, Mean
from seq2seq.nn.recurrent import Recurrent
from seq2seq.search.beam import BeamSearch
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import NoLengthPenalty
from seq2seq.types import Padded, select
from tests.models.networks import Decoder, real, row, stack, table, tokens
from tests.nn.helpers import close, gradients, random, shaken

D = 6
TGT = tokens(2, 5, 4, seed=1)
SRC = Padded(random(3, 4, 7), torch.tensor([4, 2, 3]))
SOFT = partial(Additive, attention_dim=5, coverage=False)
ADAPTIVE = partial(Adaptive, attention_dim=5)


def made(cell: Any, attention: Any, order: str, bridge: Any = Zero, first_input: Any = None) -> Callable[..., Decoder]:
    return partial(
        Decoder, embedding=table(), recurrent=stack(cell=cell, depth=(1, False), hidden_dim=D), attention=attention,
        bridge=bridge, readout_dim=5, order=order, input_feed=False, dropout=0.0, first_input=first_input,
    )  # fmt: skip


def up_down(attention: Any, cell: Any = "lstm") -> Callable[..., UpDown]:
    rates = {"dropout": 0.0, "variational_dropout": 0.0}
    recurrent = partial(Recurrent, cell=cell, num_layers=1, bidirectional=False, residual=False, **rates)
    return partial(
        UpDown, embedding=table(), recurrent=recurrent, attention=attention, bridge=Projected, hidden_dim=D,
        readout_dim=5, dropout=0.0,
    )  # fmt: skip


WAYS: dict[str, Callable[..., StepDecoder]] = {
    "state": made("lstm", None, "luong", Projected),
    "first input": made("lstm", None, "luong", Zero, FirstInput),
    "every step": made("lstm", Mean, "bahdanau"),
    "beside the output": made("lstm", Mean, "luong"),
    "gated": made("lstm", partial(Gated, attention=SOFT), "bahdanau", Projected),
    "gated coverage": made("lstm", partial(Gated, attention=partial(SOFT, coverage=True)), "luong"),
    "adaptive": made(SentinelLSTM, ADAPTIVE, "luong", Projected),
    "adaptive first": made(SentinelLSTM, ADAPTIVE, "bahdanau", Projected),
    "up-down": up_down(SOFT),
    "up-down coverage": up_down(partial(SOFT, coverage=True)),
    "up-down adaptive": up_down(ADAPTIVE, SentinelLSTM),
}


def network(way: str) -> EncoderDecoder:
    encoder = RegionEncoder(input_dim=7, projection=D, normalize=True, dropout=0.0)
    return shaken(EncoderDecoder(encoder=encoder, decoder=WAYS[way], tying="none"))


@pytest.mark.parametrize("way", WAYS)
def test_unroll_equals_step_in_value_and_gradient(way: str) -> None:
    built = network(way)
    decoder, memory = built.decoder, built.encode(SRC)
    outputs, attention = decoder.unroll(TGT, memory)
    again = built.encode(SRC)
    keys = decoder.prepare(again)
    state, steps = decoder.start(again, keys), []
    for fed in TGT.values.unbind(1):
        output, weights, state = decoder.step(fed, state, keys)
        steps.append((output, weights))
    plain = torch.stack([output for output, _ in steps], 1)
    close(real(plain, TGT), real(outputs, TGT))
    if attention is not None:
        close(real(torch.stack([weights for _, weights in steps], 1), TGT), real(attention, TGT))
    weight, parameters = random(*outputs.shape, seed=3) * TGT.mask.unsqueeze(2), list(built.parameters())
    found = gradients((outputs * weight).sum(), parameters)
    close(found, gradients((plain * weight).sum(), parameters), 1e-3)
    of_picture = [part for part, (name, _) in zip(found, built.named_parameters()) if name.startswith("encoder.")]
    assert of_picture and all(part.abs().sum() > 0 for part in of_picture)


@pytest.mark.parametrize("way", WAYS)
def test_padding_and_neighbours_change_nothing(way: str) -> None:
    built = network(way)
    outputs, attention = built(SRC, TGT)
    loud = Padded(torch.cat([SRC.values, torch.full((3, 2, 7), 50.0)], 1), SRC.lengths)
    longer = built(loud, tokens(2, 5, 4, longest=7, seed=1))
    close(real(longer.outputs, TGT), real(outputs, TGT))
    for number in range(3):
        alone = built(row(SRC, number), row(TGT, number))
        close(alone.outputs[0], outputs[number, : TGT.lengths[number]])
        if attention is not None:
            close(alone.attention[0], attention[number, : TGT.lengths[number], : SRC.lengths[number]])
            assert (attention[number, :, SRC.lengths[number] :] == 0).all()


@pytest.mark.parametrize("precision", ["plain", "fp32", "bf16", "int8"])
@pytest.mark.parametrize("way", WAYS)
@torch.inference_mode()
def test_a_beams_score_equals_forced_decoding_also_when_made_fast(way: str, precision: str) -> None:
    if precision == "int8" and not int8.available():
        pytest.skip("no VNNI here")
    plain = network(way)
    built = plain if precision == "plain" else for_inference(network(way), precision)
    given, expected = built(SRC, TGT).outputs[TGT.mask], plain(SRC, TGT).outputs[TGT.mask]
    tolerance = 1e-5 if precision in ("plain", "fp32") else 0.05
    assert (given - expected).norm() / expected.norm() < tolerance
    memory = built.encode(SRC)
    step, state = built.begin(memory, coverage=built.decoder.attention is not None)
    limits = Limits(max_ratio=2.0, max_extra=3)
    search = BeamSearch(limits=limits, beam_size=3, n_best=3, length_penalty=NoLengthPenalty())
    for number, found in enumerate(search(step, state, bos_id=2, eos_id=3, src_lengths=SRC.lengths)):
        for hypothesis in found:
            written = torch.tensor([hypothesis.tokens])
            fed = torch.cat([torch.full((1, 1), 2), written[:, :-1]], 1)
            forced = built(row(SRC, number), Padded(fed, torch.tensor([written.shape[1]])))
            log_probs = built.logits(forced.outputs).log_softmax(-1).gather(2, written.unsqueeze(2))
            assert float(log_probs.sum()) == pytest.approx(hypothesis.log_prob, abs=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_targets_of_one_picture_share_its_memory(way: str) -> None:
    built, targets = network(way), tokens(2, 5, 4, 1, 3, 5, seed=1)
    memory = built.encode(SRC)
    shared = built.decoder.unroll(targets, memory).outputs
    tiled = built.decoder.unroll(targets, select(memory, torch.tensor([0, 0, 1, 1, 2, 2]))).outputs
    close(real(shared, targets), real(tiled, targets))


def test_the_picture_is_read_as_a_word_before_bos() -> None:
    """Vinyals et al. 2015, eq. 10 to 12."""
    built = network("first input")
    decoder, memory = built.decoder, built.encode(SRC)
    (cell,) = decoder.recurrent.layers[0]
    assert isinstance(cell, LSTM)
    picture = memory.summary[0][0]
    linear = decoder.first_input.projection
    words = [picture @ linear.weight.T + linear.bias, *(decoder.embedding.weight[t] for t in TGT.values.unbind(1))]
    state, hidden = cell.start(3), []
    for word in words:
        state = cell.step(cell.project(word), state)
        hidden.append(state[0])
    expected = torch.tanh(torch.stack(hidden[1:], 1) @ decoder.readout.weight.T)
    close(real(decoder.unroll(TGT, memory).outputs, TGT), real(expected, TGT))


@torch.no_grad()
def test_up_down_is_two_recurrences() -> None:
    """Anderson et al. 2018, eq. 2 to 6, one step by hand."""
    decoder = network("up-down").decoder
    memory = network("up-down").encode(SRC)
    keys = decoder.prepare(memory)
    state = decoder.start(memory, keys)
    ((below,),), ((above,),) = decoder.recurrent.layers, decoder.language.layers
    mean = torch.stack([memory.values[i, :n].mean(0) for i, n in enumerate(SRC.lengths)])
    close(mean, state.summary)
    fed = torch.cat([state.language.layers[0][0], mean], 1)
    hidden = below.step(below.input(decoder.embedding.weight[TGT.values[:, 0]]) + below.feedback(fed),
                        state.recurrent.layers[0])[0]  # fmt: skip
    context, weights, _ = decoder.attention(hidden.unsqueeze(1), keys, ())
    top = above.step(above.input(torch.cat([context[:, 0], hidden], 1)), state.language.layers[0])[0]
    output, attention, _ = decoder.step(TGT.values[:, 0], state, keys)
    close((output, attention), (torch.tanh(top @ decoder.readout.weight.T), weights[:, 0]))


def test_adaptive_attention_needs_a_sentinel_of_the_memorys_size() -> None:
    with pytest.raises(ConfigError, match=r"needs a cell that makes a sentinel: recurrent\.cell="):
        made("lstm", ADAPTIVE, "luong")(memory_dim=D, summary_dim=D)
    with pytest.raises(ConfigError, match="must be as many, not 6 and 8"):
        made(SentinelLSTM, ADAPTIVE, "luong")(memory_dim=8, summary_dim=D)
