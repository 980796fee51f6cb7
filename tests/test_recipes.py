"""Law 8: every recipe composes, builds, overfits eight examples, and its bundle predicts what the run predicted. And
every option of every group builds."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import seq2seq
from seq2seq.config import CONF, build
from seq2seq.data.builtin.scenes import Scenes
from seq2seq.data.datasets import open_dataset
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.learn import LearnCharacters, LearnSentencePiece
from seq2seq.data.readers import TabSeparated
from seq2seq.runs import instruct
from seq2seq.training.validation import one_line
from tests.commands import command

GROUPS = {path.name for path in CONF.iterdir() if path.is_dir()} - {"recipe", "use"}
OF_OTHER_SHAPES = {
    "write": [("task", "language_modelling"), ("model", "language_model")],
    "highlight": [("target", "tags"), ("model", "tagger")],
    "cosine": [
        *(("data", "waves"), ("source", "numbers"), ("target", "numbers"), ("task", "regression")),
        *(("model", "regressor"), ("model/encoder/recurrent", "lstm"), ("model/encoder/recurrent", "feedforward")),
    ],
    "digits": [("data", "digits"), ("source", "rows"), ("model", "rows")],
    "forecast": [("data", "sines"), ("model", "forecaster"), ("model", "forecaster_fed")],
    "frames": [
        *(("data", "clips"), ("source", "clips"), ("model", "frames"), ("model/encoder/embedding", "frames")),
        *(("model/encoder/recurrent", "lstm"), ("model/encoder/recurrent", "feedforward")),
    ],
    "sentiment": [("target", "label"), ("task", "labelling"), ("model", "classifier")],
    "slots": [("target", "joint"), ("model", "joint")],
}
"""Options that make sense with the recipe's own data only"""
FROM_FILES = {
    "digits": [["data=mnist"]],
    "forecast": [["data=airline"], ["data=temperatures"], ["data=sunspots"], ["data=series", "data.columns=[Temp]"]],
    "frames": [["data=clip_numbers", "source=numbers", "model/encoder/embedding=numbers"]],
}
"""Other data of these recipes, and what goes with them"""
OPTIONS = [
    (group, path.stem)
    for group in sorted(GROUPS)
    for path in sorted((CONF / group).glob("*.yaml"))
    if not any((group, path.stem) in options for options in OF_OTHER_SHAPES.values())
    and not any(f"{group}={path.stem}" in chosen for ways in FROM_FILES.values() for chosen in ways)
]
GOING_ON = {"caption_scst": "caption", "translate_risk": "translate"}
"""Recipes that begin with what another has trained: ``tests/test_init.py`` runs them"""
RECIPES = sorted({path.stem for path in (CONF / "recipe").glob("*.yaml")} - GOING_ON.keys())

PICTURES = {("source", "images")} | {("model", path.stem) for path in (CONF / "model").glob("caption*.yaml")}
PICTURES |= {("data", name) for name in ("scenes", "flickr8k", "flickr30k", "coco", "photos", "photos_json")}
"""Options that belong with recipe=caption"""
EIGHT = {
    "caption": [
        "data.train.size=8",
        "data.train.grouped=true",  # one caption of each
        "data.valid.size=8",
        "data.valid.part=train",
        "data.cnn.channels=[8,16,32]",
        "data.hidden_dim=64",
        "model.decoder.embedding.dropout=0",
        "model.decoder.dropout=0",
        "trainer.max_updates=150",
        "trainer.validate_every=150",
    ],
    "highlight": [
        *("data.train.size=8", "data.train.length=60"),
        *("data.valid.size=8", "data.valid.length=60", "data.valid.part=train"),
        "trainer.average=null",
        "trainer.max_updates=120",
        "trainer.validate_every=120",
    ],
    "sentiment": [
        *("data.train.size=8", "data.valid.size=8", "data.valid.part=train"),
        "trainer.average=null",
        "trainer.max_updates=60",
        "trainer.validate_every=60",
    ],
    "slots": [
        "tokenizer.src.sampling=0",
        *("data.train.size=8", "data.valid.size=8", "data.valid.part=train"),
        "trainer.average=null",
        "trainer.max_updates=80",
        "trainer.validate_every=80",
    ],
    "autoencode": [
        *("data.train.size=8", "data.valid.size=8", "data.valid.part=train"),
        "trainer.max_updates=150",
        "trainer.validate_every=150",
    ],
    "pronounce": [
        "data.train.size=8",
        "data.valid.size=8",
        "data.valid.part=train",
        "trainer.max_updates=100",
        "trainer.validate_every=100",
    ],
    "recall": [
        "data.train.size=8",
        "data.valid.size=8",
        "data.valid.part=train",
        "data.length=8",
        "data.shortest=8",
        "trainer.max_updates=100",
        "trainer.validate_every=100",
    ],
    "cosine": [
        *("data.train.reader.size=8", "data.valid.reader.size=8", "data.valid.reader.part=train"),
        *("data.train.every=1", "data.valid.every=1", "data.train.reader.length=1", "data.valid.reader.length=1"),
        *("data.train.reader.window=10", "data.valid.reader.window=10", "trainer.batching.streams=8"),
        "trainer.max_updates=300",
        "trainer.validate_every=300",
    ],
    "digits": [
        *("data.train.size=8", "data.valid.size=8", "data.valid.part=train", "trainer.average=null"),
        *("source.shift=0", "source.turn=0", "source.zoom=0", "model.head.dropout=0"),
        "trainer.max_updates=60",
        "trainer.validate_every=60",
    ],
    "forecast": [
        *("data.train.size=87", "data.valid.size=87", "data.valid.cut.part=train", "data.every=1"),  # eight windows
        *("data.valid_steps=0", "data.test_steps=0", "model.head.dropout=0"),
        "trainer.max_updates=300",
        "trainer.validate_every=300",
    ],
    "frames": [
        *("data.train.size=8", "data.valid.size=8", "data.valid.part=train", "trainer.average=null"),
        "trainer.max_updates=150",
        "trainer.validate_every=150",
    ],
    "translate": [
        "data.train.size=8",
        "data.valid.size=8",
        "data.valid.part=train",
        "tokenizer=words",
        "trainer.max_updates=100",
        "trainer.validate_every=100",
    ],
    "write": [
        "data.train.reader.size=192",
        "data.valid.reader.size=192",
        "data.train.reader.part=valid",  # it begins with prose, whose lines end in no spaces that a log would lose
        "data.window=24",
        "data.train.prompt=192",
        "data.valid.prompt=192",  # all that comes before, as one stream carries it
        "data.hidden_dim=64",
        "search=greedy",
        "search.limits.max_ratio=0",
        "search.limits.max_extra=25",  # the window, and eos
        "model.dropout=0",
        "trainer.batching.streams=1",
        "trainer.validate_first=false",
        "trainer.max_updates=600",
        "trainer.validate_every=600",
    ],
}
"""What makes each recipe train on eight examples, and validate on the same."""


def composed(*overrides: str) -> Any:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("train", overrides=[*overrides, "name=test"])


WAYS = [("caption", model) for group, model in sorted(PICTURES) if group == "model" and model != "caption_spatial"]
"""How else a picture can enter the decoder"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), [*((name, None) for name in RECIPES), *WAYS])
def test_a_recipe_overfits_eight_examples_and_its_bundle_predicts_the_same(
    name: str, model: str | None, tmp_path: Path
) -> None:
    quick = ["schedule=constant", "optimizer.lr=0.003", "trainer.examples=8", "run=run", "threads=1", "data.test=null"]
    longer = ["optimizer.lr=0.001", "trainer.max_updates=500", "trainer.validate_every=500"]
    chosen = [] if model is None else [f"model={model}", *longer]
    if model == "caption_gated":
        chosen.append("task/penalty=doubly_stochastic")
    result = command("train", f"recipe={name}", *quick, *EIGHT[name], *chosen, cwd=tmp_path)
    assert result.code == 0, result.err
    loaded = seq2seq.load(tmp_path / "run")
    log = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    last = log[log.rindex("validation at update") :]
    shown = [re.findall(rf"(?m)\s{word:<9}  (.*)$", last) for word in ("source", "reference", "output")]
    sources, references, outputs = shown
    assert len(sources) == 8
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    figures = next(f for f in logged if f["split"] == "valid")
    if "mse" in figures:
        assert numbers(loaded(sources)) == pytest.approx(numbers(outputs), abs=1e-3)
        assert figures["mse"] < 0.07  # of a variance of 0.5 or more; the first number of a sine has two cosines
        return
    texts = loaded([source.replace("\\n", "\n") for source in sources])
    assert [one_line(text) for text in texts] == outputs == references
    assert figures["nll"] < 0.5 and figures["accuracy"] > 0.99


def numbers(lines: list[str]) -> list[float]:
    """All numbers of some lines."""
    return [float(number) for line in lines for number in line.replace(",", " ").split(" ")]


@pytest.fixture(scope="module")
def fields() -> Fields:
    return Fields(*(TextField(tokenizer=LearnCharacters(max_size=None, min_count=1).learn(["ab", "c"])),) * 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever files an option may ask for, under the names that they are given below."""
    folder = tmp_path_factory.mktemp("files")
    learner = LearnSentencePiece(
        vocab_size=300, model_type="bpe", byte_fallback=True, character_coverage=1.0, sampling=0.0
    )
    learner.learn(["eins zwei drei", "vier fünf"] * 5).save(folder, "file")
    (folder / "file.txt").write_text("eins\tone\nzwei\ttwo\n", encoding="utf-8")
    return folder


def given(node: Any, folder: Path, at: str = "") -> list[str]:
    """Values for whatever an option leaves open."""
    if node == "???":
        reader = f"{{_target_: seq2seq.data.readers.TabSeparated, path: {folder / 'file.txt'}}}"
        values = {"weights": "[1]", "readers": f"[{reader}]", "train": reader, "valid": reader, "features": "8"}
        values |= {"model": str(folder / "file.model"), "root": str(folder)}
        return [f"{at}={values.get(at.rpartition('.')[2], folder / 'file.txt')}"]
    pairs = node.items() if isinstance(node, dict) else ()
    return [text for key, value in pairs for text in given(value, folder, f"{at}.{key}".strip("."))]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_builds(group: str, option: str, fields: Fields, folder: Path, tmp_path: Path) -> None:
    if (group, option) == ("model", "own"):
        pytest.skip("a recipe of the user's own fills it")
    from omegaconf import OmegaConf

    chosen = [f"{group}={option}"]
    if (group, option) in PICTURES:
        chosen = ["recipe=caption", *chosen, "data/cnn=small", "data.weights=null", "data.pixels=16"]
    open_values = given(OmegaConf.to_container(composed(*chosen)[group], resolve=False), folder, group)
    config = composed(*chosen, *open_values)
    source = build(config.source, at="source") if (group, option) in PICTURES else None
    if source is not None:
        fields = fields._replace(src=source)
    config.sizes.src, config.sizes.tgt = (field.size for field in fields)
    network = build(config.model, at="model")
    assert isinstance(network, nn.Module)
    task = build(config.task, at="task", fields=fields)
    texts = ["ab", "c", ""]
    (tmp_path / "three.tsv").write_text("".join(f"{text}\t{text}\n" for text in texts), encoding="utf-8")
    known = Fields(fields.tgt, fields.tgt)
    reader = TabSeparated(path=tmp_path / "three.tsv")
    instruct(task, open_dataset(reader, known, tmp_path, filters=None, name="three", say=print), tmp_path)
    sources = texts if source is None else [pair.src for pair in Scenes(part="test", size=3, seed=1, grouped=True)]
    sides = (field.collate(field.encode_all(raws)) for field, raws in zip(fields, (sources, texts)))
    batch = seq2seq.Batch(*sides, [0, 1, 2])
    assert torch.isfinite(task.loss(network, batch).total)
    assert len(task.predict(network.eval(), batch)) == 3
    optimizer = build(config.optimizer, at="optimizer")
    assert isinstance(optimizer, partial) and isinstance(optimizer(network.parameters()), torch.optim.Optimizer)
    assert 0 < build(config.schedule, at="schedule")(1) <= 1
    build(config.trainer, at="trainer")
    for part in ("train", "valid", "test"):
        build(config.data[part], at=f"data.{part}")
    build(config.data.filters, at="data.filters")
    for side in ("src", "tgt"):
        assert callable(build(config.tokenizer[side], at=f"tokenizer.{side}").learn)


@pytest.mark.parametrize(
    ("name", "group", "option"), [(name, *each) for name, options in OF_OTHER_SHAPES.items() for each in options]
)
def test_every_option_of_another_shape_builds(name: str, group: str, option: str, tmp_path: Path) -> None:
    from seq2seq import inputs

    config = composed(f"recipe={name}", *EIGHT[name], f"{group}={option}", f"cache={tmp_path}")
    fields = inputs.open_fields(config, tmp_path, print)
    model_node, task_node = inputs.build_model(config, fields)
    network, task = build(model_node, at="model"), build(task_node, at="task", fields=fields)
    batch = inputs.open_data(config, "train", fields, print).batch([0, 1, 2])
    assert torch.isfinite(task.loss(network, batch).total)
    assert len(task.predict(network.eval(), batch)) == 3


@pytest.mark.parametrize(("name", "chosen"), [(name, each) for name, ways in FROM_FILES.items() for each in ways])
def test_other_data_of_a_recipe_build(name: str, chosen: list[str], tmp_path: Path) -> None:
    from seq2seq import inputs

    pixels = bytes([0, 0, 8, 3, 0, 0, 0x17, 0x70, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(range(250)) * 18816
    labels = bytes([0, 0, 8, 1, 0, 0, 0x17, 0x70]) + bytes(range(10)) * 600
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(pixels)
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(labels)
    rows = "".join(f'"{day}",{day % 11},{day % 11},{day % 11}\n' for day in range(2000))
    for file in ("airline-passengers.csv.gz", "daily-min-temperatures.csv.gz", "monthly-sunspots.csv.gz"):
        (tmp_path / file).write_text(f'"Day","Passengers","Temp","Sunspots"\n{rows}', encoding="utf-8")
    open_values = [f"data.root={tmp_path}"] if chosen[0] not in ("data=clip_numbers", "data=series") else []
    if chosen[0] == "data=series":
        open_values = [f"data.path={tmp_path / 'airline-passengers.csv.gz'}", "data.window=9", "data.horizon=2"]
        open_values += ["data.season=11", "data.valid_steps=20", "data.test_steps=20"]
    elif chosen[0] == "data=mnist":
        open_values.append("data.train.last=3000")  # of this file
    config = composed(f"recipe={name}", *chosen, *open_values, f"cache={tmp_path}")
    fields = inputs.open_fields(config, tmp_path, print)
    model_node, task_node = inputs.build_model(config, fields)
    network, task = build(model_node, at="model"), build(task_node, at="task", fields=fields)
    for part in ("train", "valid", "test"):
        if (name, part) != ("digits", "valid"):  # which begins where this file ends
            batch = inputs.open_data(config, part, fields, print).batch([0, 1, 2])
            assert torch.isfinite(task.loss(network, batch).total)
    assert len(task.predict(network.eval(), batch)) == 3


@pytest.mark.parametrize("option", ["words", "characters", "sentencepiece", "bpe", "trained"])
@pytest.mark.parametrize("joint", [True, False])
def test_every_tokenizer_trains(option: str, joint: bool, folder: Path, tmp_path: Path) -> None:
    from seq2seq import inputs

    model = [f"tokenizer.src.model={folder / 'file.model'}"] if option == "trained" else []
    sizes = ["data.train.size=50", "data.vocab_size=330", f"tokenizer.joint={joint}"]
    config = composed(f"tokenizer={option}", *model, *sizes)
    said: list[str] = []
    made = inputs.open_fields(config, tmp_path, said.append)
    assert len(said) == 1 and made.src.size > 20
    assert (made.src.fingerprint() == made.tgt.fingerprint()) == (joint or option == "trained")
    again = inputs.open_fields(config, tmp_path, said.append)
    assert again.src.fingerprint() == made.src.fingerprint() and len(said) == 1


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert all(len(line) <= 130 for line in lines)


def test_every_recipe_is_tested_and_is_a_short_diff() -> None:
    assert set(EIGHT) == set(RECIPES)
    for name in RECIPES:
        lines = (CONF / "recipe" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# @package _global_" and len(lines) <= 40
