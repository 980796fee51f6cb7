"""Stacks of recurrent layers, over whole sequences or one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError, nearest
from seq2seq.nn.cells import CELLS, Cell, CellState
from seq2seq.nn.dropout import check_rates, sequence_mask
from seq2seq.types import Padded


class Masks(NamedTuple):
    """A layer's variational dropout for one batch of sequences."""

    inputs: Tensor
    """[B, input features]"""
    hidden: Tensor
    """[B, H]"""


class RecurrentState(NamedTuple):
    """The state of a stack: that of each layer, and the dropout masks that its sequences were begun with."""

    layers: tuple[CellState, ...]
    masks: tuple[Masks, ...]
    """One for each layer while training with variational dropout, else empty"""


class Recurrent(nn.Module):
    """Layers of one kind of cell, uni- or bidirectional.

    Args:
        cell: A name in ``nn.cells.CELLS``, such as ``lstm``, or a class with their constructor.
        input_dim: Features of the input.
        hidden_dim: Features of the hidden state of each direction.
        num_layers: Depth.
        bidirectional: Reads each sequence from both ends and concatenates; ``output_dim`` is then 2·hidden_dim.
        residual: Adds a layer's input to its output, from the second layer on.
        dropout: Share of features dropped between layers (never on the first input or the last output), anew at
            every step.
        variational_dropout: Share dropped from the inputs of every layer and from the hidden state on its way into
            the recurrent product, the same features at every step of a sequence (Gal & Ghahramani 2016).
        feedback_dim: Features of the first layer's feedback input, see ``Cell``.
    """

    def __init__(
        self,
        *,
        cell: str | Callable[..., Cell],
        input_dim: int,
        hidden_dim: int,
        num_layers: int,
        bidirectional: bool,
        residual: bool,
        dropout: float,
        variational_dropout: float,
        feedback_dim: int = 0,
    ) -> None:
        super().__init__()
        if num_layers < 1 or hidden_dim < 1:
            raise ConfigError(f"num_layers={num_layers}, hidden_dim={hidden_dim}: both must be at least 1")
        check_rates(dropout=dropout, variational_dropout=variational_dropout)
        if dropout and variational_dropout:
            raise ConfigError("dropout and variational_dropout of recurrent layers exclude each other: set one to 0")
        if dropout and num_layers == 1:
            raise ConfigError(f"dropout={dropout} acts between layers, and there is only one: set it to 0")
        if feedback_dim and bidirectional:
            raise ConfigError("a bidirectional stack cannot be fed back: it needs the whole input first")
        if isinstance(cell, str):
            if cell not in CELLS:
                raise ConfigError(f"no cell is called {cell!r}: {nearest(cell, CELLS)}")
            cell = CELLS[cell]
        directions = 2 if bidirectional else 1
        self.hidden_dim, self.num_layers, self.bidirectional = hidden_dim, num_layers, bidirectional
        self.output_dim = directions * hidden_dim
        self.residual, self.dropout, self.variational_dropout = residual, dropout, variational_dropout
        self.layers = nn.ModuleList()
        for layer in range(num_layers):
            size = input_dim if layer == 0 else self.output_dim
            feedback = feedback_dim if layer == 0 else 0
            cells = [cell(input_dim=size, hidden_dim=hidden_dim, feedback_dim=feedback) for _ in range(directions)]
            self.layers.append(nn.ModuleList(cells))

    @property
    def parts(self) -> int:
        """How many tensors the state of a layer has."""
        return self._cell(0).parts

    def begin(self, layers: tuple[CellState, ...]) -> RecurrentState:
        """The state that a batch of sequences starts from, given that of each layer; draws the dropout masks."""
        masks: tuple[Masks, ...] = ()
        if self.training and self.variational_dropout:
            rate, hidden = self.variational_dropout, layers[0][0]
            sizes = [(self._cell(layer).input_dim, self.hidden_dim) for layer in range(self.num_layers)]
            masks = tuple(Masks(*(sequence_mask(len(hidden), n, rate, hidden) for n in pair)) for pair in sizes)
        return RecurrentState(layers, masks)

    def start(self, rows: int, device: torch.device | None = None) -> RecurrentState:
        """Begins ``rows`` sequences from zeros."""
        return self.begin(tuple(self._cell(layer).start(rows, device) for layer in range(self.num_layers)))

    def project(self, inputs: Tensor, state: RecurrentState) -> Tensor:
        """The first layer's share of inputs ``[B, T, input_dim]``, ``[B, T, gates·H]``; ``step`` takes one step."""
        if state.masks:
            inputs = inputs * state.masks[0].inputs.unsqueeze(1)
        return self._cell(0).project(inputs)

    def step(
        self, projected: Tensor, state: RecurrentState, feedback: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """One step of a unidirectional stack: a projected input ``[N, gates·H]`` to the output ``[N, H]``."""
        layers, output = [], projected
        for layer, cell_state in enumerate(state.layers):
            cell, masks = self._cell(layer), state.masks[layer] if state.masks else None
            if layer == 0:
                residual = None
                gates, cell_state = cell.fed(projected, cell_state, feedback)
            else:
                residual = output
                gates = cell.project(self._between(output) if masks is None else output * masks.inputs)
            new = cell.step(gates, cell_state, masks.hidden if masks else None)
            layers.append(new)
            output = new[0] if residual is None or not self.residual else new[0] + residual
        return output, RecurrentState(tuple(layers), state.masks)

    def unroll(
        self, inputs: Padded, state: RecurrentState | None = None, feedback: Tensor | None = None
    ) -> tuple[Tensor, tuple[CellState, ...]]:
        """Whole sequences: ``[B, T, input_dim]`` to outputs ``[B, T, output_dim]`` and the last state of each layer.

        The last state is that after each sequence's own last step; for two directions, that of the second (which
        ends on the first step) follows the first's in the features. ``feedback [B, feedback_dim]`` is one that is the
        same at every step.
        """
        lengths = inputs.lengths.to(inputs.values.device)
        if state is None:
            state = self.start(len(lengths), lengths.device)
        output, finals = inputs.values, []
        for layer in range(self.num_layers):
            cells: Any = self.layers[layer]
            masks = state.masks[layer] if state.masks else None
            below = output
            if masks is not None:
                below = output * masks.inputs.unsqueeze(1)
            elif layer:
                below = self._between(output)
            hidden_mask = masks.hidden if masks else None
            fed = feedback if layer == 0 else None
            directions = [cells[0].unroll(Padded(below, lengths), state.layers[layer], hidden_mask, fed)]
            if len(cells) == 2:
                backwards = Padded(reverse(below, lengths), lengths)
                directions.append(cells[1].unroll(backwards, state.layers[layer], hidden_mask))
            finals.append(tuple(torch.cat(parts, dim=1) for parts in zip(*(final for _, final in directions))))
            hidden = [directions[0][0]] + [reverse(outputs, lengths) for outputs, _ in directions[1:]]
            above = torch.cat(hidden, dim=2) if len(hidden) > 1 else hidden[0]
            output = above + output if self.residual and layer else above
        return output, tuple(finals)

    def _between(self, output: Tensor) -> Tensor:
        return F.dropout(output, self.dropout, self.training)

    def _cell(self, layer: int) -> Cell:
        cells: Any = self.layers[layer]
        return cells[0]


def reverse(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverses the real steps of each sequence ``[B, T, D]`` and leaves its padding at the end."""
    steps = torch.arange(values.shape[1], device=values.device)
    source = lengths.unsqueeze(1) - 1 - steps
    source = torch.where(source >= 0, source, steps)
    return values.gather(1, source.unsqueeze(2).expand_as(values))
