"""The encoder-decoder: an encoder, and a decoder built to fit its memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError, nearest
from seq2seq.models.recorded import widened
from seq2seq.models.stepping import StepDecoder, Unrolled
from seq2seq.nn.activations import log_softmax_
from seq2seq.nn.attention import Keys
from seq2seq.types import Memory, Padded, State, select


@runtime_checkable
class Freezing(Protocol):
    """An encoder of which parts begin to learn later."""

    def unfreeze(self, update: int) -> None:
        """Lets those learn whose time has come at this update; a function of that number alone."""
        ...


TYINGS = ("none", "decoder", "all")


class EncoderDecoder(nn.Module):
    """Maps a source to a distribution over targets.

    Args:
        encoder: Any module from one side of a batch to a ``Memory``, with ``memory_dim`` and ``summary_dim``.
        decoder: Makes the decoder, given those two sizes.
        tying: Which tables share their weights (Press & Wolf 2017): ``none``; ``decoder``, the target embedding and
            the output layer; ``all``, these and the source embedding, which needs one vocabulary for both sides.
    """

    def __init__(self, *, encoder: nn.Module, decoder: Callable[..., StepDecoder], tying: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder(memory_dim=encoder.memory_dim, summary_dim=encoder.summary_dim)
        if tying not in TYINGS:
            raise ConfigError(f"tying={tying!r}: {nearest(tying, TYINGS)}")
        if tying != "none":
            table = self.decoder.embedding.weight
            if self.decoder.output.weight.shape != table.shape:
                raise ConfigError(
                    f"tying={tying} shares one table between target embedding and output layer, but their features "
                    f"differ: embedding_dim={table.shape[1]}, readout_dim={self.decoder.readout_dim}; make them equal"
                )
            self.decoder.output.weight = table
        if tying == "all":
            embedding = getattr(encoder, "embedding", None)
            if embedding is None or embedding.weight.shape != table.shape:
                given = "none" if embedding is None else list(embedding.weight.shape)
                raise ConfigError(
                    f"tying=all shares one table between both sides, but the source's is {given} and the target's "
                    f"{list(table.shape)}: use a joint tokenizer and one embedding_dim, or tying=decoder"
                )
            embedding.weight = table

    def unfreeze(self, update: int) -> None:
        """Lets parts of the encoder learn whose time has come at this update, where it has such."""
        if isinstance(self.encoder, Freezing):
            self.encoder.unfreeze(update)

    def encode(self, src: Padded) -> Memory:
        """One side of a batch to its memory."""
        return self.encoder(src)

    def forward(
        self, src: Padded, tgt_in: Padded, choose: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> Unrolled:
        """Teacher forcing over whole targets, see ``StepDecoder.unroll``."""
        return self.decoder.unroll(tgt_in, self.encode(src), choose)

    def logits(self, outputs: Tensor) -> Tensor:
        """Readouts ``[…, readout_dim]`` to logits ``[…, V]``."""
        return self.decoder.logits(outputs)

    def begin(self, memory: Memory, *, coverage: bool = False) -> tuple[DecodingStep, State]:
        """Binds a memory for a search: the step to call, and the state before the first token.

        With ``coverage`` the state also sums the attention that each position receives, which a coverage penalty needs.
        """
        if coverage and self.decoder.attention is None:
            raise ConfigError("a coverage penalty needs a model with attention: set it to 0")
        if self.decoder.recorded is not None:
            memory = widened(memory)
        keys = self.decoder.prepare(memory)
        received = memory.values.new_zeros(memory.mask.shape, dtype=torch.float32) if coverage else ()
        return DecodingStep(self.decoder, keys), (self.decoder.start(memory, keys), received)


@dataclass(frozen=True)
class DecodingStep:
    """A decoder bound to a memory, as a search sees it (see ``types.Step``)."""

    decoder: StepDecoder
    keys: Keys

    def __call__(self, tokens: Tensor, state: tuple[State, State]) -> tuple[Tensor, State]:
        """Tokens ``[N]`` to log-probabilities ``[N, V]`` and the new state."""
        output, state = self.advance(tokens, state)
        return log_softmax_(self.decoder.logits(output).float()), state

    def advance(self, tokens: Tensor, state: tuple[State, State]) -> tuple[Tensor, State]:
        """Tokens ``[N]`` to readouts ``[N, readout_dim]`` and the new state."""
        inner, received = state
        output, attention, inner = self.decoder.step(tokens, inner, self.keys)
        if isinstance(received, Tensor):
            assert attention is not None
            received = received + attention
        return output, (inner, received)

    def keep(self, rows: Tensor) -> DecodingStep:
        """The same step for some of the inputs."""
        return replace(self, keys=select(self.keys, rows))

    def coverage(self, state: tuple[State, State]) -> Tensor:
        """The attention received so far, ``[N, S]``; 1 at padding."""
        received = state[1]
        if not isinstance(received, Tensor):
            raise ValueError("this search was begun without coverage")
        hypotheses = len(received) // len(self.keys.mask)
        return received.masked_fill(~self.keys.mask.repeat_interleave(hypotheses, 0), 1.0)
