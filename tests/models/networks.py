"""Small networks of every make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.models.decoder import Decoder
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.nn.attention import Attention
from seq2seq.nn.bridge import FirstInput, Last, Projected, Zero
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.glimpse import Mean
from seq2seq.nn.recurrent import Recurrent
from seq2seq.types import Padded
from tests.nn.helpers import shaken
from tests.nn.test_attention import KINDS

V, D = 11, 6
ATTENTIONS: dict[str, Callable[..., Attention] | None] = {"none": None, "mean": Mean, **KINDS}
BRIDGES: dict[str, Callable[..., nn.Module]] = {"zero": Zero, "last": Last, "projected": Projected}
DEPTHS = [(1, False), (2, False), (2, True)]
"""Numbers of layers, and whether they have residual connections"""


def combinations() -> Iterator[dict[str, Any]]:
    """Every order × input feeding × bridge × depth × residual of a decoder."""
    for order, feed, bridge, depth in product(("luong", "bahdanau"), (False, True), BRIDGES, DEPTHS):
        yield {"order": order, "input_feed": feed, "bridge": bridge, "depth": depth}


def possible(attention: str, options: dict[str, Any]) -> bool:
    """Whether an attention goes with the options of a decoder."""
    return attention != "none" or options["order"] == "luong"


def stack(*, cell: str, depth: tuple[int, bool], hidden_dim: int, bidirectional: bool = False, **rates: float) -> Any:
    """Makes a recurrent stack, given ``input_dim``."""
    shape = {"hidden_dim": hidden_dim, "num_layers": depth[0], "residual": depth[1], "bidirectional": bidirectional}
    return partial(Recurrent, cell=cell, **shape, **{"dropout": 0.0, "variational_dropout": 0.0, **rates})


def table(size: int = V, dim: int = 4, **rates: float) -> Embedding:
    return Embedding(vocab_size=size, embedding_dim=dim, **{"dropout": 0.0, **rates})


def decoder(
    *,
    cell: str = "gru",
    attention: str = "general",
    order: str = "luong",
    input_feed: bool = True,
    bridge: str = "projected",
    depth: tuple[int, bool] = (1, False),
    readout_dim: int = 5,
    dropout: float = 0.0,
    embedding: Embedding | None = None,
    recurrent: Callable[..., Recurrent] | None = None,
    first_input: Callable[..., FirstInput] | None = None,
    memory_dim: int = D,
    summary_dim: int = D,
) -> Decoder:
    """A decoder with the given parts, of D hidden features."""
    return shaken(
        Decoder(
            embedding=table() if embedding is None else embedding,
            recurrent=stack(cell=cell, depth=depth, hidden_dim=D) if recurrent is None else recurrent,
            attention=ATTENTIONS[attention],
            bridge=BRIDGES[bridge],
            readout_dim=readout_dim,
            order=order,
            input_feed=input_feed,
            dropout=dropout,
            memory_dim=memory_dim,
            summary_dim=summary_dim,
            first_input=first_input,
        )
    )


def encoder(
    *,
    cell: str = "gru",
    depth: tuple[int, bool] = (1, False),
    bidirectional: bool = True,
    embedding: Embedding | None = None,
    dropout: float = 0.0,
) -> RecurrentEncoder:
    """An encoder whose memory has D features."""
    recurrent = stack(cell=cell, depth=depth, hidden_dim=D // (1 + bidirectional), bidirectional=bidirectional)
    embedding = table() if embedding is None else embedding
    return shaken(RecurrentEncoder(embedding=embedding, recurrent=recurrent, dropout=dropout))


def network(*, size: int = V, tying: str = "none", seed: int = 0, reads: str = "gru", **options: Any) -> EncoderDecoder:
    """An encoder-decoder with the given decoder options, and cells of the encoder."""
    made = partial(decoder, **{"embedding": table(size), **options})
    first = encoder(embedding=table(size), cell=reads)
    return shaken(EncoderDecoder(encoder=first, decoder=made, tying=tying), seed)


def tokens(*lengths: int, longest: int | None = None, size: int = V, seed: int = 0) -> Padded:
    """Random rows of tokens; padding holds tokens too, which must not matter."""
    values = torch.randint(4, size, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    if longest is not None:
        values = torch.cat([values, torch.full((len(lengths), longest - max(lengths)), size - 1)], 1)
    return Padded(values, torch.tensor(lengths))


def row(padded: Padded, number: int) -> Padded:
    """One row alone, without padding."""
    length = int(padded.lengths[number])
    return Padded(padded.values[number : number + 1, :length], padded.lengths[number : number + 1])


def real(values: Tensor, padded: Padded) -> Tensor:
    """What values ``[B, T, …]`` hold at the real steps of a batch that may be longer or shorter."""
    steps = min(values.shape[1], padded.values.shape[1])
    return values[:, :steps][padded.mask[:, :steps]]
