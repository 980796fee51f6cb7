"""Beam search: the likeliest few hypotheses side by side.

The beam shrinks (Sutskever et al. 2014, section 3.2): a hypothesis that ends leaves it and takes its place along, so
that an input with a beam of K has at most K finished hypotheses, and a beam of 1 is greedy search whatever the penalty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.search.candidates import ban_eos, best_tokens, device_of, leaving, only_eos, refuse_nan, to_host
from seq2seq.search.history import History
from seq2seq.search.limits import Limits
from seq2seq.search.scoring import LengthPenalty, coverage_score
from seq2seq.types import Hypothesis, State, Step, select

Array = npt.NDArray[Any]


class _Inputs(NamedTuple):
    """The inputs still being decoded, on the host; B of them."""

    ids: Array
    """[B], their places in the batch that was given"""
    maxima: Array
    """[B], greatest lengths"""
    minima: Array
    """[B], least lengths"""
    places: Array
    """[B], how many places of the beam are not taken by finished hypotheses"""
    best: Array
    """[B, n_best], scores of the best finished hypotheses, best first; -inf where there are fewer"""


class _Candidates(NamedTuple):
    """The best continuations of each input, best first, on the host; B inputs with C each."""

    log_probs: Array
    """[B, C], in nats, summed over all tokens; -inf where there are fewer"""
    tokens: Array
    """[B, C]"""
    parents: Array
    """[B, C], the rows that they continue"""
    coverage: Array
    """[B, C], coverage penalty that they would have if they ended here"""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """Keeps the ``beam_size`` likeliest hypotheses at every step, and ranks the finished ones by score.

    An input is finished when no living hypothesis can still come among its ``n_best``, which is known exactly: a
    log-probability can only fall, and the length penalty is greatest at the greatest length.

    Args:
        limits: how long and how short an output may be.
        beam_size: K.
        length_penalty: how finished hypotheses of different lengths are compared.
        n_best: how many hypotheses to return for each input, at most ``beam_size``.
        coverage_penalty: beta of Wu et al. 2016, equation 14; above 0 the model must have attention.
    """

    limits: Limits
    beam_size: int
    length_penalty: LengthPenalty
    n_best: int = 1
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ConfigError(f"beam_size is {self.beam_size}, but must be 1 or more")
        if not 1 <= self.n_best <= self.beam_size:
            raise ConfigError(f"n_best is {self.n_best}, but must be from 1 to beam_size, which is {self.beam_size}")
        if not self.coverage_penalty >= 0:
            raise ConfigError(f"coverage_penalty is {self.coverage_penalty}, but must be 0 or more")

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
            For each input its ``n_best`` hypotheses, best first; fewer only where fewer are possible.
        """
        device, inputs = device_of(state), self._start(src_lengths.cpu().numpy())
        history = History(len(inputs.ids))
        tokens = torch.full((len(inputs.ids),), bos_id, device=device)
        totals = torch.zeros(len(inputs.ids), device=device)
        length = 0
        while len(inputs.ids):
            length += 1
            log_probs, state = step(tokens, state)
            candidates = self._expand(log_probs, totals, inputs, length, eos_id, step, state)
            inputs, alive = self._finish(candidates, inputs, length, eos_id, history)
            kept = leaving(alive.max(axis=1))
            if kept is not None:
                inputs = _Inputs(*(array[kept] for array in inputs))
                candidates = _Candidates(*(array[kept] for array in candidates))
                alive = alive[kept]
                if not len(kept):
                    break
                step = step.keep(torch.from_numpy(kept).to(device))
            # The living first, in their order; as many places as the input with the most of them needs.
            width = alive.sum(axis=1).max()
            order = np.argsort(~alive, axis=1, kind="stable")[:, :width]
            flat = (order + np.arange(0, alive.size, alive.shape[1])[:, None]).ravel()
            sums, chosen, parents = (array.ravel()[flat] for array in candidates[:3])
            sums[~alive.ravel()[flat]] = -np.inf
            history.advance(parents=parents, tokens=chosen)
            if len(parents) != len(tokens) or (parents != np.arange(len(parents))).any():
                state = select(state, torch.from_numpy(parents).to(device))
            tokens, totals = torch.from_numpy(chosen).to(device), torch.from_numpy(sums).to(device)
        return history.hypotheses(eos_id=eos_id, n_best=self.n_best)

    def _start(self, src_lengths: Array) -> _Inputs:
        batch = len(src_lengths)
        return _Inputs(
            ids=np.arange(batch),
            maxima=self.limits.maxima(src_lengths),
            minima=self.limits.minima(src_lengths),
            places=np.full(batch, self.beam_size),
            best=np.full((batch, self.n_best), -np.inf),
        )

    def _expand(
        self, log_probs: Tensor, totals: Tensor, inputs: _Inputs, length: int, eos_id: int, step: Step, state: State
    ) -> _Candidates:
        """The ``beam_size`` best continuations of each input's W hypotheses, from ``log_probs`` [B·W, V]."""
        batch = len(inputs.ids)
        width = len(totals) // batch
        log_probs = ban_eos(log_probs, inputs.minima > length, eos_id)
        values, tokens = best_tokens(log_probs, self.beam_size)
        values, tokens = only_eos(values, tokens, log_probs, inputs.maxima == length, eos_id)
        each = values.shape[1]
        sums = (values + totals[:, None]).view(batch, width * each)
        # Sorted and not topk, which leaves open which of equal candidates it takes.
        sums, places = (part[:, : self.beam_size] for part in sums.sort(dim=1, descending=True, stable=True))
        arrays = [sums, tokens.view(batch, width * each).gather(1, places), places]
        if self.coverage_penalty > 0:
            penalties = coverage_score(step.coverage(state), self.coverage_penalty).view(batch, width)
            arrays.append(penalties.gather(1, places // each))
        host = to_host(*arrays)
        refuse_nan(host[0])
        parents = host[2] // each + np.arange(0, batch * width, width)[:, None]
        return _Candidates(host[0], host[1], parents, host[3] if len(host) > 3 else np.zeros_like(host[0]))

    def _finish(
        self, candidates: _Candidates, inputs: _Inputs, length: int, eos_id: int, history: History
    ) -> tuple[_Inputs, Array]:
        """Takes the hypotheses that end now out of the beam; returns the inputs and which candidates [B, C] live on."""
        log_probs = candidates.log_probs
        inside = (log_probs > -np.inf) & (np.arange(log_probs.shape[1]) < inputs.places[:, None])
        ended = inside & (candidates.tokens == eos_id)
        if ended.any():
            scores = self.length_penalty.score(log_probs, np.array(length)) + candidates.coverage
            history.finish(
                inputs=inputs.ids[ended.nonzero()[0]],
                parents=candidates.parents[ended],
                log_probs=log_probs[ended],
                scores=scores[ended],
            )
            best = np.concatenate([inputs.best, np.where(ended, scores, -np.inf)], axis=1)
            best = -np.sort(-best, axis=1)[:, : self.n_best]
            inputs = inputs._replace(best=best, places=inputs.places - ended.sum(axis=1))
        alive = inside & ~ended
        leaders = np.where(alive, log_probs, -np.inf).max(axis=1)
        hopeful = self.length_penalty.bound(leaders, inputs.maxima) > inputs.best[:, -1]
        return inputs, alive & hopeful[:, None]
