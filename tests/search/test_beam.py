"""Beam search on models that are tables, so that its results can be proved."""

from __future__ import annotations

import math

import pytest
import torch

from seq2seq.errors import ConfigError, UserError
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import GNMT, Average, LengthPenalty, NoLengthPenalty, coverage_score
from tests.search.tables import BOS, EOS, Endless, Table, brute_force, first_order, forced, whole_history

PENALTIES = [NoLengthPenalty(), Average(), GNMT(alpha=0.6), GNMT(alpha=1.5)]
SHORT = Limits(max_ratio=1.0, max_extra=0)


def name(penalty: LengthPenalty) -> str:
    return f"{type(penalty).__name__}{getattr(penalty, 'alpha', '')}"


def decode(search, model, lengths, attention=None, inputs=None):
    table = Table(model, list(range(len(lengths))) if inputs is None else inputs, attention)
    return search(table, table.start(), bos_id=BOS, eos_id=EOS, src_lengths=torch.tensor(lengths)), table


@pytest.mark.parametrize("penalty", PENALTIES, ids=name)
@pytest.mark.parametrize("seed", range(5))
def test_beam_of_one_equals_greedy(penalty: LengthPenalty, seed: int) -> None:
    limits = Limits(max_ratio=1.0, max_extra=2, min_ratio=0.4)
    lengths = [1, 9, 4, 6, 2, 12]
    model = whole_history(7, seed)
    beam, _ = decode(BeamSearch(limits=limits, beam_size=1, length_penalty=penalty), model, lengths)
    greedy, _ = decode(Greedy(limits=limits), model, lengths)
    for (one,), (other,) in zip(beam, greedy):
        assert one.tokens == other.tokens
        assert one.log_prob == other.log_prob == other.score


@pytest.mark.parametrize("coverage", [0.0, 0.7])
@pytest.mark.parametrize("penalty", PENALTIES, ids=name)
@pytest.mark.parametrize("history", [False, True])
def test_wide_beam_equals_brute_force(penalty: LengthPenalty, history: bool, coverage: float) -> None:
    vocab, lengths = 4, [2, 5, 4, 3, 1]
    model = whole_history(vocab, 11) if history else first_order(vocab, 12, len(lengths))
    attention = torch.rand(vocab, 3, generator=torch.Generator().manual_seed(5)) * 0.4
    limits = Limits(max_ratio=1.0, max_extra=0, min_ratio=0.5)
    search = BeamSearch(limits=limits, beam_size=400, n_best=7, length_penalty=penalty, coverage_penalty=coverage)

    def score(log_prob: float, tokens: list[int]) -> float:
        covered = attention[torch.tensor([BOS, *tokens[:-1]])].sum(dim=0, keepdim=True)
        return float(penalty.score(log_prob, len(tokens))) + float(coverage_score(covered, coverage))

    found, _ = decode(search, model, lengths, attention)
    for i, hypotheses in enumerate(found):
        shortest = math.ceil(0.5 * lengths[i])
        best = brute_force(model, i, vocab=vocab, longest=lengths[i], shortest=shortest, score=score)[:7]
        assert [h.tokens for h in hypotheses] == [tokens for tokens, _ in best]
        assert [h.score for h in hypotheses] == pytest.approx([value for _, value in best], abs=1e-4)


@pytest.mark.parametrize("penalty", PENALTIES, ids=name)
def test_log_prob_equals_forced_decoding(penalty: LengthPenalty) -> None:
    """Also where the greatest length forced the end: the model's own log-probability of eos counts."""
    model, lengths = whole_history(9, 3), [3, 8, 5, 1, 20]
    search = BeamSearch(limits=SHORT, beam_size=4, n_best=4, length_penalty=penalty)
    found, _ = decode(search, model, lengths)
    assert any(len(h.tokens) == lengths[i] for i, hypotheses in enumerate(found) for h in hypotheses)
    for i, hypotheses in enumerate(found):
        assert len(hypotheses) == (4 if lengths[i] > 1 else 1)
        for h in hypotheses:
            assert h.tokens[-1] == EOS and EOS not in h.tokens[:-1]
            assert h.log_prob == pytest.approx(forced(model, i, h.tokens), abs=1e-4)
            assert h.score == pytest.approx(float(penalty.score(h.log_prob, len(h.tokens))), abs=1e-9)


@pytest.mark.parametrize("search", [
    Greedy(limits=SHORT), BeamSearch(limits=SHORT, beam_size=5, n_best=3, length_penalty=Average())
])  # fmt: skip
def test_order_and_company_change_nothing(search) -> None:
    lengths = [3, 11, 6, 1, 9, 2, 14, 5, 8, 4, 7, 10]
    model = whole_history(8, 21)
    together, _ = decode(search, model, lengths)
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled, _ = decode(search, model, [lengths[i] for i in order], inputs=order)
    assert shuffled == [together[i] for i in order]
    for i, length in enumerate(lengths):
        alone, _ = decode(search, model, [length], inputs=[i])
        assert alone == [together[i]]


def test_equal_candidates_are_taken_alike_in_any_company() -> None:
    """All outputs of a length are equally likely, so that every choice is a tie."""
    search = BeamSearch(limits=SHORT, beam_size=3, n_best=3, length_penalty=NoLengthPenalty())
    even = torch.full((6,), 1 / 6).log()
    lengths = [4, 2, 7, 3, 5]
    together, _ = decode(search, lambda i, prefix: even, lengths)
    for i, length in enumerate(lengths):
        assert decode(search, lambda i, prefix: even, [length])[0] == [together[i]]


def test_beam_finds_what_greedy_walks_past() -> None:
    """After "2" (0.6) nothing is likelier than 0.3 · 1; after "3" (0.4) eos is certain."""
    rows = {
        (BOS,): [0.0, 0.0, 0.6, 0.4, 0.0],
        (BOS, 2): [0.0, 0.3, 0.2, 0.25, 0.25],
        (BOS, 3): [0.0, 1.0, 0.0, 0.0, 0.0],
    }

    def model(i: int, prefix: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(rows.get(prefix, [0.0, 1.0, 0.0, 0.0, 0.0])).log()

    (greedy,), _ = decode(Greedy(limits=SHORT), model, [6])
    search = BeamSearch(limits=SHORT, beam_size=2, n_best=2, length_penalty=NoLengthPenalty())
    (beam,), _ = decode(search, model, [6])
    assert greedy[0].tokens == [2, EOS] and greedy[0].log_prob == pytest.approx(math.log(0.18))
    assert [h.tokens for h in beam] == [[3, EOS], [2, EOS]]
    assert [h.log_prob for h in beam] == pytest.approx([math.log(0.4), math.log(0.18)])


@pytest.mark.parametrize("penalty", PENALTIES, ids=name)
@pytest.mark.parametrize("n_best", [1, 3, 5])
@pytest.mark.parametrize("coverage", [0.0, 0.3])
def test_stopping_bound_is_exact_and_stops(penalty: LengthPenalty, n_best: int, coverage: float) -> None:
    lengths = [10, 3, 12, 7, 9, 5, 11, 8]
    limits = Limits(max_ratio=2.0, max_extra=3)
    calls = []
    for tried in (penalty, Endless(penalty)):
        found, steps = [], 0
        for seed in range(6):
            attention = torch.rand(6, 4, generator=torch.Generator().manual_seed(seed)) * 0.3
            search = BeamSearch(
                limits=limits, beam_size=5, n_best=n_best, length_penalty=tried, coverage_penalty=coverage
            )
            outputs, table = decode(search, whole_history(6, seed), lengths, attention)
            found.append(outputs)
            steps += sum(table.calls)
        calls.append((steps, found))
    (bounded, with_bound), (endless, without) = calls
    assert with_bound == without
    assert bounded < endless if n_best == 1 else bounded <= endless


def test_first_call_has_a_row_for_each_input_and_the_finished_leave() -> None:
    """Table checks at every call that rows belong to the inputs that were kept."""
    lengths = [2, 4, 6, 8]
    never = torch.tensor([0.3, 0.0, 0.4, 0.3]).log()
    search = BeamSearch(limits=SHORT, beam_size=3, length_penalty=NoLengthPenalty())

    def model(i: int, prefix: tuple[int, ...]) -> torch.Tensor:
        return never if len(prefix) < lengths[i] else torch.tensor([0.0, 1.0, 0.0, 0.0]).log()

    found, table = decode(search, model, lengths)
    assert [len(hypotheses[0].tokens) for hypotheses in found] == lengths
    assert table.kept == [[1, 2, 3], [2, 3], [3]]
    assert table.calls == [4, 12, 9, 9, 6, 6, 3, 3]
    _, table = decode(Greedy(limits=SHORT), model, lengths)
    assert table.kept == [[1, 2, 3], [2, 3], [3]]
    assert table.calls == [4, 4, 3, 3, 2, 2, 1, 1]


def test_beam_shrinks_as_hypotheses_end() -> None:
    """The second best ends at the first two steps, so that a single place is left for the rest."""
    row = torch.tensor([0.0, 0.4, 0.5, 0.1]).log()
    search = BeamSearch(limits=SHORT, beam_size=3, n_best=3, length_penalty=NoLengthPenalty())
    (hypotheses,), table = decode(search, lambda i, prefix: row, [9])
    assert table.calls == [1, 2, 1, 1, 1, 1, 1, 1, 1]
    assert [h.tokens for h in hypotheses] == [[EOS], [2, EOS], [2] * 8 + [EOS]]


def test_lengths_stay_within_their_limits() -> None:
    limits = Limits(max_ratio=1.5, max_extra=1, min_ratio=0.75)
    lengths = [2, 3, 4, 8, 10]
    for bias in (-5.0, 5.0):

        def model(i: int, prefix: tuple[int, ...], bias: float = bias) -> torch.Tensor:
            return (whole_history(6, 2)(i, prefix) + torch.tensor([0.0, bias, 0, 0, 0, 0])).log_softmax(-1)

        for search in (Greedy(limits=limits), BeamSearch(limits=limits, beam_size=4, length_penalty=Average())):
            found, _ = decode(search, model, lengths)
            for length, (best, *_) in zip(lengths, found):
                assert math.ceil(0.75 * length) <= len(best.tokens) <= math.floor(1.5 * length) + 1
            shorter = [len(best.tokens) == math.ceil(0.75 * length) for length, (best, *_) in zip(lengths, found)]
            assert any(shorter) == (bias > 0)


def test_fewer_hypotheses_than_asked_for_where_fewer_are_possible() -> None:
    """A certain output, a beam wider than the vocabulary, and minus infinity everywhere else."""

    def model(i: int, prefix: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor([0.0, 0.0, 1.0] if len(prefix) < 3 else [0.0, 1.0, 0.0]).log()

    search = BeamSearch(limits=SHORT, beam_size=8, n_best=8, length_penalty=Average())
    (hypotheses,), _ = decode(search, model, [6])
    assert [(h.tokens, h.log_prob) for h in hypotheses] == [([2, 2, EOS], 0.0)]


@pytest.mark.parametrize("search", [
    Greedy(limits=SHORT), BeamSearch(limits=SHORT, beam_size=3, n_best=2, length_penalty=Average())
])  # fmt: skip
def test_an_impossible_input_gives_an_empty_output_and_does_not_touch_others(search) -> None:
    nothing = torch.full((6,), -torch.inf)
    plain = whole_history(6, 8)
    found, _ = decode(search, lambda i, prefix: nothing if i == 1 else plain(i, prefix), [5, 5, 5])
    expected, _ = decode(search, plain, [5, 5, 5])
    assert [h.tokens for h in found[1]] == [[EOS]] and found[1][0].score == -math.inf
    assert [found[0], found[2]] == [expected[0], expected[2]]


@pytest.mark.parametrize("search", [
    Greedy(limits=SHORT), BeamSearch(limits=SHORT, beam_size=3, length_penalty=Average())
])  # fmt: skip
def test_a_broken_model_is_named_and_an_empty_batch_is_nothing(search) -> None:
    with pytest.raises(UserError, match="NaN"):
        decode(search, lambda i, prefix: torch.full((6,), math.nan), [5])
    assert decode(search, first_order(4, 0, 1), [])[0] == []


def test_coverage_prefers_what_attends_to_the_whole_source() -> None:
    """Two outputs: the likelier leaves the second source position out, the other attends to both."""
    attention = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])

    def model(i: int, prefix: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor([0.0, 0.0, 0.6, 0.4] if len(prefix) == 1 else [0.0, 1.0, 0.0, 0.0]).log()

    for beta, first in ((0.0, [2, EOS]), (0.2, [3, EOS])):
        search = BeamSearch(
            limits=SHORT, beam_size=2, n_best=2, length_penalty=NoLengthPenalty(), coverage_penalty=beta
        )
        (hypotheses,), _ = decode(search, model, [4], attention)
        assert hypotheses[0].tokens == first
    assert hypotheses[0].score == pytest.approx(math.log(0.4)) and math.isfinite(hypotheses[1].score)


@pytest.mark.parametrize(("settings", "message"), [
    ({"beam_size": 0}, "beam_size is 0"),
    ({"beam_size": 2, "n_best": 3}, "from 1 to beam_size, which is 2"),
    ({"beam_size": 2, "n_best": 0}, "n_best is 0"),
    ({"beam_size": 2, "coverage_penalty": -1.0}, "coverage_penalty is -1.0"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BeamSearch(limits=SHORT, length_penalty=Average(), **settings)
