"""Labels that depend on their neighbours: a linear-chain conditional random field (Lafferty et al. 2001).

The score of labels y given scores s of each step is first[y_1] + Σ_t s[t, y_t] + Σ_t moves[y_t, y_t+1] + last[y_T], and
their probability exp(score) / Z, with Z the sum over all labellings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError, RowError
from seq2seq.nn.independent import Labelled
from seq2seq.nn.objective import TokenLosses
from seq2seq.types import Padded

TINY = torch.finfo(torch.float32).tiny
"""What stands for no probability where sums are taken, since the logarithm of zero has no gradient"""


class LinearChain(nn.Module):
    """From scores to the labels of whole sequences, with the interface of ``Independent``.

    Args:
        size: The number of labels.
        labels: Their names, by number.
        iob: Whether I-x may follow nothing but B-x and I-x (Ramshaw & Marcus 1995); false allows all.
    """

    barred: Tensor
    barred_first: Tensor

    def __init__(self, *, size: int, labels: Sequence[str], iob: bool) -> None:
        super().__init__()
        if len(labels) != size:
            raise ConfigError(f"a chain of {size} labels has {len(labels)} names: it is for labels of single steps")
        self.size, self.labels = size, list(labels)
        self.first, self.last = (nn.Parameter(torch.zeros(size)) for _ in range(2))
        self.moves = nn.Parameter(torch.zeros(size, size))  # [from, to]
        inside = [iob and label.startswith("I-") for label in labels]
        barred = [
            [within and before not in (f"B-{label[2:]}", label) for within, label in zip(inside, labels)]
            for before in labels
        ]
        # The names say what is barred, so that the weights need not.
        self.register_buffer("barred", torch.tensor(barred), persistent=False)
        self.register_buffer("barred_first", torch.tensor(inside), persistent=False)

    def losses(self, scores: Tensor, labels: Padded) -> TokenLosses:
        """Sums over the real steps, given scores ``[B, T, V]`` and labels ``[B, T]``.

        A label of V or more is one that training has not seen: wrong, and the loss is that of the others, whatever
        stands in its place. Correct are labels that no other one of their step is more probable than.

        Raises:
            RowError: In training, labels that may not follow each other.
        """
        if self.training:
            self._check(labels)
        scores, known = scores.float(), labels.mask & (labels.values < self.size)
        numbers = labels.values.clamp(max=self.size - 1).unsqueeze(2)
        others = known.unsqueeze(2) & ~F.one_hot(numbers.squeeze(2), self.size).bool()
        ahead = self._ahead(scores, labels.lengths)
        if scores.shape[1] and bool((known == labels.mask).all()):
            told = self._path(scores, Padded(numbers.squeeze(2), labels.lengths))
        else:  # the sum over all ways through what is not known
            told = self._sum(self._ahead(scores.masked_fill(others, -torch.inf), labels.lengths))
        nll = self._sum(ahead) - told
        total = nll.masked_fill(labels.lengths.to(nll.device) == 0, 0.0).sum()
        with torch.no_grad():
            likely = ahead + self._back(scores, labels.lengths)
            correct = (likely.gather(2, numbers) == likely.amax(2, keepdim=True)).squeeze(2) & known
        return TokenLosses(total, total.detach(), correct.sum())

    @torch.no_grad()
    def best(self, scores: Tensor, lengths: Tensor, n_best: int) -> list[list[Labelled]]:
        """The ``n_best`` likeliest labellings of each input, likeliest first; fewer where there are no more.

        Viterbi's algorithm, with the best ``n_best`` ways to every label (Soong & Huang 1991). Arguments are those of
        ``Independent.best``.
        """
        scores, (rows, steps, size) = scores.float(), scores.shape
        if not steps:
            return [[Labelled([], 0.0)] for _ in range(rows)]
        moves = self.moves.masked_fill(self.barred, -torch.inf).unsqueeze(1)
        ways = scores.new_full((rows, size, n_best), -torch.inf)
        ways[:, :, 0] = self.first.masked_fill(self.barred_first, -torch.inf) + scores[:, 0]
        stay = torch.arange(size * n_best, device=scores.device).view(size, n_best)
        real, came = Padded(scores, lengths).mask[:, :, None, None], []
        for step in range(1, steps):
            # [B, from · K, to]: each way to a label, gone on with by each other label.
            values, places = _largest((ways.unsqueeze(3) + moves).flatten(1, 2), n_best)
            arrived = values.transpose(1, 2) + scores[:, step].unsqueeze(2)
            came.append(torch.where(real[:, step], places.transpose(1, 2), stay))
            ways = torch.where(real[:, step], arrived, ways)
        totals, places = _largest((ways + self.last.unsqueeze(1)).flatten(1), n_best)
        path = [places // n_best]
        for before in reversed(came):
            places = before.flatten(1).gather(1, places)
            path.append(places // n_best)
        found = torch.stack(path[::-1], 2).tolist()
        log_probs = (totals - self._sum(self._ahead(scores, lengths)).unsqueeze(1)).tolist()
        return [
            [Labelled(labels[:length], value) for labels, value in zip(*row) if value > -math.inf]
            if length
            else [Labelled([], 0.0)]
            for *row, length in zip(found, log_probs, lengths.tolist())
        ]

    @torch.no_grad()
    def probs(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """How probable each label is at each step, whatever the others are, ``[B, T, V]``: forward-backward."""
        scores = scores.float()
        both = self._ahead(scores, lengths) + self._back(scores, lengths)
        return both.softmax(2)[:, : scores.shape[1]]

    def _path(self, scores: Tensor, labels: Padded) -> Tensor:
        """The score ``[B]`` of the labels ``[B, T]``, all of them known."""
        numbers, real = labels.values, labels.mask
        moves = self.moves.masked_fill(self.barred, math.log(TINY))[numbers[:, :-1], numbers[:, 1:]]
        first = self.first.masked_fill(self.barred_first, math.log(TINY))[numbers[:, 0]]
        last = self.last[numbers.gather(1, labels.lengths.to(numbers.device).clamp(min=1).unsqueeze(1) - 1).squeeze(1)]
        each = scores.gather(2, numbers.unsqueeze(2)).squeeze(2)
        return first + each.where(real, 0.0).sum(1) + moves.where(real[:, 1:], 0.0).sum(1) + last

    def _ahead(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Logarithms ``[B, T, V]`` of the sums over all ways to a label; past its length a row stays as it is."""
        if not scores.shape[1]:
            return torch.zeros_like(scores).sum(1, keepdim=True)
        moves, real = self._moves(), Padded(scores, lengths).mask.unsqueeze(2)
        ways = [self.first.masked_fill(self.barred_first, math.log(TINY)) + scores[:, 0]]
        with _exactly(scores):
            for step in range(1, scores.shape[1]):
                ways.append(torch.where(real[:, step], _moved(ways[-1], moves) + scores[:, step], ways[-1]))
        return torch.stack(ways, 1)

    def _back(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Logarithms ``[B, T, V]`` of the sums over all ways from a label to the end."""
        moves, real = self._moves().T, Padded(scores, lengths).mask.unsqueeze(2)
        ways = [self.last.expand(len(scores), -1)]
        with _exactly(scores):
            for step in range(scores.shape[1] - 1, 0, -1):
                ways.append(torch.where(real[:, step], _moved(ways[-1] + scores[:, step], moves), ways[-1]))
        return torch.stack(ways[::-1], 1)

    def _sum(self, ahead: Tensor) -> Tensor:
        return (ahead[:, -1] + self.last).logsumexp(1)

    def _moves(self) -> Tensor:
        return self.moves.masked_fill(self.barred, -torch.inf).exp()

    def _check(self, labels: Padded) -> None:
        numbers = labels.values
        known = labels.mask & (numbers < self.size)
        numbers = numbers.clamp(max=self.size - 1)
        wrong = self.barred[numbers[:, :-1], numbers[:, 1:]] & known[:, :-1] & known[:, 1:]
        first = self.barred_first[numbers[:, :1]] & known[:, :1]
        for row, step in torch.cat([first, wrong], 1).nonzero()[:1].tolist():
            before = "the beginning" if step == 0 else repr(self.labels[numbers[row, step - 1]])
            raise RowError(
                f"the label {self.labels[numbers[row, step]]!r} follows {before}, which IOB does not allow: begin it "
                "with B-, or let the CRF allow all by iob=false (model.head.steps.structure.iob, of a tagger "
                "model.head.structure.iob)",
                row,
            )


def _exactly(scores: Tensor) -> torch.autocast:
    """Within it products are fp32: what is looked for is a small difference of large sums."""
    return torch.autocast(scores.device.type, enabled=False)


def _moved(ways: Tensor, moves: Tensor) -> Tensor:
    """log(exp(ways) · moves), ``[B, V]``: one product instead of a logarithm of sums for every pair of labels."""
    top = ways.detach().amax(1, keepdim=True)
    return ((ways - top).exp() @ moves).clamp(min=TINY).log() + top


def _largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values along the second axis, largest first, and their places."""
    if count == 1:
        found = values.max(1, keepdim=True)  # many times faster
        return found.values, found.indices
    return torch.topk(values, min(count, values.shape[1]), dim=1)
