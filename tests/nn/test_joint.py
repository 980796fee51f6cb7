"""A label of the whole and labels of the steps together are what each is alone."""

from __future__ import annotations

import pytest
import torch

from seq2seq.nn.crf import LinearChain
from seq2seq.nn.independent import Independent
from seq2seq.nn.joint import Joint, beside
from seq2seq.types import Padded


def test_both_are_what_each_is_alone() -> None:
    torch.manual_seed(0)
    whole = Independent(size=2, label_smoothing=0.0)
    steps = LinearChain(size=3, labels=["O", "B-a", "I-a"], iob=True)
    torch.nn.init.normal_(steps.moves)
    joint = Joint(whole=whole, steps=steps).eval()
    one, rest, lengths = torch.randn(2, 1, 2), torch.randn(2, 4, 3), torch.tensor([4, 2])
    scores, both = beside(one, rest), lengths + 1
    labels = torch.tensor([[1, 2, 3, 4, 2], [5, 3, 5, 0, 0]])  # 5: neither in training
    found = joint.losses(scores, Padded(labels, both))
    alone = (
        whole.losses(one, Padded(torch.tensor([[1], [2]]), torch.tensor([1, 1]))),
        steps.losses(rest, Padded(torch.tensor([[0, 1, 2, 0], [1, 3, 0, 0]]), lengths)),
    )
    for sums, parts in zip(found, zip(*alone)):
        assert float(sums.detach()) == pytest.approx(float(sum(parts).detach()))
    probs = joint.probs(scores, both)
    assert torch.allclose(probs[:, :1, :2], whole.probs(one, lengths))
    assert torch.allclose(probs[:, 1:, 2:], steps.probs(rest, lengths))
    wholes, chains = whole.best(one, torch.tensor([1, 1]), 4), steps.best(rest, lengths, 4)
    for row, several in enumerate(joint.best(scores, both, 4)):
        sums = sorted((a.log_prob + b.log_prob for a in wholes[row] for b in chains[row]), reverse=True)
        assert [each.log_prob for each in several] == pytest.approx(sums[:4], abs=1e-5)
        assert several[0].labels == [wholes[row][0].labels[0], *(label + 2 for label in chains[row][0].labels)]
        assert len(several[0].labels) == both[row]
