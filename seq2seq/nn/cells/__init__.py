"""Recurrent cells: one step of recurrence each, and the same step repeated over a sequence.

A cell maps (input, state) to a new state; iterating is the caller's. The part of a step that depends on the input
alone (``project``) is separate from the part that needs the previous state (``step``), so that a whole sequence can be
projected in one product before the loop begins.
"""

from seq2seq.nn.cells.cell import Cell, CellState, last
from seq2seq.nn.cells.gru import GRU, MinGRU
from seq2seq.nn.cells.lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM, SentinelLSTM
from seq2seq.nn.cells.simple import Elman, Jordan

__all__ = [
    "CELLS",
    "Cell",
    "CellState",
    "CoupledLSTM",
    "Elman",
    "GRU",
    "Jordan",
    "LSTM",
    "LayerNormLSTM",
    "MinGRU",
    "PeepholeLSTM",
    "SentinelLSTM",
    "last",
]

CELLS: dict[str, type[Cell]] = {
    "lstm": LSTM,
    "peephole_lstm": PeepholeLSTM,
    "coupled_lstm": CoupledLSTM,
    "layer_norm_lstm": LayerNormLSTM,
    "gru": GRU,
    "min_gru": MinGRU,
    "elman": Elman,
    "jordan": Jordan,
}
"""The names that configurations use for the cells above; a class may be given instead of a name."""
