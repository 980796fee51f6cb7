"""What a run works on: its fields and data, and the model and pretrained vectors that fit them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq import bundle
from seq2seq.config import build, plain
from seq2seq.errors import ConfigError, nearest

if TYPE_CHECKING:
    from seq2seq.data.datasets import Dataset
    from seq2seq.data.fields import Fields
    from seq2seq.data.readers import Reader
    from seq2seq.trained import Model


def open_fields(config: DictConfig, folder: Path, say: Callable[[str], None]) -> Fields:
    """The fields of a run: those it has learned already, or learned now from its training data."""
    from seq2seq.data.learn import learn_fields

    if (folder / bundle.FIELDS).is_dir():
        return bundle.load_fields(folder / bundle.FIELDS, None)
    tokenizer = config.tokenizer
    learners = {side: build(tokenizer[side], at=f"tokenizer.{side}") for side in ("src", "tgt")}
    reader = build(config.data.train, at="data.train")
    source, target = (build(config[side], at=side) if config[side] else None for side in ("source", "target"))
    options = {name: tokenizer[name] for name in ("joint", "nfc", "lower")}
    fields = learn_fields(reader, **learners, **options, source=source, target=target)
    aside = folder / f".{bundle.FIELDS}.part"
    bundle.save_fields(aside, fields)
    aside.rename(folder / bundle.FIELDS)
    sizes = [f"{field.size:,} for the {side}" for side, field in zip(("source", "target"), fields) if field.kept]
    if sizes:
        say(f"vocabularies: {', '.join(sizes)}")
    return fields


def remembered(config: DictConfig, network: Any, fields: Fields, say: Callable[[str], None]) -> Fields:
    """The fields to train with: where the encoder has a part that never learns, one that keeps what that part gives."""
    from seq2seq.data.feature_cache import CachedImages
    from seq2seq.data.images import ImageField

    encoder: Any = getattr(network, "encoder", None)  # a language model has none
    if not (config.keep_features and isinstance(fields.src, ImageField) and getattr(encoder, "cacheable", False)):
        return fields
    device = next(network.parameters()).device
    images = CachedImages(
        images=fields.src,
        extract=lambda pictures: encoder.eval().features(pictures.to(device)),
        fingerprint=encoder.fingerprint(),
        cache=Path(config.cache),
        say=say,
    )
    return fields._replace(src=images)


def open_data(config: DictConfig, part: str, fields: Fields, say: Callable[[str], None]) -> Dataset:
    """One part of the data, encoded; only the training part is filtered."""
    from seq2seq.data.datasets import open_dataset
    from seq2seq.data.feature_cache import CachedImages

    reader = build(config.data[part], at=f"data.{part}")
    filters = build(config.data.filters, at="data.filters") if part == "train" else None
    if isinstance(fields.src, CachedImages):  # also where the corpus was encoded for another network
        fields.src.prepare([example.src for example in reader], say)
    return open_dataset(reader, fields, Path(config.cache), filters=filters, name=part, say=say)


def build_model(config: DictConfig, fields: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain configurations of the model and the task, now that the sizes of the fields are known."""
    config.sizes.src, config.sizes.tgt = fields.src.size, fields.tgt.size
    config.labels = getattr(fields.tgt, "tags", [])
    if config.model.get("tying") == "all" and fields.src.fingerprint() != fields.tgt.fingerprint():
        raise ConfigError(
            "model.tying=all needs one vocabulary for both sides: set tokenizer.joint=true, or tying=decoder"
        )
    return plain(config.model, at="model"), plain(config.task, at="task")


def load_vectors(config: DictConfig, network: Any, fields: Fields) -> None:
    """Puts pretrained vectors into the embeddings of the sides that name a file of them."""
    from seq2seq.data.vectors import read_vectors

    rooms = {"src": "encoder", "tgt": "decoder"}
    for side, path in config.vectors.items():
        if path is not None:
            table = getattr(getattr(getattr(network, rooms[side], None), "embedding", None), "weight", None)
            if table is None:
                raise ConfigError(f"vectors.{side}={path}: this model has no table of tokens in its {rooms[side]}")
            field: Any = getattr(fields, side)
            rows, vectors = read_vectors(path, field.pieces(range(field.size)), table.shape[1])
            table.data[rows.to(table.device)] = vectors.to(table.device)


def reader_of(model: Model, changes: DictConfig) -> Reader:
    """What reads a part of the data that a model was trained with.

    Args:
        model: Whose data.
        changes: ``split``, the part; and other values of the data, instead of those of the training.
    """
    data = OmegaConf.load(model.folder / bundle.RUN).data
    OmegaConf.set_struct(data, True)
    given = {str(key): value for key, value in changes.items() if key != "split"}
    for key in given:
        if key not in data:
            known = ["split", *map(str, data)]
            raise ConfigError(f"the command line: no option is called data.{key}: {nearest(key, known)}")
    data.merge_with(given)
    parts = [key for key in ("train", "valid", "test") if data.get(key) is not None]
    if changes.split not in parts:
        raise ConfigError(f"data.split={changes.split}: {nearest(changes.split, parts)}; or give src=FILE tgt=FILE")
    return build(data[changes.split], at=f"data.{changes.split}", trusted=model.trust)
