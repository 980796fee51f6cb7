"""The task of going on with a text: its loss over windows of it, its predictions by search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seq2seq.data.fields import Fields, TextField
from seq2seq.errors import ConfigError, RowError
from seq2seq.models.language_model import LanguageModel, WritingState
from seq2seq.nn.objective import CrossEntropy
from seq2seq.tasks.generation import Search
from seq2seq.tasks.metrics import Metric, metrics_of, scored
from seq2seq.tasks.predictions import Continuation, Prediction
from seq2seq.types import Batch, Example, Hypothesis, Loss, Padded, map_state, select


class LanguageModelling:
    """Predicts each token of a text from all before it. A source is a prompt; its target is what comes after it.

    Args:
        fields: Of prompts and texts, which have one vocabulary.
        objective: From logits to what is minimised.
        search: How a text is gone on with.
        metrics: What that is scored by: names of ``seq2seq.metrics``, or others (see ``tasks.metrics``).
        stop: A text that ends what is written and is not part of it (``\\n`` in it is a newline); None for none.
    """

    def __init__(
        self,
        *,
        fields: Fields,
        objective: CrossEntropy,
        search: Search,
        metrics: Sequence[str | Metric],
        stop: str | None = None,
    ) -> None:
        if not isinstance(fields.tgt, TextField) or fields.src.fingerprint() != fields.tgt.fingerprint():
            raise ConfigError("a language model has one vocabulary for prompts and texts: set tokenizer.joint=true")
        if getattr(search, "coverage_penalty", 0) > 0:
            raise ConfigError("a coverage penalty needs a model with attention: set it to 0")
        self.field, self.objective, self.search, self.metrics = fields.tgt, objective, search, metrics_of(metrics)
        self.stop = stop.replace("\\n", "\n") if stop else None
        self._anchor = int(self.field.encode("a")[0])
        texts = [self._after(True, [index]) for index in range(self.field.size)]
        self._characters = torch.tensor([len(text) for text in texts])
        self._ends = torch.tensor([self.stop is not None and text.startswith(self.stop) for text in texts])

    def loss(self, model: LanguageModel, batch: Batch, update: int = 0) -> Loss:
        """The objective summed over the tokens of windows (see ``data.windows``), of which the first is only read."""
        if batch.follows is None:
            raise ConfigError("a language model is trained on windows of a text, not on pairs: data=text_file")
        window: Padded = batch.tgt
        read = Padded(window.values[:, :-1], window.lengths - 1)
        outputs, state = model.unroll(read, batch.state)
        real, wanted = read.mask, window.values[:, 1:]
        sums = self.objective.through(model.output, outputs[real], wanted[real])
        figures = {"nll": float(sums.nll), "accuracy": float(sums.correct)}
        if not model.training:
            figures["characters"] = float(self._characters[wanted[real].cpu()].sum())
        return Loss(sums.total, int(read.lengths.sum()), figures, map_state(Tensor.detach, state))

    @torch.inference_mode()
    def predict(self, model: LanguageModel, batch: Batch, *, attention: bool = False) -> list[list[Prediction]]:
        """What may come after each prompt; with ``attention`` (there is none) also how probable each token was."""
        self._refuse_unknown(batch)
        prompts = _beginnings(batch.src)
        step, state = model.begin(prompts)
        if self.stop is not None:
            step = step.until(self._ends.to(prompts.values.device), self.field.eos_id)
        eos = self.field.eos_id
        found = self.search(step, state, bos_id=eos, eos_id=eos, src_lengths=batch.src.lengths)
        rows = torch.tensor([row for row, hypotheses in enumerate(found) for _ in hypotheses])
        probs: list[Any] = [None] * len(rows)
        if attention:
            texts = self.field.collate([torch.tensor(h.tokens) for hypotheses in found for h in hypotheses])
            device = prompts.values.device
            forced = self._forced(model, select(state, rows.to(device)), texts.to(device)).exp().cpu()
            probs = [row[:length].tolist() for row, length in zip(forced, texts.lengths)]
        each = iter(probs)
        prompted = (batch.src.lengths > 1).tolist()
        return [
            [self._prediction(hypothesis, next(each), after) for hypothesis in hypotheses]
            for hypotheses, after in zip(found, prompted)
        ]

    @torch.inference_mode()
    def log_probs(self, model: LanguageModel, batch: Batch) -> list[float]:
        """The log-probability of each example's target after its prompt, in nats, eos included."""
        _, state = model.begin(_beginnings(batch.src))
        return self._forced(model, state, batch.tgt).sum(1).tolist()

    def score(self, predictions: list[list[Prediction]], examples: list[Example]) -> dict[str, float]:
        """The metrics of the best prediction for each example."""
        return scored(self.metrics, predictions, examples)

    def _forced(self, model: LanguageModel, state: WritingState, texts: Padded) -> Tensor:
        """The log-probability ``[N, T]`` of each token of texts that go on from a state; 0 at padding."""
        outputs = state.ahead.unsqueeze(1)
        if texts.values.shape[1] > 1:
            read = Padded(texts.values[:, :-1], (texts.lengths - 1).clamp(min=1))
            outputs = torch.cat([outputs, model.unroll(read, state.layers)[0]], dim=1)
        log_probs = model.logits(outputs).float().log_softmax(-1).gather(2, texts.values.unsqueeze(2)).squeeze(2)
        return log_probs.masked_fill(~texts.mask, 0.0)

    def _prediction(self, hypothesis: Hypothesis, probs: list[float] | None, prompted: bool) -> Prediction:
        text, pieces = self._after(prompted, hypothesis.tokens), self.field.pieces(hypothesis.tokens)
        if self.stop is not None:
            text = text.partition(self.stop)[0]
        return Continuation(text, pieces, hypothesis.log_prob, hypothesis.score, probs=probs)

    def _after(self, prompted: bool, tokens: list[int]) -> str:
        """What tokens say up to eos; where text comes before them, with the space that may begin theirs.

        (Of a character that is spelled in bytes, each byte by itself says one.)
        """
        if not prompted:
            return self.field.decode(tokens)
        return self.field.decode([self._anchor, *tokens])[len(self.field.decode([self._anchor])) :]

    def _refuse_unknown(self, batch: Batch) -> None:
        """Stops at a user's prompt of which the model would see nothing but that something is there."""
        unknown = self.field.tokenizer.unk_id
        if batch.tgt is None and bool((batch.src.values == unknown).any()):
            row = int((batch.src.values == unknown).any(1).nonzero()[0])
            text = self.field.decode(batch.src.values[row])
            raise RowError(
                f"the prompt {text!r} has something in the place of {self.field.pieces([unknown])[0]} that the "
                "vocabulary has not: write it otherwise, or train on text that has it",
                row,
            )


def _beginnings(prompts: Padded) -> Padded:
    """Prompts without the eos that ends them; an empty one is an eos, after which a text begins."""
    return Padded(prompts.values, (prompts.lengths - 1).clamp(min=1))
