"""Greedy search: the likeliest token at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seq2seq.search.candidates import ban_eos, best_tokens, device_of, leaving, only_eos, refuse_nan, to_host
from seq2seq.search.history import History
from seq2seq.search.limits import Limits
from seq2seq.types import Hypothesis, State, Step, select


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Takes the likeliest token at every step; of equally likely ones the lowest id.

    Args:
        limits: how long an output may be.
    """

    limits: Limits

    @torch.inference_mode()
    def __call__(
        self, step: Step, state: State, *, bos_id: int, eos_id: int, src_lengths: Tensor
    ) -> list[list[Hypothesis]]:
        """Decodes a batch.

        Args:
            step: the model, bound to B inputs.
            state: its first state, of B rows.
            bos_id: what the model is fed first.
            eos_id: what ends an output.
            src_lengths: [B], lengths of the inputs, which the limits are relative to.

        Returns:
            For each input a list of one hypothesis, whose score is its log-probability.
        """
        device, lengths = device_of(state), src_lengths.cpu().numpy()
        inputs, log_probs = np.arange(len(lengths)), np.zeros(len(lengths), dtype=np.float32)
        alive = np.ones(len(lengths), dtype=bool)
        maxima, minima = self.limits.maxima(lengths), self.limits.minima(lengths)
        history = History(len(lengths))
        tokens = torch.full((len(lengths),), bos_id, device=device)
        length = 0
        while alive.any():
            length += 1
            predicted, state = step(tokens, state)
            predicted = ban_eos(predicted, minima > length, eos_id)
            values, tokens = best_tokens(predicted, 1)
            values, tokens = only_eos(values, tokens, predicted, maxima == length, eos_id)
            tokens = tokens.squeeze(1)
            chosen, gained = to_host(tokens, values)
            refuse_nan(gained[alive])
            log_probs = log_probs + gained[:, 0]
            alive &= log_probs > -np.inf
            ended = (alive & (chosen == eos_id)).nonzero()[0]
            if len(ended):
                totals = log_probs[ended]
                history.finish(inputs=inputs[ended], parents=ended, log_probs=totals, scores=totals)
                alive[ended] = False
            rows = leaving(alive)
            if rows is None:
                history.advance(parents=np.arange(len(chosen)), tokens=chosen)
                continue
            history.advance(parents=rows, tokens=chosen[rows])
            inputs, log_probs, alive = inputs[rows], log_probs[rows], alive[rows]
            maxima, minima = maxima[rows], minima[rows]
            if len(rows):
                kept = torch.from_numpy(rows).to(device)
                step, state, tokens = step.keep(kept), select(state, kept), tokens[kept]
        return history.hypotheses(eos_id=eos_id, n_best=1)
