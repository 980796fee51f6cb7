"""Training on a metric: what the model itself has drawn is made likelier where it is worth more than a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seq2seq.data.datasets import Dataset
from seq2seq.data.fields import Fields
from seq2seq.errors import ConfigError, nearest
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.shortlist import Shortlist
from seq2seq.nn.objective import CrossEntropy
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.sample import Sample
from seq2seq.tasks.generation import Generation, Search
from seq2seq.tasks.metrics import Metric
from seq2seq.tasks.rewards import Reward
from seq2seq.types import Batch, Loss, Memory, Padded

BASELINES, DRAWS = ("greedy", "mean"), ("sample", "beam")


class _Outputs(NamedTuple):
    """What a search has found, W outputs of each input, those of the first input first."""

    tokens: list[list[int]]
    finished: list[bool]
    """Whether an output ended by itself, and not because it had come to the greatest length"""


class SelfCritical(Generation):
    """Raises the expected reward of what the model writes: self-critical sequence training (Rennie et al. 2017).

    The loss of a batch is the sum over samples of -(r(y) - b) log p(y | x), whose gradient is an unbiased estimate of
    that of the negative expected reward (their eq. 5 to 9). With the baseline ``greedy``, b is the reward of the
    greedy output; with ``mean``, the mean reward of the other samples of the same input (Luo 2020, "A Better Variant
    of Self-Critical Sequence Training", eq. 4). Neither changes the expectation, since b does not depend on y. With
    sentence BLEU as the reward, this is training for minimum risk.

    With ``draw=beam`` the outputs are those of a beam (as Cornia et al. 2020 do in "Meshed-Memory Transformer"). The
    estimate is biased then, but of what will be chosen among: samples may be far from what a search finds.

    The decoder draws and is trained without dropout, as otherwise it would not be the same model that does both. A
    sample of the greatest length is cut there: it is not finished, and its eos was no choice and has no gradient.

    Outside training the loss is that of ``Generation``, so that validations remain comparable.

    Args:
        fields, objective, teacher_forcing, feed, search, metrics, shortlist: See ``Generation``.
        reward: What an output is worth.
        baseline: ``greedy`` or ``mean``.
        draw: ``sample``, from the model's distribution, or ``beam``, all that ``search`` finds with as large a beam.
        samples: Outputs drawn for each input; ``mean`` needs two or more.
        limits: How long samples may be; that they must not be too short does not hold for them.
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
        reward: Reward,
        baseline: str,
        draw: str,
        samples: int,
        limits: Limits,
        shortlist: Shortlist | None = None,
    ) -> None:
        super().__init__(
            fields=fields,
            objective=objective,
            teacher_forcing=teacher_forcing,
            feed=feed,
            search=search,
            metrics=metrics,
            shortlist=shortlist,
        )
        if baseline not in BASELINES:
            raise ConfigError(f"baseline={baseline!r}: {nearest(baseline, BASELINES)}")
        if baseline == "mean" and samples < 2:
            raise ConfigError(
                f"baseline=mean compares samples of one input, so samples={samples} is too few: 2 or more"
            )
        self.reward, self.baseline = reward, baseline
        self.limits = replace(limits, min_ratio=0.0)
        if draw not in DRAWS:
            raise ConfigError(f"draw={draw!r}: {nearest(draw, DRAWS)}")
        self.sample: Search
        if draw == "sample":
            self.sample = Sample(limits=self.limits, samples=samples, temperature=1.0, top_k=None, top_p=None)
        elif isinstance(search, BeamSearch):
            self.sample = replace(search, limits=self.limits, beam_size=samples, n_best=samples)
        else:
            raise ConfigError("draw=beam takes what a beam search finds: search=beam, or draw=sample")
        self.greedy = Greedy(limits=self.limits)
        self._data: Dataset | None = None

    def learn(self, data: Dataset, folder: Path) -> None:
        """Gets to know the training data, whose references outputs are held against; before the first loss.

        Args:
            data: What is trained on.
            folder: Of the run, for what the reward learns of all references.
        """
        self._data = data
        self.reward.learn((self._references(index) for index in range(len(data))), folder)

    def loss(self, model: EncoderDecoder, batch: Batch, update: int = 0) -> Loss:
        """While training, the sum over all samples, whose number is the count; otherwise as in ``Generation``."""
        if not model.training:
            return super().loss(model, batch, update)
        model.unfreeze(update)
        memory = model.encode(batch.src)
        with _without_dropout(model.decoder):
            drawn = self._search(model, memory, batch.src, self.sample)
            rewards = self._rewards(drawn, batch.indices)
            if self.baseline == "greedy":
                best = self._search(model, memory, batch.src, self.greedy)
                baselines = np.broadcast_to(self._rewards(best, batch.indices), rewards.shape)
            else:
                baselines = (rewards.sum(1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
            total = self._total(model, memory, drawn, rewards - baselines)
        figures = {
            "reward": float(rewards.sum()),
            "baseline": float(baselines.sum()),
            "sample_length": float(sum(map(len, drawn.tokens))),
            "unfinished": float(len(drawn.finished) - sum(drawn.finished)),
        }
        return Loss(total, rewards.size, figures)

    def _search(self, model: EncoderDecoder, memory: Memory, src: Padded, search: Search) -> _Outputs:
        with torch.inference_mode():
            step, state = model.begin(memory)
            bos, eos = self.tgt.bos_id, self.tgt.eos_id
            found = search(step, state, bos_id=bos, eos_id=eos, src_lengths=src.lengths)
        # Weights that autocast has cast in there know no gradient, and it would use them again.
        torch.clear_autocast_cache()
        maxima = self.limits.maxima(src.lengths.cpu().numpy()).tolist()
        tokens = [hypothesis.tokens for hypotheses in found for hypothesis in hypotheses]
        if len({*map(len, found)}) > 1:
            raise ConfigError("a beam of this size finds fewer outputs for some inputs: choose fewer samples")
        ended = [len(h.tokens) < most for hypotheses, most in zip(found, maxima) for h in hypotheses]
        return _Outputs(tokens, ended)

    def _rewards(self, outputs: _Outputs, indices: list[int]) -> np.ndarray:
        """The reward of every output ``[B, W]``."""
        width = len(outputs.tokens) // len(indices)
        references = [each for index in indices for each in [self._references(index)] * width]
        texts = [self.tgt.decode(tokens) for tokens in outputs.tokens]
        scores = self.reward.scores(texts, references, outputs.finished)
        return np.array(scores, dtype=np.float64).reshape(-1, width)

    def _total(self, model: EncoderDecoder, memory: Memory, drawn: _Outputs, advantages: np.ndarray) -> Tensor:
        """-Σ advantage · log p(sample), by forced decoding."""
        device = memory.values.device
        samples = self.tgt.collate([torch.tensor(tokens) for tokens in drawn.tokens]).to(device)
        chosen = samples.lengths - (~torch.tensor(drawn.finished, device=device)).long()
        real = Padded(samples.values, chosen).mask
        weights = torch.from_numpy(advantages.reshape(-1, 1)).float().to(device).expand(real.shape)
        outputs = model.decoder.unroll(self._shifted(samples), memory).outputs
        plain = CrossEntropy(label_smoothing=0.0)
        return plain.through(model.decoder.output, outputs[real], samples.values[real], weights[real]).total

    def _references(self, index: int) -> Sequence[str]:
        assert self._data is not None, "training data come before the first loss"
        target = self._data.example(index).tgt
        return target if isinstance(target, tuple) else (target,)


@contextmanager
def _without_dropout(module: nn.Module) -> Iterator[None]:
    """Within it, a module that is trained computes as one that is used."""
    module.eval()
    try:
        yield
    finally:
        module.train()
