"""From lines to the lines that are written for them: what ``predict`` does with a chunk, in whichever process."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.errors import ConfigError, DataError, RowError, UserError

if TYPE_CHECKING:
    from seq2seq.data.streams import Chunk
    from seq2seq.tasks.predictions import Prediction

SEARCH = (
    *("beam_size", "length_penalty", "coverage_penalty", "max_ratio", "max_extra", "min_ratio"),
    *("temperature", "top_k", "top_p", "stop"),
)


class Decoder:
    """A trained model that writes text for text, or a line of JSON with all that it found; see
    ``conf/use/predict.yaml``.

    Args:
        config: Of ``predict``.
    """

    def __init__(self, config: Any) -> None:
        from seq2seq import results
        from seq2seq.data.images import ImageField

        self._model = results.open_model(config)
        n_best = None if config.n_best == 1 else config.n_best  # not every task gives more
        self._task = self._model.task(n_best=n_best, **{name: config[name] for name in SEARCH})
        self._plain, self._tokens = is_plain(config), config.tokens
        self._input = "standard input" if config.input == "-" else str(config.input)
        self._maps, self._seed = None if config.attention is None else Path(config.attention), config.seed
        self._field = self._model.fields.src
        if config.on_error is not None:
            if not isinstance(self._field, ImageField):
                raise ConfigError(f"on_error={config.on_error} is said of pictures, which this model does not read")
            self._field.tolerate(config.on_error)
        self._skips = getattr(self._field, "on_error", "stop") == "skip"

    def __call__(self, chunk: Chunk) -> str:
        """A line for each line of a chunk. Also draws where the model looked, if it was asked to."""
        import torch

        from seq2seq import results
        from seq2seq.drawing import draw_all
        from seq2seq.types import Example

        torch.manual_seed(self._seed + chunk.first)  # what is drawn is the same in whichever process
        if self._skips:
            self._field.prepare([line for line in chunk.lines if line.strip()], results.to_stderr)
        mapped = not self._plain or self._maps is not None
        try:
            found = self._model.predict(chunk.lines, task=self._task, attention=mapped, tokens=self._tokens)
        except RowError as error:
            raise error.placed(f"{self._input}:{chunk.first + error.row}") from None
        except DataError as error:
            raise self._placed(chunk) or error from None
        if self._maps is not None:
            examples = [Example(line, None, "") for line in chunk.lines]
            draw_all(self._model, examples, found, self._maps, results.to_stderr, first=chunk.first)
        if self._plain:
            return "".join(f"{predictions[0]}\n" for predictions in found)
        return "".join(f"{self._record(line, predictions)}\n" for line, predictions in zip(chunk.lines, found))

    def _placed(self, chunk: Chunk) -> DataError | None:
        """What is wrong with a line, with its place unless it is that of a file; None where all can be read alone."""
        for number, line in enumerate(chunk.lines, start=chunk.first):
            try:
                self._field.encode(line)
            except DataError as error:
                return error if str(error).startswith(line) else DataError(f"{self._input}:{number}: {error}")
        return None

    def _record(self, source: str, predictions: Sequence[Prediction]) -> str:
        """A source and its n-best outputs as one line of JSON."""
        hypotheses = [prediction.record() for prediction in predictions]
        pieces = self._field.pieces(self._field.encode(source))
        return json.dumps({"source": source, "tokens": pieces, "hypotheses": hypotheses}, ensure_ascii=False)


def is_plain(config: Any) -> bool:
    """Whether the output is nothing but text, a line for each source."""
    return not str(config.output).endswith(".jsonl")


def decode(options: str, chunk: Chunk) -> str:
    """What a process does that is sent chunks: opens its model with the first one, and keeps it.

    Args:
        options: The configuration as JSON.
        chunk: Lines.

    Raises:
        UserError: As ``Decoder`` says it, but of this one class, which finds its way between processes.
    """
    try:
        return _opened(options)(chunk)
    except UserError as error:
        raise UserError(str(error)) from None


@functools.lru_cache(maxsize=1)
def _opened(options: str) -> Decoder:
    from omegaconf import OmegaConf

    return Decoder(OmegaConf.create(json.loads(options)))
