"""Generation: its loss, law 3 with a real decoder, attention maps and scheduled sampling."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.data.fields import Fields, TextField
from seq2seq.data.tokenizers import Characters
from seq2seq.errors import ConfigError
from seq2seq.nn.objective import CrossEntropy
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import GNMT, Average, LengthPenalty, NoLengthPenalty
from seq2seq.tasks.generation import Generation
from seq2seq.tasks.predictions import Prediction
from seq2seq.tasks.teacher_forcing import Always, Linear
from seq2seq.types import Batch, Example, Padded
from tests.models.networks import ATTENTIONS, network
from tests.nn.helpers import close, gradients

LETTERS = "abcdefg"
FIELD = TextField(tokenizer=Characters(vocab=["<pad>", "<unk>", "<s>", "</s>", *LETTERS, " "]))
SOURCES = ["abc", "g", "fedcba", "", "bb", "aceg"]
TARGETS = ["cab", "", "gfe", "a", "ddddd", "abcdefg"]
LIMITS = Limits(max_ratio=2.0, max_extra=3)
GREEDY = Greedy(limits=LIMITS)


def beam(size: int, n_best: int = 1, penalty: LengthPenalty | None = None, coverage: float = 0.0) -> BeamSearch:
    penalty = penalty or NoLengthPenalty()
    return BeamSearch(limits=LIMITS, beam_size=size, n_best=n_best, length_penalty=penalty, coverage_penalty=coverage)


def generation(search: Any = GREEDY, **options: Any) -> Generation:
    defaults = {"objective": CrossEntropy(label_smoothing=0.1), "teacher_forcing": Always(), "feed": "sample"}
    return Generation(**{"fields": Fields(FIELD, FIELD), "search": search, "metrics": ["bleu"], **defaults, **options})


def batch(sources: list[str], targets: list[str] | None = None) -> Batch:
    tgt = None if targets is None else FIELD.collate([FIELD.encode(text) for text in targets])
    return Batch(FIELD.collate([FIELD.encode(text) for text in sources]), tgt, list(range(len(sources))))


def model(attention: str = "general", seed: int = 0, **options: Any) -> Any:
    return network(size=FIELD.size, attention=attention, seed=seed, **options)


def spelled(found: list[list[Prediction]]) -> list[list[tuple[str, ...]]]:
    return [[tuple(prediction.pieces) for prediction in predictions] for predictions in found]


# The loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_real_tokens_alone(smoothing: float) -> None:
    net, given = model(), batch(SOURCES, TARGETS)
    loss = generation(objective=CrossEntropy(label_smoothing=smoothing)).loss(net, given)
    shifted = torch.cat([torch.full((6, 1), FIELD.bos_id), given.tgt.values[:, :-1]], 1)
    logits = net.logits(net(given.src, Padded(shifted, given.tgt.lengths)).outputs)
    flat, gold = logits[given.tgt.mask], given.tgt.values[given.tgt.mask]
    expected = F.cross_entropy(flat, gold, reduction="sum", label_smoothing=smoothing)
    close(loss.total, expected)
    parameters = list(net.parameters())
    close(gradients(loss.total, parameters), gradients(expected, parameters), 1e-4)
    assert loss.count == sum(len(text) + 1 for text in TARGETS)
    assert loss.figures["nll"] == pytest.approx(F.cross_entropy(flat, gold, reduction="sum").item(), rel=1e-5)
    assert loss.figures["accuracy"] == (flat.argmax(1) == gold).sum()


def test_the_loss_of_a_batch_is_the_sum_over_its_sentences() -> None:
    net, task = model(attention="coverage"), generation()
    alone = [task.loss(net, batch([source], [target])) for source, target in zip(SOURCES, TARGETS)]
    together = task.loss(net, batch(SOURCES, TARGETS))
    close(together.total, sum(loss.total for loss in alone))
    assert together.count == sum(loss.count for loss in alone)
    close(-torch.tensor(task.log_probs(net, batch(SOURCES, TARGETS))).sum(), together.figures["nll"])


# Law 3


@pytest.mark.parametrize("penalty", [NoLengthPenalty(), Average(), GNMT(alpha=1.0)])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_beam_of_one_is_greedy(attention: str, penalty: LengthPenalty) -> None:
    for seed in range(3):
        net, given = model(attention, seed), batch(SOURCES)
        greedy = generation().predict(net, given)
        assert spelled(generation(beam(1, penalty=penalty)).predict(net, given)) == spelled(greedy)


@pytest.mark.parametrize("order", ["luong", "bahdanau"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_log_probability_is_that_of_forced_decoding(attention: str, order: str) -> None:
    if attention == "none" and order == "bahdanau":
        return
    sources = [source for source in SOURCES if source]
    for cell, seed in (("gru", 0), ("lstm", 1), ("elman", 2)):
        net = model(attention, seed, order=order, cell=cell)
        coverage = 0.3 if attention != "none" else 0.0
        task = generation(beam(4, n_best=3, penalty=Average(), coverage=coverage))
        found = task.predict(net, batch(sources))
        assert all(len(predictions) == 3 for predictions in found)
        rows = [(source, prediction) for source, predictions in zip(sources, found) for prediction in predictions]
        tgt = FIELD.collate([torch.tensor(ids(prediction)) for _, prediction in rows])
        forced = task.log_probs(net, Batch(batch([source for source, _ in rows]).src, tgt, []))
        assert [prediction.log_prob for _, prediction in rows] == pytest.approx(forced, abs=1e-4)


def ids(prediction: Prediction) -> list[int]:
    names = FIELD.pieces(range(FIELD.size))
    return [names.index(piece) for piece in prediction.pieces]


@pytest.mark.parametrize("search", [GREEDY, beam(3, n_best=2, penalty=GNMT(alpha=0.6), coverage=0.2)])
@pytest.mark.parametrize("attention", ["general", "coverage", "multi_head"])
def test_the_order_of_a_batch_and_its_company_change_nothing(attention: str, search: Any) -> None:
    task, net = generation(search), model(attention, seed=3)
    found = task.predict(net, batch(SOURCES), attention=True)
    order = [3, 0, 5, 2, 4, 1]
    others = task.predict(net, batch([SOURCES[i] for i in order]), attention=True)
    companies = [[others[order.index(i)] for i in range(6)]]
    companies += [[task.predict(net, batch([source]), attention=True)[0] for source in SOURCES]]
    for company in companies:
        assert spelled(company) == spelled(found)
        for given, expected in zip(chain(*company), chain(*found)):
            assert given.log_prob == pytest.approx(expected.log_prob, abs=1e-4)
            assert given.score == pytest.approx(expected.score, abs=1e-4)
            if expected.attention is not None:
                close(given.attention, expected.attention, 1e-4)


# Predictions


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_attention_maps_have_a_row_for_each_piece_and_a_column_for_each_source_token(attention: str) -> None:
    task = generation(beam(3, n_best=2))
    found = task.predict(model(attention), batch(SOURCES), attention=True)
    assert all(
        p.attention is None for predictions in task.predict(model(attention), batch(SOURCES)) for p in predictions
    )
    for source, predictions in zip(SOURCES, found):
        for prediction in predictions:
            if attention in ("none", "mean") or not source:
                assert prediction.attention is None
                continue
            assert prediction.attention is not None
            assert prediction.attention.shape == (len(prediction.pieces), len(source) + 1)
            close(prediction.attention.sum(1), torch.ones(len(prediction.pieces)))


def test_what_holds_nothing_gets_an_empty_output() -> None:
    found = generation(beam(3, n_best=2)).predict(model(), batch(["ab", "", " ", "c"]), attention=True)
    assert found[1] == found[2] == [Prediction("", [], 0.0, 0.0)]
    assert [len(predictions) for predictions in found] == [2, 1, 1, 2]
    assert str(found[0][0]) == found[0][0].text == FIELD.decode(ids(found[0][0]))
    assert all(prediction.pieces[-1] == "</s>" for prediction in found[0] + found[3])


def test_scores_the_best_prediction_of_each() -> None:
    texts = ["a b c d e", "f g a b c"]
    found = [[Prediction(text, [], 0.0, 0.0), Prediction("g", [], -1.0, -1.0)] for text in texts]
    examples = [Example("", text, "") for text in texts]
    assert generation().score(found, examples) == {"bleu": pytest.approx(100)}
    assert generation().score([predictions[::-1] for predictions in found], examples)["bleu"] < 10


# Scheduled sampling


class Fed(NamedTuple):
    """What a network in training was really fed."""

    tokens: Tensor
    gold: Tensor


def fed(share: float, feed: str = "sample", update: int = 1) -> Fed:
    """Watches the target embedding during one loss of many long targets."""
    torch.manual_seed(0)
    net, targets = model(seed=1).train(), ["abcdefg" * 3] * 200
    seen: list[Tensor] = []
    net.decoder.embedding.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    given = batch(["abc"] * 200, targets)
    task = generation(teacher_forcing=Linear(floor=0.0, slope=1 - share), feed=feed)
    loss = task.loss(net, given, update)
    loss.total.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())
    assert all(parameter.grad.any() for parameter in net.parameters())
    tokens = torch.cat(seen, 1)
    assert (tokens[:, 0] == FIELD.bos_id).all()
    return Fed(tokens[:, 1:], given.tgt.values[:, :-1])


def test_the_gold_share_is_what_the_schedule_says() -> None:
    never = (fed(0.0).tokens == fed(0.0).gold).float().mean().item()
    assert never < 0.5
    for share in (0.25, 0.75):
        given = fed(share)
        expected = share + (1 - share) * never
        assert (given.tokens == given.gold).float().mean().item() == pytest.approx(expected, abs=0.04)
    drawn = (fed(0.5).tokens == fed(0.5).gold).float()
    assert drawn.std(0).min() > 0 and drawn.std(1).min() > 0, "drawn for each token, not for each batch or sentence"


def test_all_gold_is_teacher_forcing_and_evaluation_always_is() -> None:
    given = fed(0.0, update=0)
    assert torch.equal(given.tokens, given.gold)
    net, task = model(), generation(teacher_forcing=Linear(floor=0.0, slope=1.0))
    plain = generation().loss(net, batch(SOURCES, TARGETS)).total
    close(task.loss(net, batch(SOURCES, TARGETS), 5).total, plain)


def test_argmax_feeds_the_likeliest_token() -> None:
    """Equal rows get equal tokens, which are those of greedy search until it ends."""
    given = fed(0.0, "argmax")
    assert (given.tokens == given.tokens[:1]).all()
    (greedy,) = generation().predict(model(seed=1), batch(["abc"]))[0]
    length = len(greedy.pieces) - 1
    assert given.tokens[0, :length].tolist() == ids(greedy)[:length]
    assert (fed(0.0, "sample").tokens != given.tokens).any()


# Refusals


def test_refuses_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match="feed='best': expected sample or argmax"):
        generation(feed="best")
    with pytest.raises(ConfigError, match="generation writes text, but the target's field is a str"):
        generation(fields=Fields(FIELD, "labels"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a coverage penalty needs a model with attention: set it to 0"):
        generation(beam(2, coverage=0.1)).predict(model("none"), batch(["a"]))


def test_an_unknown_metric_is_refused_when_the_task_is_built() -> None:
    with pytest.raises(ConfigError, match="no metric is called 'blue': did you mean 'bleu'"):
        generation(metrics=["blue"])
