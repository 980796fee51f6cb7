"""What the entries share: a run's folder, its data, its model, and what it leaves at its end."""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq import bundle
from seq2seq.config import build, overrides, plain
from seq2seq.errors import ConfigError, TrainingError
from seq2seq.training.checkpoint import Checkpoints, point

if TYPE_CHECKING:
    import torch

    from seq2seq.data.datasets import Corpus
    from seq2seq.data.fields import Fields
    from seq2seq.training.logging import RunLog
    from seq2seq.training.validation import Dataset, Validation


def open_run(config: DictConfig) -> tuple[DictConfig, Path]:
    """Makes the folder of a new run, or finds that of the one to resume, whose configuration then takes over."""
    if config.resume is not None:
        return _resumed(Path(config.resume))
    if config.name is None:
        raise ConfigError("choose a recipe, as in recipe=translate (or go on with a run: resume=runs/translate/latest)")
    for part in ("data", "tokenizer", "optimizer", "schedule", "trainer"):
        plain(config[part])  # what is missing is told before anything is made
    folder = Path(config.run)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise TrainingError(
            f"{folder} exists already: go on with it by resume={folder}, or choose another by run=…"
        ) from error
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be made ({error.strerror})") from error
    config.run, config.name = str(folder), str(config.name)  # what depends on the moment is settled now
    (folder / bundle.RUN).write_text(OmegaConf.to_yaml(_stored(config)), encoding="utf-8")
    point(folder.parent / "latest", folder)
    return config, folder


def _resumed(given: Path) -> tuple[DictConfig, Path]:
    folder = given.resolve()
    try:
        stored = OmegaConf.load(folder / bundle.RUN)
    except OSError as error:
        raise TrainingError(f"{given}: no run to resume there (it would have a {bundle.RUN})") from error
    assert isinstance(stored, DictConfig)
    OmegaConf.set_struct(stored, True)
    changed = [text for text in overrides() if text.partition("=")[0] not in ("resume", "recipe", "run")]
    for text in changed:
        key = text.partition("=")[0]
        if "." not in key and OmegaConf.is_config(stored.get(key)):
            raise ConfigError(f"{text}: a resumed run keeps its choice of {key}; change single values instead")
    stored.merge_with_dotlist(changed)
    return stored, folder


def _stored(config: DictConfig) -> DictConfig:
    kept = {key: value for key, value in config.items_ex(resolve=False) if key not in ("hydra", "resume")}
    return OmegaConf.create(kept)


def settle(config: DictConfig) -> torch.device:
    """Sets what a whole process shares (threads, precision, seeds) and says where to compute."""
    import torch

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision(config.matmul_precision)
    if config.get("seed") is not None:
        random.seed(config.seed)
        torch.manual_seed(config.seed)
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError("device=cuda: torch sees no CUDA device here; use device=cpu")
    return torch.device("cuda" if cuda and config.device in ("auto", "cuda") else "cpu")


def open_fields(config: DictConfig, folder: Path, say: Callable[[str], None]) -> Fields:
    """The fields of a run: those it has learned already, or learned now from its training data."""
    from seq2seq.data.learn import learn_fields

    if (folder / bundle.FIELDS).is_dir():
        return bundle.load_fields(folder / bundle.FIELDS, None)
    tokenizer = config.tokenizer
    learners = {side: build(tokenizer[side], at=f"tokenizer.{side}") for side in ("src", "tgt")}
    readers, _ = _readers(config, "train")
    fields = learn_fields(readers, **learners, joint=tokenizer.joint, nfc=tokenizer.nfc)
    aside = folder / f".{bundle.FIELDS}.part"
    bundle.save_fields(aside, fields)
    aside.rename(folder / bundle.FIELDS)
    say(f"vocabularies: {fields.src.size:,} for the source, {fields.tgt.size:,} for the target")
    return fields


def open_data(config: DictConfig, part: str, fields: Fields, say: Callable[[str], None]) -> Dataset:
    """One part of the data, encoded; only the training part is filtered."""
    from seq2seq.data.datasets import Mixture

    filters = build(config.data.filters, at="data.filters") if part == "train" else None
    readers, weights = _readers(config, part)
    names = [part] if len(readers) == 1 else [f"{part}[{i}]" for i in range(len(readers))]
    cache = Path(config.cache)
    corpora = [open_corpus(r, fields, cache, filters=filters, name=n, say=say) for r, n in zip(readers, names)]
    return corpora[0] if len(corpora) == 1 else Mixture(corpora=corpora, weights=weights)


def open_corpus(
    reader: Any, fields: Fields, cache: Path, *, filters: Any, name: str, say: Callable[[str], None]
) -> Corpus:
    """What one reader reads, encoded, and filtered where there are filters."""
    from seq2seq.data.datasets import Corpus

    corpus = Corpus.open(reader, fields, cache, say)
    return corpus if filters is None else corpus.filtered(filters, name=name, say=say)


def _readers(config: DictConfig, part: str) -> tuple[list[Any], list[float]]:
    """The readers of a part of the data: one, or several with weights (``corpora`` and ``weights``)."""
    built = build(config.data[part], at=f"data.{part}")
    if not isinstance(built, dict):
        return [built], [1.0]
    try:
        return built["corpora"], built["weights"]
    except KeyError as error:
        raise ConfigError(f"data.{part}: expected one reader, or corpora and weights, {error} is missing") from error


def build_model(config: DictConfig, fields: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain configurations of the model and the task, now that the sizes of the fields are known."""
    config.sizes.src, config.sizes.tgt = fields.src.size, fields.tgt.size
    if config.model.get("tying") == "all" and fields.src.fingerprint() != fields.tgt.fingerprint():
        raise ConfigError(
            "model.tying=all needs one vocabulary for both sides: set tokenizer.joint=true, or tying=decoder"
        )
    return plain(config.model), plain(config.task)


def writer(
    config: DictConfig, network: torch.nn.Module, fields: Fields, model: dict[str, Any], task: dict[str, Any]
) -> Callable[[Path], None]:
    """What puts the network, as it is when called, into the folder of a checkpoint."""
    run = OmegaConf.to_container(_stored(config), resolve=False)
    assert isinstance(run, dict)

    def write(folder: Path) -> None:
        bundle.save(folder, network=network, fields=fields, model=model, task=task, run=run)

    return write


def load_vectors(config: DictConfig, network: Any, fields: Fields) -> None:
    """Puts pretrained vectors into the embeddings of the sides that name a file of them."""
    from seq2seq.data.vectors import read_vectors

    embeddings = {"src": lambda: network.encoder.embedding, "tgt": lambda: network.decoder.embedding}
    for side, path in config.vectors.items():
        if path is not None:
            table = embeddings[side]().weight
            field: Any = getattr(fields, side)
            rows, vectors = read_vectors(path, field.pieces(range(field.size)), table.shape[1])
            table.data[rows.to(table.device)] = vectors.to(table.device)


def evaluate(model: bundle.Model, reader: Any, *, task: Any = None, say: Callable[[str], None]) -> Validation:
    """What a model is worth on the pairs of a reader, by the path that validation takes in training."""
    from seq2seq.data.batching import Batching
    from seq2seq.training.validation import validate

    with tempfile.TemporaryDirectory() as cache:
        data = open_corpus(reader, model.fields, Path(cache), filters=None, name="pairs", say=say)
        return validate(model.network, task or model.task(), data, Batching(tokens=4096))


def finish(config: DictConfig, folder: Path, best: Path, log: RunLog) -> None:
    """Scores the best checkpoint on the test part and draws the run's pictures."""
    from seq2seq.plots import draw_curves
    from seq2seq.training.validation import told

    model = bundle.load(best)
    if config.data.test is not None:
        reader = build(config.data.test, at="data.test")
        with log.aside("testing"):
            seen = evaluate(model, reader, say=log.say)
        log.say(f"test, with the best checkpoint ({best.name}): {told(seen.figures)}")
        log.metrics(int(best.name), "test", seen.figures)
        sources = [pair.src for pair in itertools.islice(reader, config.trainer.examples)]
        draw_maps(model, sources, folder / "attention", log.say)
    draw_curves(folder / "metrics.jsonl", folder / "curves.png")
    log.say(f"the model is in {folder}, with curves.png and attention/*.png")


def draw_maps(
    model: bundle.Model,
    sources: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
    *,
    task: Any = None,
    first: int = 1,
) -> None:
    """Draws where a model looks while it writes its best output for each source, ``1.png`` and so on."""
    from seq2seq.plots import draw_attention

    found = model.predict(sources, task=task, attention=True)
    for number, (source, predictions) in enumerate(zip(sources, found), start=first):
        best = predictions[0]
        if best.attention is not None:
            folder.mkdir(parents=True, exist_ok=True)
            field: Any = model.fields.src
            src_pieces = field.pieces(field.encode(source))
            draw_attention(best.attention, src_pieces, best.pieces, folder / f"{number}.png", say=say)


def open_model(config: DictConfig) -> bundle.Model:
    """The trained model that a command was given, on the device that it was asked for."""
    return bundle.load(config.model, device=str(settle(config)), trust=config.trust)


def data_of(model: bundle.Model, changes: DictConfig) -> DictConfig:
    """The data that a model was trained with, with some values changed."""
    data = OmegaConf.load(model.folder / bundle.RUN).data
    OmegaConf.set_struct(data, True)
    changed = {key: value for key, value in changes.items() if key != "split"}
    if changes.split not in data:
        raise ConfigError(f"data.split={changes.split}: expected train, valid or test")
    data.merge_with(changed)
    return data


def checkpoints_of(run: Path) -> Checkpoints:
    """The checkpoints of a run, rated as it rated them."""
    try:
        trainer = OmegaConf.load(run / bundle.RUN).trainer
    except OSError as error:
        raise ConfigError(f"{run}: no run there (it would have a {bundle.RUN})") from error
    kept = {name: trainer[name] for name in ("keep_last", "keep_best", "metric", "mode")}
    return Checkpoints(run / "checkpoints", **kept)


def to_stderr(text: str) -> None:
    """Says something where it does not mix with a command's output."""
    print(text, file=sys.stderr, flush=True)
