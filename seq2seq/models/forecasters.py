"""Forecasters: from a window of one or several series to the numbers that come after it.

A window is brought to mean 0 and deviation 1 by itself, and what is foretold goes the way back, so that a model that
has seen a series at one height can foretell it at another (Kim et al. 2022, whose learned scales are left out). Source
and target are the same series, so they need one scale: a field with ``scale=both`` on either side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError, RowError
from seq2seq.models.predictors import Predictor, Reading
from seq2seq.types import Padded, State, select

_LEAST = 1e-3
"""Of a window's deviation, that a series which stood still in it is not divided by nothing"""


class Direct(Predictor):
    """Tells all steps to come at once.

    Args:
        encoder, head: See ``Predictor``; the head tells as many steps of an input as its ``length``.
        season: What is read and told are differences from so many steps before, such as 12 for months; of steps more
            than a season ahead, from the last season known. None: the numbers themselves.
    """

    def __init__(self, *, encoder: nn.Module, head: Callable[..., nn.Module], season: int | None) -> None:
        super().__init__(encoder=encoder, head=head)
        if season is not None and season < 1:
            raise ConfigError(f"season={season}: expected a number of steps, 1 or more, or null")
        self.season = season

    def forward(self, src: Padded, state: State = None) -> Reading:
        """Windows ``[B, S, F]`` to what the head tells of the steps after them, in the units of the windows."""
        window, level, spread = levelled(src if self.season is None else _differences(src, self.season))
        read = super().forward(window, state)
        if self.season is not None:
            level = level + _again(src, self.season, read.values.shape[1])
        return read._replace(values=self.head.structure.moved(read.values, level, spread))


class Fed(Predictor):
    """Tells one step after another, each from the one before, which in training is the true one.

    How sure it is of a step is told by drawing ``paths`` futures and looking at where they are by then (Salinas et al.
    2020, section 3). The same noise is drawn for every window, so that no forecast depends on its neighbours.

    Args:
        encoder: Reads a window, and goes on from a state.
        head: Tells the next step at each position, see ``Steps``.
        length: Steps to tell.
        paths: Futures to draw; 1 where the head knows no deviation.
    """

    def __init__(self, *, encoder: nn.Module, head: Callable[..., nn.Module], length: int, paths: int) -> None:
        super().__init__(encoder=encoder, head=head)
        if length < 1 or paths < 1:
            raise ConfigError(f"{length=}, {paths=}: both must be at least 1")
        self.length, self.paths = length, paths

    def steps(self, positions: Tensor) -> Tensor:
        """How many steps are told of windows: the same of all that have any."""
        return positions.clamp(max=1) * self.length

    def taught(self, src: Padded, tgt: Padded, state: State = None) -> Reading:
        """What is told of each step to come from the true steps before it."""
        window, level, spread = levelled(src)
        count, lengths = tgt.values.shape[1], src.lengths.to(src.values.device)
        places = lengths.unsqueeze(1) + torch.arange(count, device=lengths.device)
        values = torch.cat([window.values, window.values.new_zeros(len(lengths), count, window.values.shape[2])], 1)
        spots = places.unsqueeze(2).expand(-1, -1, values.shape[2])
        values = values.scatter(1, spots, (tgt.values - level) / spread)
        read = super().forward(Padded(values, src.lengths + tgt.lengths.to(src.lengths.device) - 1), state)
        told = read.values.gather(1, (places - 1).clamp(min=0).unsqueeze(2).expand(-1, -1, read.values.shape[2]))
        return read._replace(values=self.head.structure.moved(told, level, spread))

    def forward(self, src: Padded, state: State = None) -> Reading:
        """Windows ``[B, S, F]`` to what the head tells of ``length`` steps after them, in the units of the windows."""
        window, level, spread = levelled(src)
        read = super().forward(window, state)
        structure, rows = self.head.structure, len(level)
        last = (src.lengths.to(level.device) - 1).clamp(min=0)
        values = read.values[torch.arange(rows, device=level.device), last]
        spread_out = torch.arange(rows, device=level.device).repeat(self.paths)
        values, carried = values[spread_out], select(read.summary, spread_out)
        noise = torch.randn(self.paths, self.length, level.shape[2], generator=torch.Generator().manual_seed(0))
        noise = noise.to(level.device).repeat_interleave(rows, 0)
        told = [values]
        for step in range(self.length - 1):
            number = structure.draw(told[-1], noise[:, step])
            one = torch.ones(len(number), dtype=torch.int64, device=number.device)
            after = super().forward(Padded(number.unsqueeze(1), one), carried)
            carried = after.summary
            told.append(after.values.squeeze(1))
        futures = torch.stack(told, 1).view(self.paths, rows, self.length, -1)
        return read._replace(values=structure.moved(structure.joined(futures), level, spread))


def levelled(src: Padded) -> tuple[Padded, Tensor, Tensor]:
    """Windows at mean 0 and deviation 1, and what their means and deviations were, each ``[B, 1, F]``."""
    mask = src.mask.unsqueeze(2)
    count = mask.sum(1, keepdim=True).clamp(min=1)
    level = (src.values * mask).sum(1, keepdim=True) / count
    spread = (((src.values - level) ** 2 * mask).sum(1, keepdim=True) / count).sqrt().clamp(min=_LEAST)
    return Padded((src.values - level) / spread * mask, src.lengths), level, spread


def _differences(src: Padded, season: int) -> Padded:
    """Each step's difference from the step a season before it. Raises RowError for a window without any."""
    for row, length in enumerate(src.lengths.tolist()):
        if 0 < length <= season:
            raise RowError(
                f"a window of {length} steps is no longer than a season of {season}: give at least {season + 1}", row
            )
    values = src.values[:, season:] - src.values[:, :-season]
    if not values.shape[1]:  # where no window holds anything
        values = torch.zeros_like(src.values[:, :1])
    return Padded(values, (src.lengths - season).clamp(min=0))


def _again(src: Padded, season: int, length: int) -> Tensor:
    """The last season ``[B, length, F]`` of each window, over and over."""
    lengths = src.lengths.to(src.values.device)
    places = lengths.unsqueeze(1) - season + torch.arange(length, device=lengths.device) % season
    return src.values.gather(1, places.clamp(min=0).unsqueeze(2).expand(-1, -1, src.values.shape[2]))
