"""The linear chain, held against all labellings there are."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.errors import ConfigError, DataError
from seq2seq.nn.crf import LinearChain
from seq2seq.types import Padded

LABELS = ["O", "B-a", "I-a", "B-b", "I-b"]


def chain(labels: list[str] = LABELS, *, iob: bool = True) -> LinearChain:
    torch.manual_seed(0)
    made = LinearChain(size=len(labels), labels=labels, iob=iob).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made.eval()


def allowed(path: tuple[int, ...], labels: list[str]) -> bool:
    names = ["O", *(labels[number] for number in path)]
    return all(now[0] != "I" or before[1:] == now[1:] for before, now in pairwise(names))


def every(made: LinearChain, scores: Tensor, *, iob: bool = True) -> dict[tuple[int, ...], Tensor]:
    """The score of each labelling of ``scores [T, V]`` that is allowed."""
    found = {}
    for path in product(range(made.size), repeat=len(scores)):
        if not iob or allowed(path, made.labels):
            score = made.first[path[0]] + made.last[path[-1]] + sum(scores[t, y] for t, y in enumerate(path))
            score = score + sum(made.moves[y, z] for y, z in pairwise(path))
            found[path] = score
    return found


@pytest.mark.parametrize("iob", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_all_is_as_by_brute_force(steps: int, iob: bool) -> None:
    made = chain(iob=iob)
    scores = torch.randn(1, steps, 5, dtype=torch.float64)
    paths = {path: score.detach() for path, score in every(made, scores[0], iob=iob).items()}
    total = torch.stack(list(paths.values())).logsumexp(0)
    ranked = sorted(paths, key=lambda path: -float(paths[path]))
    (found,) = made.best(scores, torch.tensor([steps]), 7)
    assert [tuple(each.labels) for each in found] == ranked[:7]
    assert [each.log_prob for each in found] == pytest.approx(
        [float(paths[path] - total) for path in ranked[:7]], abs=1e-4
    )
    assert made.best(scores, torch.tensor([steps]), 1)[0][0].labels == list(ranked[0])
    marginals = torch.zeros(steps, 5, dtype=torch.float64)
    for path, score in paths.items():
        for step, label in enumerate(path):
            marginals[step, label] += (score - total).exp()
    assert torch.allclose(made.probs(scores, torch.tensor([steps]))[0].double(), marginals, atol=1e-5)
    sums = made.losses(scores, Padded(torch.tensor([ranked[-1]]), torch.tensor([steps])))
    assert float(sums.nll) == pytest.approx(float(total - paths[ranked[-1]]), abs=1e-4)
    assert int(sums.correct) == sum(int(marginals[t].argmax()) == label for t, label in enumerate(ranked[-1]))


def test_autocast_does_not_round_the_difference_of_two_large_sums() -> None:
    made, labels = chain(), Padded(torch.zeros(1, 100, dtype=torch.long), torch.tensor([100]))
    scores = 12.0 * F.one_hot(labels.values, 5).float()
    expected = made.losses(scores, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = made.losses(scores, labels)
    assert float(given.nll) == float(expected.nll)
    assert float(given.nll) > -1e-3


def test_the_gradient_is_that_of_brute_force() -> None:
    made, path = chain(), (1, 2, 0, 3)
    scores = torch.randn(1, 4, 5, dtype=torch.float64, requires_grad=True)
    given = (scores, made.first, made.last, made.moves)
    paths = every(made, scores[0])
    by_hand = torch.autograd.grad(torch.stack(list(paths.values())).logsumexp(0) - paths[path], given)
    sums = made.losses(scores, Padded(torch.tensor([path]), torch.tensor([4])))
    for found, expected in zip(torch.autograd.grad(sums.total, given), by_hand):
        assert torch.allclose(found, expected, atol=1e-5)


def test_an_unseen_label_stands_for_all_others() -> None:
    made = chain()
    scores = torch.randn(1, 3, 5, dtype=torch.float64)
    paths = every(made, scores[0])
    fits = torch.stack([score for path, score in paths.items() if path[0] == 1 and path[2] == 2]).logsumexp(0)
    sums = made.losses(scores, Padded(torch.tensor([[1, 5, 2]]), torch.tensor([3])))
    expected = torch.stack(list(paths.values())).logsumexp(0) - fits
    assert float(sums.nll) == pytest.approx(float(expected.detach()), abs=1e-5) and int(sums.correct) <= 2


@pytest.mark.parametrize("n_best", [1, 3])
def test_neither_padding_nor_company_nor_order_changes_anything(n_best: int) -> None:
    made, lengths = chain(), torch.tensor([3, 5, 0, 1])
    scores, labels = torch.randn(4, 6, 5, dtype=torch.float64), torch.tensor([[1, 2, 0, 3, 4, 4]] * 4)
    together = made.best(scores, lengths, n_best), made.probs(scores, lengths)
    total = float(made.losses(scores, Padded(labels, lengths)).nll)
    alone = 0.0
    for row, length in enumerate(lengths.tolist()):
        cut, own = scores[row : row + 1, :length], lengths[row : row + 1]
        (found,) = made.best(cut, own, n_best)
        assert [each.labels for each in found] == [each.labels for each in together[0][row]]
        assert [each.log_prob for each in found] == pytest.approx(
            [each.log_prob for each in together[0][row]], abs=1e-5
        )
        assert torch.allclose(made.probs(cut, own)[0], together[1][row, :length], atol=1e-6)
        alone += float(made.losses(cut, Padded(labels[row : row + 1, :length], own)).nll)
    assert alone == pytest.approx(total, abs=1e-4)
    turned = made.best(scores.flip(0), lengths.flip(0), n_best)
    assert [[each.labels for each in row] for row in turned[::-1]] == [[e.labels for e in row] for row in together[0]]


def test_what_iob_forbids_is_never_predicted_and_refused_in_training() -> None:
    made = chain()
    scores = torch.zeros(1, 3, 5)
    scores[:, :, 2] = 50.0  # all for I-a
    assert made.float().best(scores, torch.tensor([3]), 1)[0][0].labels == [1, 2, 2]
    assert float(made.probs(scores, torch.tensor([3]))[0, 0, 2]) < 1e-6
    made.train()
    for path, told in (([0, 2, 0], "'I-a' follows 'O'"), ([4, 4, 4], "'I-b' follows the beginning")):
        with pytest.raises(DataError, match=told):
            made.losses(scores, Padded(torch.tensor([path]), torch.tensor([3])))
    assert torch.isfinite(made.losses(scores, Padded(torch.tensor([[3, 4, 2]]), torch.tensor([2]))).total)
    assert chain(iob=False).float().best(scores, torch.tensor([3]), 1)[0][0].labels == [2, 2, 2]


def test_a_label_for_a_whole_input_is_no_chain() -> None:
    with pytest.raises(ConfigError, match="a chain of 3 labels has 0 names"):
        LinearChain(size=3, labels=[], iob=True)
