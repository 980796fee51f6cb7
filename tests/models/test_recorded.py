"""Recorded decoders give what they give unrecorded, in value and in gradient: what is padded for a recording does not
show. Recording itself is stood in for (see ``tests.nn.test_graphs``)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.models.recorded import Recorded, use_graphs
from seq2seq.nn.graphs import bucket
from seq2seq.search.beam import BeamSearch
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import NoLengthPenalty
from tests.models.networks import ATTENTIONS, network, tokens
from tests.nn.helpers import close, gradients
from tests.nn.test_graphs import Recorder, recorder  # noqa: F401

LENGTHS = (9, 2, 3, 9, 1, 8, 4, 5, 6)
SRC, TGT = tokens(*LENGTHS), tokens(*reversed(LENGTHS), seed=1)
assert bucket(9) > 9


def pair(**options: Any) -> tuple[Any, Any]:
    """The same network twice, the second recorded."""
    plain, fast = network(**options), network(**options)
    fast.decoder.recorded = Recorded(fast.decoder)
    return plain, fast


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("order", ["luong", "bahdanau"])
def test_unroll_equals_its_plain_twin(attention: str, order: str, recorder: Recorder) -> None:  # noqa: F811
    if attention == "none" and order == "bahdanau":
        pytest.skip("needs an attention")
    plain, fast = pair(attention=attention, order=order)
    for src, tgt in ((SRC, TGT), (tokens(*LENGTHS, seed=4), tokens(*LENGTHS, seed=5))):
        given, expected = fast(src, tgt), plain(src, tgt)
        close(given.outputs[tgt.mask], expected.outputs[tgt.mask])
        if expected.attention is not None:
            close(given.attention[tgt.mask], expected.attention[tgt.mask])
        totals = [each.outputs[tgt.mask].square().sum() for each in (given, expected)]
        pairs = zip(*(gradients(total, net.parameters()) for total, net in zip(totals, (fast, plain))))
        for one, other in pairs:
            close(one, other, 1e-4)
    assert recorder.recorded == 2, "both batches by one recording, of the way forward and of the way back"


def test_several_targets_of_an_input_are_padded_together(recorder: Recorder) -> None:  # noqa: F811
    plain, fast = pair()
    targets = tokens(*LENGTHS, *reversed(LENGTHS), seed=2)
    close(fast(SRC, targets).outputs[targets.mask], plain(SRC, targets).outputs[targets.mask])


@pytest.mark.parametrize("attention", ["general", "coverage", "none"])
@pytest.mark.parametrize("feed", [True, False])
def test_a_beam_finds_the_same(attention: str, feed: bool, recorder: Recorder) -> None:  # noqa: F811
    plain, fast = pair(attention=attention, input_feed=feed)
    penalty = 0.0 if attention == "none" else 0.3
    search = BeamSearch(
        limits=Limits(max_ratio=1.5, max_extra=3),
        beam_size=4,
        n_best=4,
        length_penalty=NoLengthPenalty(),
        coverage_penalty=penalty,
    )
    found = []
    for built in (plain, fast):
        with torch.inference_mode():
            step, state = built.begin(built.encode(SRC), coverage=penalty > 0)
            found.append(search(step, state, bos_id=2, eos_id=3, src_lengths=SRC.lengths))
    assert recorder.recorded > 0
    for ours, theirs in zip(*found):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs]
        assert [each.score for each in ours] == pytest.approx([each.score for each in theirs], abs=1e-4)


def test_where_it_would_not_pay_it_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"compile=true records CUDA graphs, for a GPU\. On a CPU .*: leave it out"):
        use_graphs(network(), torch.device("cpu"))
