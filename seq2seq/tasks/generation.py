"""The task of writing a sequence: its loss, its predictions by search, its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from seq2seq.data.fields import Fields, TextField
from seq2seq.errors import ConfigError
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.shortlist import Shortlist
from seq2seq.nn.objective import CrossEntropy, DoublyStochastic
from seq2seq.tasks.metrics import Metric, metrics_of, scored
from seq2seq.tasks.predictions import Prediction
from seq2seq.types import Batch, Example, Hypothesis, Loss, Memory, Padded, State, Step, select


class Search(Protocol):
    """Any search of ``seq2seq.search``."""

    def __call__(
        self, step: Step, state: State, *, bos_id: int, eos_id: int, src_lengths: Tensor
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each input, best first."""
        ...


class Generation:
    """Writes one sequence for each input: translation, captioning, auto-encoding.

    Args:
        fields: Of both sides.
        objective: From logits to what is minimised.
        teacher_forcing: From the number of the update to the probability of feeding the gold token.
        feed: What is fed instead of the gold token: ``sample`` (drawn from the model, as Bengio et al. 2015 do) or
            ``argmax``.
        search: How outputs are looked for.
        metrics: What predictions are scored by: names of ``seq2seq.metrics``, or others (see ``tasks.metrics``).
        shortlist: What outputs may be made of; None for the whole vocabulary.
        penalty: Of the attention, added to the objective; None for none.
    """

    def __init__(
        self,
        *,
        fields: Fields,
        objective: CrossEntropy,
        teacher_forcing: Callable[[int], float],
        feed: str,
        search: Search,
        metrics: Sequence[str | Metric],
        shortlist: Shortlist | None = None,
        penalty: DoublyStochastic | None = None,
    ) -> None:
        if feed not in ("sample", "argmax"):
            raise ConfigError(f"feed={feed!r}: expected sample or argmax")
        if not isinstance(fields.tgt, TextField):
            raise ConfigError(f"generation writes text, but the target's field is a {type(fields.tgt).__name__}")
        self.src, self.tgt, self.objective = fields.src, fields.tgt, objective
        self.teacher_forcing, self.feed = teacher_forcing, feed
        self.search, self.metrics, self.shortlist = search, metrics_of(metrics), shortlist
        self.penalty = penalty

    def loss(self, model: EncoderDecoder, batch: Batch, update: int = 0) -> Loss:
        """The objective summed over the target's real tokens, eos included."""
        tgt: Padded = batch.tgt
        real = tgt.mask.flatten().nonzero().squeeze(1)  # first, as a GPU is waited for here, and has nothing to do yet
        if model.training:
            model.unfreeze(update)
        memory, choose = model.encode(batch.src), self._chooser(update) if model.training else None
        outputs, attention = model.decoder.unroll(self._shifted(tgt), memory, choose)
        readouts, targets = outputs.flatten(0, 1).index_select(0, real), tgt.values.flatten().index_select(0, real)
        sums = self.objective.through(model.decoder.output, readouts, targets)
        total = sums.total
        if self.penalty is not None:
            if attention is None:
                raise ConfigError("a penalty of the attention needs a model with attention: task/penalty=null")
            total = total + self.penalty(attention, tgt.mask, memory.mask)
        return Loss(total, len(real), {"nll": sums.nll, "accuracy": sums.correct})

    @torch.inference_mode()
    def predict(self, model: EncoderDecoder, batch: Batch, *, attention: bool = False) -> list[list[Prediction]]:
        """The search's hypotheses for each example, best first. An input that holds nothing gets an empty output.

        Args:
            model: In evaluation mode.
            batch: Its targets are not looked at.
            attention: Also gives the attention over the input, where it says anything: not one that is always the same.
        """
        src: Padded = batch.src
        memory = model.encode(src)
        found = self._found(model, memory, src)
        maps = self._attention(model, memory, found) if attention else _no_maps(found)
        inputs = Padded(src.values.cpu(), src.lengths.cpu())
        empty = [self.src.is_empty(row[:length]) for row, length in zip(inputs.values, inputs.lengths)]
        return [
            [Prediction("", [], 0.0, 0.0)]
            if nothing
            else [self._prediction(hypothesis, weights) for hypothesis, weights in zip(hypotheses, weighted)]
            for nothing, hypotheses, weighted in zip(empty, found, maps)
        ]

    def _found(self, model: EncoderDecoder, memory: Memory, src: Padded) -> list[list[Hypothesis]]:
        step, state = model.begin(memory, coverage=getattr(self.search, "coverage_penalty", 0) > 0)
        bos, eos = self.tgt.bos_id, self.tgt.eos_id
        if self.shortlist is None:
            return self.search(step, state, bos_id=bos, eos_id=eos, src_lengths=src.lengths)
        listed = self.shortlist.bind(step, src)
        ids = {"bos_id": listed.place(bos), "eos_id": listed.place(eos)}
        return listed.named(self.search(listed, state, **ids, src_lengths=src.lengths))

    @torch.inference_mode()
    def log_probs(self, model: EncoderDecoder, batch: Batch) -> list[float]:
        """The log-probability of each example's target given its source, in nats, eos included."""
        tgt: Padded = batch.tgt
        outputs = model(batch.src, self._shifted(tgt)).outputs
        log_probs = model.logits(outputs).float().log_softmax(-1).gather(2, tgt.values.unsqueeze(2)).squeeze(2)
        return log_probs.masked_fill(~tgt.mask, 0.0).sum(1).tolist()

    def score(self, predictions: list[list[Prediction]], examples: list[Example]) -> dict[str, float]:
        """The metrics of the best prediction for each example."""
        return scored(self.metrics, predictions, examples)

    def _shifted(self, tgt: Padded) -> Padded:
        """The decoder's inputs: bos, then all but the last token."""
        bos = torch.full_like(tgt.values[:, :1], self.tgt.bos_id)
        return Padded(torch.cat([bos, tgt.values[:, :-1]], dim=1), tgt.lengths)

    def _chooser(self, update: int) -> Callable[[Tensor, Tensor], Tensor] | None:
        gold_share = self.teacher_forcing(update)
        if gold_share >= 1:
            return None

        def choose(gold: Tensor, logits: Tensor) -> Tensor:
            own = logits.argmax(1) if self.feed == "argmax" else logits.float().softmax(1).multinomial(1).squeeze(1)
            return torch.where(torch.rand(gold.shape, device=gold.device) < gold_share, gold, own)

        return choose

    def _attention(
        self, model: EncoderDecoder, memory: Memory, found: list[list[Hypothesis]]
    ) -> list[list[Tensor | None]]:
        """The attention of every hypothesis, by forced decoding: the search itself need not carry it."""
        looks = model.decoder.attention
        if looks is None or looks.constant:
            return _no_maps(found)
        rows = [row for row, hypotheses in enumerate(found) for _ in hypotheses]
        tgt = self.tgt.collate([torch.tensor(h.tokens) for hypotheses in found for h in hypotheses])
        chosen = torch.tensor(rows, device=memory.values.device)
        tgt = Padded(tgt.values.to(chosen.device), tgt.lengths)
        weights = model.decoder.unroll(self._shifted(tgt), select(memory, chosen)).attention
        assert weights is not None, "a decoder that attends says where"
        positions = memory.mask.sum(1).tolist()
        maps = iter(weights[i, : tgt.lengths[i], : positions[row]].float().cpu() for i, row in enumerate(rows))
        return [[next(maps) for _ in hypotheses] for hypotheses in found]

    def _prediction(self, hypothesis: Hypothesis, attention: Tensor | None) -> Prediction:
        text, pieces = self.tgt.decode(hypothesis.tokens), self.tgt.pieces(hypothesis.tokens)
        return Prediction(text, pieces, hypothesis.log_prob, hypothesis.score, attention)


def _no_maps(found: list[list[Hypothesis]]) -> list[list[Tensor | None]]:
    return [[None] * len(hypotheses) for hypotheses in found]
