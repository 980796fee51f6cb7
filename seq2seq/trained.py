"""A trained model, ready to use: inputs in, outputs out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2seq.data.fields import Fields
from seq2seq.errors import RowError, UserError
from seq2seq.models.shortlist import Shortlist
from seq2seq.objects import build
from seq2seq.tasks.predictions import Prediction
from seq2seq.types import Batch

_SCORING = "seq2seq.search.scoring."
_SAMPLING = ("temperature", "top_k", "top_p")


class Model:
    """A trained model: sources in, texts out.

    Args:
        network: In evaluation mode.
        fields: Of both sides.
        config: What the bundle's ``config.yaml`` says.
        folder: Where it was loaded from.
        trust: Modules outside ``seq2seq`` that may be named.
        shortlist: What its outputs may be made of; None for the whole vocabulary.
    """

    def __init__(
        self,
        network: nn.Module,
        fields: Fields,
        config: dict[str, Any],
        folder: Path,
        trust: Sequence[str] | None,
        shortlist: Shortlist | None = None,
    ) -> None:
        self.network, self.fields, self.config, self.folder, self.trust = network, fields, config, folder, trust
        self.device = next(network.parameters()).device
        self._parts: dict[str, Any] = {} if shortlist is None else {"shortlist": shortlist.to(self.device)}

    def __call__(self, sources: Sequence[Any], **options: Any) -> list[str]:
        """The best output for each source. Options are those of ``task``, such as ``beam_size=5``."""
        if isinstance(sources, str):
            raise UserError("a model takes a list of sources: put the text into [ ]")
        if options.get("n_best") not in (None, 1):
            raise UserError("a call gives the best output alone: predict(…, task=model.task(n_best=…)) gives more")
        task = self.task(**options)
        return [best[0].text for best in self.predict(sources, task=task)]

    def task(self, **options: Any) -> Any:
        """The task with some options of its search changed; None leaves an option as the model was trained with.

        Args:
            options: ``beam_size``, ``n_best``, ``length_penalty`` (alpha of GNMT's, or ``average``),
                ``coverage_penalty``, ``max_ratio``, ``max_extra``, ``min_ratio``; for outputs drawn at random
                ``temperature``, ``top_k``, ``top_p``; ``stop``, where a language model ends. A task that
                searches for nothing has ``n_best`` alone, or none.
        """
        given = {name: value for name, value in options.items() if value is not None}
        node = self.config["task"] | ({"stop": given.pop("stop")} if "stop" in given else {})
        changed = {"search": _search(node["search"], given)} if "search" in node else given
        return build({**node, **changed}, at="task", trusted=self.trust, fields=self.fields, **self._parts)

    def predict(
        self, sources: Sequence[Any], *, task: Any = None, attention: bool = False, tokens: int = 2048
    ) -> list[list[Prediction]]:
        """Predictions for each source, best first, in the order of the sources.

        Args:
            sources: What the source field reads: texts, or paths of pictures.
            task: From ``task``; None for the one that the model was trained with.
            attention: Also gives the attention over the source.
            tokens: Budget of a batch: rows times the longest source.

        Raises:
            DataError: A source cannot be read.
            RowError: A source is not what the model can go on with; its row is that of the source.
        """
        task = task or self.task()
        # White space alone says nothing, even where it is unknown tokens to the tokenizer.
        said = [_said(source, number) for number, source in enumerate(sources)]
        encoded = self.fields.src.encode_all(said)
        outputs: list[Any] = [None] * len(sources)
        for indices in _batches([len(each) for each in encoded], tokens):
            batch = Batch(self.fields.src.collate([encoded[i] for i in indices]), None, indices).to(self.device)
            try:
                found = task.predict(self.network, batch, attention=attention)
            except RowError as error:
                raise RowError(str(error), indices[error.row]) from None
            for index, predictions in zip(indices, found):
                outputs[index] = predictions
        return outputs

    def embed(self, sources: Sequence[Any], *, tokens: int = 4096) -> Tensor:
        """A vector for each source ``[N, D]``: the last hidden state of its encoder's last layer, both directions'."""
        encoded, network = self.fields.src.encode_all(sources), cast(Any, self.network)
        outputs: list[Any] = [None] * len(encoded)
        for indices in _batches([len(each) for each in encoded], tokens):
            src = self.fields.src.collate([encoded[i] for i in indices]).to(self.device)
            with torch.inference_mode():
                vectors = network.encode(src).summary[-1][0]
            for index, vector in zip(indices, vectors):
                outputs[index] = vector
        return torch.stack(outputs)

    def log_probs(self, sources: Sequence[Any], targets: Sequence[Any], *, tokens: int = 4096) -> list[float]:
        """The log-probability of each target given its source, in nats, eos included."""
        task = self.task()
        src, tgt = self.fields.src.encode_all(sources), self.fields.tgt.encode_all(targets)
        outputs = [0.0] * len(src)
        for indices in _batches([max(len(s), len(t)) for s, t in zip(src, tgt)], tokens):
            src_side = self.fields.src.collate([src[i] for i in indices])
            batch = Batch(src_side, self.fields.tgt.collate([tgt[i] for i in indices]), indices).to(self.device)
            for index, value in zip(indices, task.log_probs(self.network, batch)):
                outputs[index] = value
        return outputs


def _said(source: Any, number: int) -> str:
    if not isinstance(source, (str, os.PathLike)):
        raise UserError(f"source {number} is {source!r}: expected a text, or the path of a file")
    return text if (text := os.fspath(source)).strip() else ""


def _batches(lengths: list[int], tokens: int) -> Iterator[list[int]]:
    """Indices by falling length, so that a batch has little padding and memory runs out first if ever."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _search(node: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """A search's configuration with options changed. Asking for a beam or a temperature makes it such a search."""
    options = dict(options)
    limits = {k: options.pop(k) for k in ("max_ratio", "max_extra", "min_ratio") if k in options}
    node = {**node, "limits": {**node["limits"], **limits}}
    kind = node["_target_"].rpartition(".")[2]
    if options.keys() & set(_SAMPLING) and kind != "Sample":
        plain = {"samples": 1, "temperature": 1.0, "top_k": None, "top_p": None, "limits": node["limits"]}
        node, kind = {"_target_": "seq2seq.search.sample.Sample", **plain}, "Sample"
    if kind == "Sample" and "n_best" in options and "beam_size" not in options:
        options["samples"] = options.pop("n_best")
    elif options.keys() - set(_SAMPLING) and kind in ("Greedy", "Sample"):
        beam = {"_target_": "seq2seq.search.beam.BeamSearch", "beam_size": 1, "n_best": 1, "coverage_penalty": 0.0}
        node = {**beam, "length_penalty": {"_target_": _SCORING + "NoLengthPenalty"}, "limits": node["limits"]}
    if "length_penalty" in options:
        alpha = options.pop("length_penalty")
        gnmt = {"_target_": _SCORING + "GNMT", "alpha": alpha}
        node["length_penalty"] = {"_target_": _SCORING + "Average"} if alpha == "average" else gnmt
    return {**node, **options}
