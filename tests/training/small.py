"""Runs that take less than a second, for the tests of training: a real translator, and a toy."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from seq2seq.data.batching import Batching
from seq2seq.data.builtin.phrases import Phrases
from seq2seq.data.datasets import Corpus
from seq2seq.data.fields import Fields
from seq2seq.data.learn import LearnSentencePiece, learn_fields
from seq2seq.data.readers import TabSeparated
from seq2seq.models.decoder import Decoder
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.nn.attention import General
from seq2seq.nn.bridge import Projected
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.objective import CrossEntropy
from seq2seq.nn.recurrent import Recurrent
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.tasks.generation import Generation
from seq2seq.tasks.teacher_forcing import Always, Linear
from seq2seq.training.logging import RunLog
from seq2seq.training.optim import Constant, Schedule
from seq2seq.training.trainer import Trainer
from seq2seq.types import Batch, Example, Loss, Padded


def trainer(**changes: Any) -> Trainer:
    """A trainer of ten updates."""
    settings: dict[str, Any] = {
        "max_updates": 10,
        "max_epochs": None,
        "accumulate": 1,
        "clip_norm": 1.0,
        "precision": "fp32",
        "validate_every": 5,
        "checkpoint_every": 2,
        "keep_last": 3,
        "keep_best": 1,
        "metric": "loss",
        "mode": "min",
        "patience": None,
        "average": None,
        "examples": 0,
        "validate_first": False,
        "batching": Batching(sentences=4),
    }
    assert set(changes) <= set(settings)
    return Trainer(**{**settings, **changes})


class Quiet(RunLog):
    """A log whose lines are kept, and that can call something after an update."""

    def __init__(self, folder: Path, *, at: dict[int, Callable[[], None]] | None = None) -> None:
        self.said = io.StringIO()
        super().__init__(folder=folder, total=None, every=1, stream=self.said)
        self.at, self.seen = at or {}, []

    def update(self, update: int, figures: Any, tokens: int) -> None:
        super().update(update, figures, tokens)
        self.seen.append(update)
        self.at.get(update, lambda: None)()

    def _events(self) -> Any:
        """TensorBoard's file takes longer than all the rest."""

        class Nowhere:
            def add_scalar(self, *given: Any) -> None: ...

            def close(self) -> None: ...

        return Nowhere()


def metrics(run: Path, split: str) -> list[dict[str, float]]:
    """What a run's ``metrics.jsonl`` says of a split."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["split"] == split]


def final(run: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the last checkpoint of a run holds: the usable weights, and the state of training."""
    last = run / "last"
    return load_file(last / "weights.safetensors"), torch.load(last / "training.pt", weights_only=True)


def differing(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two nests of tensors and values differ by as much as a bit."""
    if isinstance(one, Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        raw = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
        return [] if same and torch.equal(*raw) else [at]
    if isinstance(one, dict):
        assert one.keys() == other.keys(), at
        return [place for key in one for place in differing(one[key], other[key], f"{at}/{key}")]
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other), at
        return [place for i, pair in enumerate(zip(one, other)) for place in differing(*pair, f"{at}/{i}")]
    return [] if one == other and type(one) is type(other) else [at]


# The real one -------------------------------------------------------------------------------------------------------


@functools.cache
def fields() -> Fields:
    """One vocabulary for both sides, whose pieces are sampled."""
    learner = LearnSentencePiece(
        vocab_size=400, model_type="unigram", byte_fallback=True, character_coverage=1.0, sampling=0.3
    )
    return learn_fields(Phrases(part="train", size=300, seed=1), src=learner, tgt=learner, joint=True, nfc=False)


def corpus(part: str, size: int, cache: Path) -> Corpus:
    """Beginnings of generated sentences, two to five words long."""
    cache.mkdir(exist_ok=True)
    path = cache / f"{part}.tsv"
    if not path.exists():
        pairs = enumerate(Phrases(part=part, size=size, seed=1))
        sides = [[" ".join(side.split()[: 2 + i % 4]) for side in (pair.src, pair.tgt)] for i, pair in pairs]
        path.write_text("".join("\t".join(pair) + "\n" for pair in sides), encoding="utf-8")
    return Corpus.open(TabSeparated(path=path), fields(), cache, lambda text: None)


def translator(*, dropout: float) -> EncoderDecoder:
    """A network of a few thousand weights."""
    size = fields().src.size

    def embedding() -> Embedding:
        return Embedding(vocab_size=size, embedding_dim=8, dropout=dropout)

    def recurrent(*, bidirectional: bool) -> Callable[..., Recurrent]:
        return functools.partial(
            Recurrent,
            cell="lstm",
            hidden_dim=8,
            num_layers=2,
            bidirectional=bidirectional,
            residual=False,
            dropout=dropout,
            variational_dropout=0.0,
        )

    decoder = functools.partial(
        Decoder,
        embedding=embedding(),
        recurrent=recurrent(bidirectional=False),
        attention=functools.partial(General),
        bridge=functools.partial(Projected),
        readout_dim=8,
        order="luong",
        input_feed=True,
        dropout=dropout,
    )
    encoder = RecurrentEncoder(embedding=embedding(), recurrent=recurrent(bidirectional=True), dropout=dropout)
    return EncoderDecoder(encoder=encoder, decoder=decoder, tying="all")


def translation(*, dropout: float = 0.0, scheduled: bool = False) -> tuple[EncoderDecoder, Generation]:
    """A new network, always the same, and its task."""
    torch.manual_seed(7)
    task = Generation(
        fields=fields(),
        objective=CrossEntropy(label_smoothing=0.1),
        teacher_forcing=Linear(floor=0.3, slope=0.2) if scheduled else Always(),
        feed="sample",
        search=Greedy(limits=Limits(max_ratio=1.0, max_extra=2)),
        metrics=["bleu"],
    )
    return translator(dropout=dropout), task


# The toy ------------------------------------------------------------------------------------------------------------


class Lines:
    """Examples that are numbers: the source is x, the target y = 3x."""

    carries = False

    def __init__(self, size: int = 20) -> None:
        self.values = np.linspace(-1, 1, size, dtype=np.float32)
        self.seeds: list[int | None] = []

    def __len__(self) -> int:
        return len(self.values)

    @property
    def draws(self) -> int:
        return len(self)

    def draw(self, positions: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
        return positions

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones_like(indices), np.ones_like(indices)

    def example(self, index: int) -> Example:
        return Example(str(self.values[index]), str(3 * self.values[index]), self.where(index))

    def where(self, index: int) -> str:
        return f"lines.txt:{index + 1}"

    def batch(self, indices: Sequence[int] | np.ndarray, seed: int | None = None) -> Batch:
        self.seeds.append(seed)
        src = torch.from_numpy(self.values[np.asarray(indices)]).unsqueeze(1)
        ones = torch.ones(len(indices), dtype=torch.int64)
        return Batch(Padded(src, ones), Padded(3 * src, ones), [int(index) for index in indices])


class Slope:
    """The task of finding the slope, with a hook that each batch passes on its way to the loss."""

    def __init__(self, hook: Callable[[Tensor, Batch, int], Tensor] | None = None) -> None:
        self.hook = hook

    def loss(self, model: nn.Module, batch: Batch, update: int = 0) -> Loss:
        total = (model(batch.src.values) - batch.tgt.values).square().sum()
        if self.hook is not None and model.training:
            total = self.hook(total, batch, update)
        return Loss(total, len(batch.indices))

    def predict(self, model: nn.Module, batch: Batch) -> list[list[float]]:
        return [[float(value)] for value in model(batch.src.values)]

    def score(self, predictions: list[list[float]], examples: list[Example]) -> dict[str, float]:
        pairs = zip(predictions, (example.tgt for example in examples))
        return {"error": float(np.mean([abs(best[0] - float(reference)) for best, reference in pairs]))}


def toy() -> nn.Linear:
    """A slope that begins at 0."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def fit_toy(
    run: Path,
    *,
    train: Lines | None = None,
    valid: Lines | None = None,
    task: Slope | None = None,
    model: nn.Module | None = None,
    schedule: Schedule | None = None,
    lr: float = 0.1,
    at: dict[int, Callable[[], None]] | None = None,
    write: Callable[[Path], None] | None = None,
    **settings: Any,
) -> tuple[nn.Module, Quiet, Path]:
    """Trains a toy; gives it with its log and its best checkpoint."""
    model = model or toy()
    log = Quiet(run, at=at)
    best = trainer(**settings).fit(
        model=model,
        task=task or Slope(),
        train=train or Lines(),
        valid=valid or Lines(5),
        optimizer=torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9),
        schedule=schedule or Constant(warmup=0),
        run=run,
        log=log,
        write=write or (lambda folder: save_model(model, str(folder / "weights.safetensors"))),
        seed=1,
    )
    return model, log, best
