"""Training on a metric: its gradient against that of the expected reward, by enumerating all that can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.data.datasets import Corpus
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.tokenizers import Characters
from seq2seq.errors import ConfigError
from seq2seq.metrics.cider import DocumentFrequencies
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.nn.objective import CrossEntropy
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import GNMT
from seq2seq.tasks.generation import Generation
from seq2seq.tasks.rewards import FREQUENCIES, BleuReward, CiderReward
from seq2seq.tasks.self_critical import SelfCritical
from seq2seq.tasks.self_critical import _Outputs as Drawn
from seq2seq.tasks.teacher_forcing import Always
from seq2seq.types import Batch, Example, Hypothesis
from tests.models.networks import network
from tests.nn.helpers import close, gradients

FIELD = TextField(tokenizer=Characters(vocab=["<pad>", "<unk>", "<s>", "</s>", "a", "b"]))
LONGEST = 4
LIMITS = Limits(max_ratio=0.0, max_extra=LONGEST)
SOURCES, TARGETS = ["ab", "b"], [("ab", "a"), ("ba",)]


class Examples:
    """Reads sources with several targets each."""

    def __init__(self, sources: Sequence[str] = SOURCES, targets: Sequence[tuple[str, ...]] = TARGETS) -> None:
        self.pairs = list(zip(sources, targets))

    def __iter__(self) -> Iterator[Example]:
        for source, target in self.pairs:
            yield Example(source, target, source)

    def fingerprint(self) -> str:
        return str(self.pairs)


class Table:
    """A reward of letters, looked up; it is told of the end, and takes one off for its absence."""

    def __init__(self) -> None:
        self.learned: list[list[str]] = []

    def learn(self, references: Iterable[Sequence[str]], folder: Path) -> None:
        self.learned = [[*group] for group in references]

    def scores(self, hypotheses: Sequence[str], references: Any, finished: Sequence[bool] | None = None) -> list[float]:
        assert finished is not None and len(hypotheses) == len(references) == len(finished)
        return [reward(*given) for given in zip(hypotheses, references, finished)]


def reward(text: str, references: Sequence[str], finished: bool) -> float:
    return 2.0 * (text in references) + text.count("a") * 0.5 + 0.7 * len(text) - (not finished)


def self_critical(**options: Any) -> SelfCritical:
    settings: dict[str, Any] = {
        "fields": Fields(FIELD, FIELD),
        "objective": CrossEntropy(label_smoothing=0.1),
        "teacher_forcing": Always(),
        "feed": "sample",
        "search": Greedy(limits=LIMITS),
        "metrics": ["bleu"],
        "reward": Table(),
        "baseline": "mean",
        "draw": "sample",
        "samples": 2,
        "limits": LIMITS,
    }
    return SelfCritical(**{**settings, **options})


def batch(reader: Examples) -> Batch:
    src = FIELD.collate(FIELD.encode_all([source for source, _ in reader.pairs]))
    tgt = FIELD.collate(FIELD.encode_all([target[0] for _, target in reader.pairs]))
    return Batch(src, tgt, list(range(len(reader.pairs))))


def ready(tmp_path: Path, reader: Examples | None = None, **options: Any) -> tuple[SelfCritical, EncoderDecoder, Batch]:
    """A task that knows its data, a network in training, and all examples."""
    reader, task = reader or Examples(), self_critical(**options)
    data = Corpus.open(reader, Fields(FIELD, FIELD), tmp_path / "cache", lambda text: None)
    task.learn(data, tmp_path / "task")
    return task, network(size=FIELD.size, attention="general", seed=1).train(), batch(reader)


def outputs() -> list[list[int]]:
    """All that can be drawn: at the longest length there is no choice but eos."""
    others = [token for token in range(FIELD.size) if token != FIELD.eos_id]
    bodies = (body for length in range(LONGEST) for body in product(others, repeat=length))
    return [[*body, FIELD.eos_id] for body in bodies]


def enumerated(task: SelfCritical, model: EncoderDecoder, given: Batch, row: int) -> tuple[Batch, Tensor, Tensor]:
    """One input alone, with the log-probabilities and the rewards of all that can be drawn for it."""
    tokens = FIELD.collate([torch.tensor(each) for each in outputs()])
    finished = tokens.lengths < LONGEST
    src = given.src._replace(values=given.src.values[row : row + 1], lengths=given.src.lengths[row : row + 1])
    memory = model.encode(src)
    unrolled = model.decoder.unroll(task._shifted(tokens), memory).outputs
    picked = model.logits(unrolled).log_softmax(-1).gather(2, tokens.values.unsqueeze(2)).squeeze(2)
    free = tokens._replace(lengths=tokens.lengths - (~finished).long())
    worth = [reward(FIELD.decode(each), TARGETS[row], bool(done)) for each, done in zip(outputs(), finished)]
    return Batch(src, None, [row]), picked.masked_fill(~free.mask, 0.0).sum(1), torch.tensor(worth)


def expected_reward(task: SelfCritical, model: EncoderDecoder, given: Batch) -> Tensor:
    """Σ p(y) r(y) over all outputs, summed over inputs, with its gradient."""
    total = torch.zeros(())
    for row in range(len(TARGETS)):
        _, log_probs, worth = enumerated(task, model, given, row)
        assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)
        total = total + (log_probs.exp() * worth).sum()
    return total


def scripted(texts: list[list[str]]) -> Any:
    """A search that finds what it is told."""
    found = [[Hypothesis(FIELD.encode(text).tolist(), 0.0, 0.0) for text in each] for each in texts]
    return lambda step, state, **given: found


@pytest.mark.parametrize("baseline", [0.0, 1.3, -4.0])
def test_all_outputs_weighed_by_their_probability_give_the_gradient_of_the_expected_reward(
    baseline: float, tmp_path: Path
) -> None:
    """Whatever is taken off the rewards, as long as it does not depend on what was drawn."""
    task, model, given = ready(tmp_path)
    parameters, total = list(model.parameters()), torch.zeros(())
    for row in range(len(TARGETS)):
        alone, log_probs, worth = enumerated(task, model, given, row)
        found = Drawn(outputs(), [len(each) < LONGEST for each in outputs()])
        weights = (log_probs.exp() * (worth - baseline)).detach().unsqueeze(0).numpy()
        total = total - task._total(model, model.encode(alone.src), found, weights)
    close(gradients(total, parameters), gradients(expected_reward(task, model, given), parameters), 1e-4)


@pytest.mark.parametrize("baseline", ["greedy", "mean"])
def test_on_average_the_gradient_is_that_of_the_expected_reward(baseline: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    rounds, width = 40, 200
    task, model, given = ready(tmp_path, baseline=baseline, samples=width)
    parameters, estimates = list(model.parameters()), []
    exact = torch.cat([g.flatten() for g in gradients(expected_reward(task, model, given), parameters)])
    for _ in range(rounds):
        loss = task.loss(model, given)
        estimates.append(torch.cat([g.flatten() for g in gradients(-loss.total / width, parameters)]))
    mean, deviation = torch.stack(estimates).mean(0), torch.stack(estimates).std(0) / rounds**0.5
    assert ((mean - exact).abs() <= 5 * deviation + 1e-5).all()
    assert deviation.norm() < 0.1 * exact.norm()  # so that agreeing says something


def test_the_loss_and_its_figures_by_hand(tmp_path: Path) -> None:
    """The last sample of the first input is cut at the longest length, where its eos was no choice."""
    task, model, given = ready(tmp_path, samples=3)
    found = [["ab", "a", "bba"], ["ba", "", "b"]]
    task.sample = scripted(found)
    loss = task.loss(model, given)
    rewards = torch.tensor([[4 - 0.1, 3.2, 1.6], [3.9, 0.0, 0.7]])
    others = (rewards.sum(1, keepdim=True) - rewards) / 2
    spelled = [[FIELD.encode(text).tolist() for text in each] for each in found]
    expected = torch.zeros(())
    for row in range(2):
        _, log_probs, worth = enumerated(task, model, given, row)
        places = [outputs().index(tokens) for tokens in spelled[row]]
        close(worth[places], rewards[row])
        expected = expected - ((rewards - others)[row] * log_probs[places]).sum()
    close(loss.total, expected)
    close(gradients(loss.total, list(model.parameters())), gradients(expected, list(model.parameters())), 1e-4)
    assert loss.count == 6
    assert loss.figures["reward"] == pytest.approx(float(rewards.sum()), rel=1e-5)
    assert loss.figures["baseline"] == pytest.approx(float(rewards.sum()), rel=1e-5)
    assert loss.figures["sample_length"] == 3 + 2 + 4 + 3 + 1 + 2
    assert loss.figures["unfinished"] == 1


def test_the_greedy_baseline_is_the_reward_of_the_greedy_output(tmp_path: Path) -> None:
    task, model, given = ready(tmp_path, baseline="greedy", samples=4)
    task.greedy = scripted([["a"], ["bb"]])
    figures = task.loss(model, given).figures
    assert figures["baseline"] == pytest.approx(4 * (reward("a", TARGETS[0], True) + reward("bb", TARGETS[1], True)))


def test_a_beam_draws_what_the_search_finds_with_as_large_a_beam(tmp_path: Path) -> None:
    search = BeamSearch(limits=LIMITS, beam_size=2, length_penalty=GNMT(alpha=1.0))
    task, model, given = ready(tmp_path, draw="beam", search=search, samples=4)
    loss = task.loss(model, given)
    model.decoder.eval()
    with torch.inference_mode():
        wide = replace(search, beam_size=4, n_best=4)
        memory = model.encode(given.src)
        begun = model.begin(memory)
        found = wide(*begun, bos_id=FIELD.bos_id, eos_id=FIELD.eos_id, src_lengths=given.src.lengths)
    assert len({tuple(hypothesis.tokens) for hypothesis in found[0]}) == 4
    twin, _, _ = ready(tmp_path, samples=4)
    twin.sample = lambda *given, **options: found
    close(loss.total, twin.loss(model.train(), given).total)


def test_a_beam_that_finds_less_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    task, model, given = ready(tmp_path, samples=2)
    task.sample = scripted([["a", "b"], ["a"]])
    with pytest.raises(ConfigError, match="fewer outputs for some inputs: choose fewer samples"):
        task.loss(model, given)


def test_all_references_of_an_example_are_known(tmp_path: Path) -> None:
    table = Table()
    ready(tmp_path, reward=table)
    assert table.learned == [["ab", "a"], ["ba"]]


def test_dropout_of_the_decoder_is_off_for_the_samples_and_on_afterwards(tmp_path: Path) -> None:
    task, _, given = ready(tmp_path, samples=3)
    model = network(size=FIELD.size, attention="general", seed=1, dropout=0.9).train()
    task.sample = scripted([["ab", "a", "bb"], ["b", "", "a"]])
    model.encoder.eval()
    assert task.loss(model, given).total.item() == task.loss(model, given).total.item()
    assert model.decoder.training


def test_outside_training_the_loss_is_the_likelihood_s(tmp_path: Path) -> None:
    task, model, given = ready(tmp_path)
    plain = Generation(
        fields=Fields(FIELD, FIELD),
        objective=CrossEntropy(label_smoothing=0.1),
        teacher_forcing=Always(),
        feed="sample",
        search=Greedy(limits=LIMITS),
        metrics=["bleu"],
    )
    close(task.loss(model.eval(), given).total, plain.loss(model, given).total)


def test_in_bfloat16_every_weight_learns_as_in_float32(tmp_path: Path) -> None:
    task, model, given = ready(tmp_path, samples=3)
    task.sample = scripted([["ab", "bb", "a"]] * 2)
    parameters = list(model.parameters())
    exact = gradients(task.loss(model, given).total, parameters)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = task.loss(model, given)
    for given_gradient, expected in zip(gradients(loss.total, parameters), exact):
        assert (given_gradient - expected).norm() <= 0.1 * expected.norm() + 1e-3


@pytest.mark.parametrize("baseline", ["greedy", "mean"])
def test_updates_raise_the_expected_reward(baseline: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task, model, given = ready(tmp_path, baseline=baseline, samples=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    before = expected_reward(task, model, given).item()
    for _ in range(30):
        loss = task.loss(model, given)
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        optimizer.step()
    assert expected_reward(task, model, given).item() > before + 1


# Rewards


def test_cider_counts_the_end_and_keeps_its_frequencies(tmp_path: Path) -> None:
    groups = [["a red ball", "the red ball"], ["a dog runs", "a dog"], ["two cats", "cats sit"]]
    cider = CiderReward(end=True)
    cider.learn(groups, tmp_path)
    whole, cut = cider.scores(["a red ball", "a red ball"], [groups[0]] * 2, [True, False])
    assert 0 < cut < whole
    assert DocumentFrequencies.load(tmp_path / FREQUENCIES).documents == 3
    again = CiderReward(end=True)
    again.learn([], tmp_path)  # found there, not counted anew
    assert again.scores(["a red ball"], groups[:1]) == [whole]
    with pytest.raises(ConfigError, match="counted with end=true"):
        CiderReward(end=False).learn(groups, tmp_path)


def test_bleu_counts_the_end() -> None:
    references = [("the house is small",)] * 2
    whole, cut = BleuReward(end=True).scores(["the house is small"] * 2, references, [True, False])
    assert 0 < cut < whole == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "median"}, "baseline='median'"),
        ({"samples": 1}, "samples=1"),
        ({"samples": 0}, "samples=0"),
        ({"draw": "beams"}, "draw='beams': did you mean 'beam'"),
        ({"draw": "beam"}, "draw=beam takes what a beam search finds: search=beam"),
    ],
)
def test_impossible_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        self_critical(**options)
