"""Predictors: padding changes nothing, a state goes on where it was left, and pooling is what it says."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.models.inference import for_inference
from seq2seq.models.predictors import Both, Predictor, Steps, Whole
from seq2seq.nn import pooling
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.independent import Independent
from seq2seq.nn.recurrent import Recurrent
from seq2seq.types import Memory, Padded

POOLINGS = [pooling.Last, pooling.Mean, pooling.Max, partial(pooling.Attention, attention_dim=5)]


def encoder(*, bidirectional: bool = True) -> RecurrentEncoder:
    stack = partial(
        Recurrent,
        cell="lstm",
        hidden_dim=6,
        num_layers=2,
        bidirectional=bidirectional,
        residual=False,
        dropout=0.0,
        variational_dropout=0.0,
    )
    return RecurrentEncoder(
        embedding=Embedding(vocab_size=11, embedding_dim=4, dropout=0.0), recurrent=stack, dropout=0.0
    )


def classifier(pool: object, **options: bool) -> Predictor:
    torch.manual_seed(0)
    structure = partial(Independent, label_smoothing=0.0)
    head = partial(Whole, size=3, pooling=pool, structure=structure, dropout=0.0)
    return Predictor(encoder=encoder(**options), head=head).eval()


def tagger(**options: bool) -> Predictor:
    torch.manual_seed(0)
    head = partial(Steps, size=3, structure=partial(Independent, label_smoothing=0.0), dropout=0.0)
    return Predictor(encoder=encoder(**options), head=head).eval()


def reads_both() -> Predictor:
    torch.manual_seed(0)
    plain = partial(Independent, label_smoothing=0.0)
    whole = partial(Whole, pooling=pooling.Mean, structure=plain, dropout=0.0)
    steps = partial(Steps, structure=plain, dropout=0.0)
    return Predictor(encoder=encoder(), head=partial(Both, size=5, labels=["O", "B"], whole=whole, steps=steps)).eval()


def tokens(*lengths: int, width: int | None = None) -> Padded:
    torch.manual_seed(1)
    values = torch.zeros(len(lengths), width or max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.arange(length) % 7 + 2
    return Padded(values, torch.tensor(lengths))


@pytest.mark.parametrize("pool", POOLINGS)
def test_padding_changes_no_classification(pool: object) -> None:
    model = classifier(pool)
    alone, among = model(tokens(4)), model(tokens(4, 7, 1, width=9))
    assert torch.allclose(alone.values[0], among.values[0], atol=1e-6)
    if among.attention is not None:
        assert torch.allclose(among.attention.sum(2), torch.ones(3, 1)) and not among.attention[0, 0, 4:].any()


def test_padding_changes_no_tagging() -> None:
    model = tagger()
    assert torch.allclose(model(tokens(4)).values[0], model(tokens(4, 7, width=9)).values[0, :4], atol=1e-6)


def test_padding_changes_neither_where_both_are_read() -> None:
    model = reads_both()
    alone, among = model(tokens(4)).values, model(tokens(4, 7, width=9)).values
    assert alone.shape == (1, 5, 5) and not alone[0, 0, 3:].any() and not alone[0, 1:, :3].any()
    assert torch.allclose(alone[0], among[0, :5], atol=1e-6)
    assert model.head.steps(torch.tensor([4, 0])).tolist() == [5, 1]
    with pytest.raises(ConfigError, match="target=joint"):
        Both(size=5, labels=[], whole=Whole, steps=Steps, memory_dim=1, summary_dim=1)


def test_windows_with_a_carried_state_equal_the_whole() -> None:
    model, whole = tagger(bidirectional=False), tokens(8)
    first, second = (Padded(part, torch.tensor([4])) for part in whole.values.split(4, dim=1))
    begun = model(first)
    rest = model(second, begun.summary)
    assert torch.allclose(torch.cat([begun.values, rest.values], 1), model(whole).values, atol=1e-6)


def test_poolings_by_hand() -> None:
    values = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]], [[5.0, 5.0]] * 3])
    memory = Memory(values, torch.tensor([[True, True, False], [False] * 3]), ((torch.tensor([[7.0], [8.0]]),),))
    sizes = {"memory_dim": 2, "summary_dim": 1}
    assert pooling.Mean(**sizes)(memory).values.tolist() == [[2.0, -3.0], [0.0, 0.0]]
    assert pooling.Max(**sizes)(memory).values.tolist() == [[3.0, -2.0], [0.0, 0.0]]
    assert pooling.Last(**sizes)(memory).values.tolist() == [[7.0], [8.0]]
    attention = pooling.Attention(attention_dim=2, **sizes)
    nn.init.zeros_(attention.query.weight)  # all positions alike
    pooled = attention(memory)
    assert pooled.values.tolist() == [[2.0, -3.0], [0.0, 0.0]] and pooled.weights.tolist() == [[0.5, 0.5, 0], [0] * 3]


def scores_of(*rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows).log()


def test_labels_are_ranked_as_by_brute_force() -> None:
    torch.manual_seed(3)
    scores = torch.randn(1, 3, 3)
    log_probs = scores[0].log_softmax(-1)
    every = {
        (a, b, c): float(log_probs[0, a] + log_probs[1, b] + log_probs[2, c])
        for a in range(3)
        for b in range(3)
        for c in range(3)
    }
    ranked = sorted(every.items(), key=lambda item: -item[1])
    structure = Independent(size=3, label_smoothing=0.0)
    (found,) = structure.best(scores, torch.tensor([3]), 30)
    assert [tuple(each.labels) for each in found] == [labels for labels, _ in ranked] and len(found) == 27
    assert [each.log_prob for each in found] == pytest.approx([value for _, value in ranked], abs=1e-5)
    assert structure.best(scores, torch.tensor([3]), 1)[0][0].labels == found[0].labels


def test_a_label_that_training_has_not_seen_is_wrong_and_in_no_loss() -> None:
    scores = scores_of([[0.5, 0.5], [0.9, 0.1]])
    structure = Independent(size=2, label_smoothing=0.0)
    sums = structure.losses(scores, Padded(torch.tensor([[2, 0]]), torch.tensor([2])))
    assert float(sums.nll) == pytest.approx(-torch.tensor(0.9).log()) and int(sums.correct) == 1


def test_a_predictor_is_used_in_full_precision_unless_told_otherwise() -> None:
    model, batch = tagger(), tokens(5)
    before = model(batch).values
    assert torch.equal(for_inference(model, "auto")(batch).values, before)
    assert torch.allclose(for_inference(model, "bf16")(batch).values, before, atol=0.05)
    with pytest.raises(ConfigError, match="precision=int9"):
        for_inference(model, "int9")
