"""Sampling: outputs drawn token by token, as probable as the model says they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.search.candidates import ban_eos, device_of, leaving, only_eos, refuse_nan, to_host
from seq2seq.search.history import History
from seq2seq.search.limits import Limits
from seq2seq.types import Hypothesis, State, Step, select


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Draws every token at random, ``samples`` outputs for each input, independent of each other.

    Args:
        limits: how long an output may be.
        samples: outputs of each input; the same one may be drawn twice.
        temperature: what log-probabilities are divided by before drawing: below 1 likely tokens become likelier.
        top_k: draw from the ``top_k`` likeliest tokens only (Fan et al. 2018); None for all.
        top_p: draw from the fewest tokens that are together at least so probable (Holtzman et al. 2020); None for all.
        seed: every call begins its random numbers with it; None goes on with torch's own, whose state a run saves.
    """

    limits: Limits
    samples: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigError(f"samples={self.samples}: expected the number of outputs of each input, 1 or more")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature={self.temperature}: expected a number above 0; beam_size=1 is its limit")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k={self.top_k}: expected a number of tokens, 1 or more, or null for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p={self.top_p}: expected a probability above 0 and up to 1, or null for all")

    @torch.inference_mode()
    def __call__(
        self, step: Step, state: State, *, bos_id: int, eos_id: int, src_lengths: Tensor
    ) -> list[list[Hypothesis]]:
        """Draws outputs for a batch.

        Args:
            step: the model, bound to B inputs.
            state: its first state, of B rows.
            bos_id: what the model is fed first.
            eos_id: what ends an output.
            src_lengths: [B], lengths of the inputs, which the limits are relative to.

        Returns:
            For each input its samples, the likeliest first. A score is the model's own log-probability, whatever the
            temperature.
        """
        device, lengths, width = device_of(state), src_lengths.cpu().numpy(), self.samples
        generator = None if self.seed is None else torch.Generator(device).manual_seed(self.seed)
        inputs = np.arange(len(lengths))
        maxima, minima = self.limits.maxima(lengths), self.limits.minima(lengths)
        log_probs = np.zeros(len(lengths) * width, dtype=np.float32)
        alive = np.ones(len(log_probs), dtype=bool)
        history = History(len(lengths))
        state = select(state, torch.arange(len(lengths), device=device).repeat_interleave(width))
        tokens = torch.full((len(log_probs),), bos_id, device=device)
        length = 0
        while alive.any():
            length += 1
            predicted, state = step(tokens, state)
            predicted = ban_eos(predicted, minima > length, eos_id)
            drawn = self._drawn(predicted, generator)
            values, drawn = only_eos(predicted.gather(1, drawn), drawn, predicted, maxima == length, eos_id)
            tokens = drawn.squeeze(1)
            chosen, gained = to_host(tokens, values.float().squeeze(1))
            refuse_nan(gained[alive])
            log_probs = log_probs + gained
            alive &= log_probs > -np.inf
            ended = (alive & (chosen == eos_id)).nonzero()[0]
            if len(ended):
                totals = log_probs[ended]
                history.finish(inputs=inputs[ended // width], parents=ended, log_probs=totals, scores=totals)
                alive[ended] = False
            kept = leaving(np.logical_or.reduce(alive.reshape(-1, width), axis=1))
            if kept is None:
                history.advance(parents=np.arange(len(chosen)), tokens=chosen)
                continue
            rows = (kept[:, None] * width + np.arange(width)).reshape(-1)
            history.advance(parents=rows, tokens=chosen[rows])
            inputs, maxima, minima = inputs[kept], maxima[kept], minima[kept]
            log_probs, alive = log_probs[rows], alive[rows]
            if len(rows):
                there = torch.from_numpy(rows).to(device)
                step = step.keep(torch.from_numpy(kept).to(device))
                state, tokens = select(state, there), tokens[there]
        return history.hypotheses(eos_id=eos_id, n_best=width)

    def _drawn(self, log_probs: Tensor, generator: torch.Generator | None) -> Tensor:
        """A token of each row ``[N, 1]``, drawn from ``log_probs`` [N, V] after temperature and truncation."""
        probs = truncated((log_probs.float() / self.temperature).softmax(1), top_k=self.top_k, top_p=self.top_p)
        # The first of exponential clocks to ring, each as fast as its token is probable. Unlike multinomial it lets
        # numbers that are none pass, so that they are told of as in every search.
        return (probs / torch.empty_like(probs).exponential_(generator=generator)).argmax(1, keepdim=True)


def truncated(probs: Tensor, *, top_k: int | None, top_p: float | None) -> Tensor:
    """Probabilities ``[N, V]`` with 0 for all but the likeliest tokens, at least one; not divided by what is left."""
    if top_k is None and top_p is None:
        return probs
    sorted_probs, ids = probs.sort(dim=1, descending=True, stable=True)
    if top_k is not None:
        sorted_probs[:, top_k:] = 0.0
    if top_p is not None:
        whole = sorted_probs.sum(1, keepdim=True)
        before = sorted_probs.cumsum(1) - sorted_probs
        sorted_probs = sorted_probs.masked_fill(before >= top_p * whole, 0.0)
    return torch.zeros_like(probs).scatter(1, ids, sorted_probs)
