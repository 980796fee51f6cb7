"""The network of ``speed.network``, written as one would who thinks of nothing but the equations.

An LSTM cell of torch's at each step of each side, everything that a step needs computed in that step, and the logits of
all tokens at once. It works with the parameters of the toolkit's own network, so that the two can be held against each
other in loss, in gradient, in speed and in what they learn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.types import Padded

BOS = 2


def shifted(tgt: Padded) -> Padded:
    """The decoder's inputs: bos, then all but the last token."""
    bos = torch.full_like(tgt.values[:, :1], BOS)
    return Padded(torch.cat([bos, tgt.values[:, :-1]], 1), tgt.lengths)


def loss(model: Any, src: Padded, tgt: Padded, label_smoothing: float) -> Tensor:
    """The cross-entropy of the real tokens of ``tgt [B, T]``, summed."""
    memory, state = encoded(model.encoder, src)
    logits = model.decoder.output(read(model.decoder, shifted(tgt).values, memory, src.mask, state))
    targets = tgt.values.masked_fill(~tgt.mask, -100)
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-100, label_smoothing=label_smoothing, reduction="sum"
    )


def encoded(encoder: Any, src: Padded) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A source to its memory ``[B, S, D]`` and the last state of both directions."""
    embedded, mask = F.embedding(src.values, encoder.embedding.weight), src.mask.unsqueeze(2)
    steps = range(src.values.shape[1])
    forth = _direction(encoder.recurrent.layers[0][0], embedded, mask, steps)
    back = _direction(encoder.recurrent.layers[0][1], embedded, mask, reversed(steps))
    memory = torch.cat([torch.stack([outputs[t] for t in steps], 1) for outputs, _ in (forth, back)], 2)
    return memory, tuple(torch.cat(parts, 1) for parts in zip(forth[1], back[1]))


def _direction(
    cell: Any, embedded: Tensor, mask: Tensor, steps: Iterable[int]
) -> tuple[dict[int, Tensor], tuple[Tensor, ...]]:
    """The output of each step, and the state after the last of a sequence's own steps."""
    state, outputs = (embedded.new_zeros(len(embedded), cell.hidden_dim),) * 2, {}
    for t in steps:
        new = _cell(cell, cell.input.weight, embedded[:, t], state)
        state = tuple(torch.where(mask[:, t], one, other) for one, other in zip(new, state))
        outputs[t] = state[0]
    return outputs, state


def read(decoder: Any, tokens: Tensor, memory: Tensor, mask: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    """Teacher forcing with input feeding: tokens ``[B, T]`` to readouts ``[B, T, H]``."""
    embedded, keys = F.embedding(tokens, decoder.embedding.weight), decoder.attention.key(memory)
    (cell,) = decoder.recurrent.layers[0]
    feed, outputs = embedded.new_zeros(len(tokens), decoder.readout_dim), []
    weight = torch.cat([cell.input.weight, cell.feedback.weight], 1)
    for t in range(tokens.shape[1]):
        state = _cell(cell, weight, torch.cat([embedded[:, t], feed], 1), state)
        scores = torch.bmm(keys, state[0].unsqueeze(2)).squeeze(2).masked_fill(~mask, -torch.inf)
        context = torch.bmm(scores.softmax(1).unsqueeze(1), memory).squeeze(1)
        feed = torch.tanh(decoder.readout(torch.cat([state[0], context], 1)))
        feed = F.dropout(feed, decoder.dropout, decoder.training)
        outputs.append(feed)
    return torch.stack(outputs, 1)


def _cell(cell: Any, weight: Tensor, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    recurrent, bias = cell.recurrent.weight, cell.input.bias
    return torch.lstm_cell(inputs, list(state), weight, recurrent, bias, torch.zeros_like(bias))
