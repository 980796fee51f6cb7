"""Captioning as users meet it: small models trained by the command, on generated scenes and on photos in files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import seq2seq
from seq2seq.data.builtin.scenes import Scenes, picture
from seq2seq.metrics.captions import cider_d
from seq2seq.nn.cnn.mobilenet import MobileNetV2
from tests.commands import command, mistake

SCENES = 24
SMALL = [
    "recipe=caption",
    "threads=1",
    f"data.train.size={SCENES}",
    "data.train.grouped=true",
    "data.valid.part=train",
    f"data.valid.size={SCENES}",
    "data.test=null",
    "data.cnn.channels=[8,16,32]",
    "data.hidden_dim=64",
    "model.decoder.dropout=0",
    "model.decoder.embedding.dropout=0",
    "task.objective.label_smoothing=0",
    "search=greedy",
    "schedule=constant",
    "optimizer.lr=0.004",
    "trainer.average=null",
    "trainer.batching.sentences=24",
]


class Captioner(NamedTuple):
    """A run, the scenes that it has learned by heart, and their pictures as files."""

    run: Path
    scenes: list[str]
    captions: list[tuple[str, ...]]
    photos: Path


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Captioner:
    home = tmp_path_factory.mktemp("captioner")
    result = command("train", *SMALL, "run=run", "trainer.max_updates=120", "trainer.validate_every=60", cwd=home)
    assert result.code == 0, result.err
    examples = list(Scenes(part="train", size=SCENES, seed=1, grouped=True))
    (home / "photos").mkdir()
    for number, example in enumerate(examples):
        Image.fromarray(picture(example.src)).save(home / "photos" / f"{number:02}.png")
    return Captioner(home / "run", [e.src for e in examples], [e.tgt for e in examples], home / "photos")


def test_pictures_in_files_have_the_captions_of_the_scenes_that_they_show(captioner: Captioner, tmp_path: Path) -> None:
    known = seq2seq.load(captioner.run)(captioner.scenes)
    assert len(set(known)) > 3
    options = [f"model={captioner.run}", "threads=1", "precision=fp32"]
    for given in (str(captioner.photos), str(captioner.photos / "*.png"), str(captioner.photos / "??.png")):
        result = command("predict", *options, f"input={given}", cwd=tmp_path)
        assert (result.code, result.out.splitlines()) == (0, known), result.err
    paths = [str(captioner.photos / "03.png"), "", str(captioner.photos / "01.png")]
    (tmp_path / "paths.txt").write_text("\n".join(paths) + "\n", encoding="utf-8")
    result = command("predict", *options, "input=paths.txt", cwd=tmp_path)
    assert result.out.split("\n") == [known[3], "", known[1], ""]
    assert command("predict", *options, f"input={paths[0]}", cwd=tmp_path).out == f"{known[3]}\n"


def test_each_word_has_a_map_over_the_picture(captioner: Captioner, tmp_path: Path) -> None:
    options = [f"model={captioner.run}", f"input={captioner.photos}/0[0-2].png", "threads=1", "precision=fp32"]
    result = command("predict", *options[:1], f"input={captioner.photos}/0?.png", *options[2:], "output=o.jsonl",
                     "attention=maps", "beam_size=2", "n_best=2", cwd=tmp_path)  # fmt: skip
    assert result.code == 0, result.err
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Path(record["source"]).name for record in records] == [f"0{number}.png" for number in range(10)]
    for number, record in enumerate(records, start=1):
        assert record["tokens"] == [] and len(record["hypotheses"]) == 2
        for hypothesis in record["hypotheses"]:
            assert len(hypothesis["attention"]) == len(hypothesis["tokens"])
            assert all(len(row) == 64 and sum(row) == pytest.approx(1, abs=0.01) for row in hypothesis["attention"])
        with Image.open(tmp_path / "maps" / f"{number}.png") as drawn:
            assert min(drawn.size) > 200


def test_evaluate_gives_the_figures_of_training_and_all_others_of_captions(captioner: Captioner) -> None:
    logged = [json.loads(line) for line in (captioner.run / "metrics.jsonl").read_text().splitlines()]
    best = int((captioner.run / "best").resolve().name)
    figures = next(line for line in logged if line["split"] == "valid" and line["update"] == best)
    result = command("evaluate", f"model={captioner.run}", "threads=1", "data.split=valid", cwd=captioner.run)
    assert result.code == 0, result.err
    printed = {words[0]: words[1:] for line in result.out.splitlines() if (words := line.split())}
    assert float(printed["cider_d"][0]) == pytest.approx(figures["cider_d"], abs=0.005)
    assert float(printed["bleu4"][0]) == pytest.approx(figures["bleu4"], abs=0.005)
    assert float(printed["truth"][0]) == pytest.approx(figures["truth"], abs=0.005) and figures["truth"] > 50
    assert float(printed["nll"][0]) == pytest.approx(figures["nll"], abs=1e-4)
    assert {"bleu1", "bleu2", "bleu3", "rouge_l", "distinct1", "function_word_ends"} < set(printed)
    assert "nrefs:5" in printed["cider_d"][1]


def test_with_the_pictures_of_others_captions_are_worth_a_fraction(captioner: Captioner) -> None:
    model = seq2seq.load(captioner.run)
    right = cider_d(model(captioner.scenes), captioner.captions).value
    shuffled = captioner.scenes[7:] + captioner.scenes[:7]
    assert cider_d(model(shuffled), captioner.captions).value < 0.4 * right


def test_a_run_that_is_stopped_and_resumed_is_the_run_that_was_not(tmp_path: Path) -> None:
    steps = [*SMALL, "trainer.validate_every=100", "data.cnn.channels=[8]", "model.decoder.dropout=0.5"]
    assert command("train", *steps, "run=whole", "trainer.max_updates=4", cwd=tmp_path).code == 0
    assert command("train", *steps, "run=half", "trainer.max_updates=2", cwd=tmp_path).code == 0
    assert command("train", "resume=half", "trainer.max_updates=4", cwd=tmp_path).code == 0
    whole, half = (load_file(tmp_path / run / "last" / "weights.safetensors") for run in ("whole", "half"))
    assert whole.keys() == half.keys() and all(torch.equal(whole[name], half[name]) for name in whole)


def test_what_is_wrong_with_pictures_is_one_line(captioner: Captioner, tmp_path: Path) -> None:
    model = f"model={captioner.run}"
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert "empty: holds no .jpg or .jpeg or .png" in mistake("predict", model, "input=empty", cwd=tmp_path)
    assert "*.png: fits no file" in mistake("predict", model, "input=*.png", cwd=tmp_path)
    assert "none.png: there is no such picture" in mistake("predict", model, "input=none.png", cwd=tmp_path)
    assert "broken.jpg: cannot be decoded" in mistake("predict", model, "input=broken.jpg", cwd=tmp_path)
    assert "on_error='slip': did you mean 'skip'" in mistake(
        "predict", model, "input=broken.jpg", "on_error=slip", cwd=tmp_path
    )
    (tmp_path / "captions.tsv").write_text("broken.jpg\ta cat\n", encoding="utf-8")
    files = [f"data.{part}.path=captions.tsv" for part in ("train", "valid")]
    told = mistake("train", *photos_of(tmp_path), *files, cwd=tmp_path)
    assert "broken.jpg: cannot be decoded" in told
    (tmp_path / "captions.tsv").write_text("none.jpg\ta cat\n", encoding="utf-8")
    assert "captions.tsv:1: none.jpg" in mistake("train", *photos_of(tmp_path), *files, cwd=tmp_path)
    (tmp_path / "captions.tsv").write_text("broken.jpg\ta cat\n", encoding="utf-8")
    told = mistake("train", *photos_of(tmp_path), *files, "data/cnn=resnet18", cwd=tmp_path)
    assert "not the weights of resnet18" in told and "mobilenet_v2" in told


def test_predict_leaves_out_what_cannot_be_decoded_where_it_is_told_to(captioner: Captioner, tmp_path: Path) -> None:
    for name in ("00.png", "01.png"):
        (tmp_path / name).write_bytes((captioner.photos / name).read_bytes())
    (tmp_path / "00b.png").write_bytes(b"\xff\xd8\xff no picture")
    known = seq2seq.load(captioner.run)(captioner.scenes[:2])
    options = [f"model={captioner.run}", "threads=1", "precision=fp32", "input=*.png", "on_error=skip"]
    result = command("predict", *options, cwd=tmp_path)
    assert (result.code, result.out.split("\n")) == (0, [known[0], "", known[1], ""])
    assert "00b.png: cannot be decoded" in result.err and "left out 1 of 3 pictures" in result.err
    assert command("predict", *options, "output=o.jsonl", "attention=maps", cwd=tmp_path).code == 0
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["hypotheses"][0]["text"] for record in records] == [known[0], "", known[1]]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["1.png", "3.png"]


def photos_of(home: Path) -> list[str]:
    """Options of a training on photos of one's own, with a frozen network whose weights are in a file."""
    torch.manual_seed(0)
    torch.save(MobileNetV2(classes=10).state_dict(), home / "net.pth")
    pixels = {"size": 32, "shorter": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "padding": "right"}
    (home / "net.pth.json").write_text(json.dumps(pixels), encoding="utf-8")
    options = ["recipe=caption", "data=photos", "threads=1", "model.encoder.weights=net.pth", "data.hidden_dim=16"]
    options += ["search=greedy", "schedule=constant", "trainer.max_updates=4", "trainer.validate_every=4"]
    return [*options, "trainer.average=null", "run=run", "cache=cache"]


def test_a_folder_of_photos_trains_on_features_that_are_computed_once(captioner: Captioner, tmp_path: Path) -> None:
    for path in sorted(captioner.photos.iterdir())[:6]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = [f"{number:02}.png\tA Shape number {number}\n" for number in range(6)]
    (tmp_path / "captions.tsv").write_text("".join(lines), encoding="utf-8")
    files = [f"data.{part}.path=captions.tsv" for part in ("train", "valid")]
    result = command("train", *photos_of(tmp_path), *files, cwd=tmp_path)
    assert result.code == 0, result.err
    (store,) = (tmp_path / "cache").glob("features-*")
    assert (store / "rows").stat().st_size == 6 * 1280 * 2  # one region each at 32 pixels, in half precision
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (figures,) = (line for line in logged if line["split"] == "valid")
    (tmp_path / "net.pth").unlink()  # the bundle has the weights
    result = command("evaluate", "model=run", "data.split=valid", "threads=1", cwd=tmp_path)
    assert result.code == 0, result.err
    assert float(re.search(r"nll +(\S+)", result.out)[1]) == pytest.approx(figures["nll"], abs=2e-4)  # type: ignore[index]
    outputs = command("predict", "model=run", "input=*.png", "threads=1", cwd=tmp_path).out.splitlines()
    assert len(outputs) == 6 and all(output == output.lower() for output in outputs)


def test_a_run_on_kept_features_that_began_with_anothers_weights_resumes(captioner: Captioner, tmp_path: Path) -> None:
    for path in sorted(captioner.photos.iterdir())[:6]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = [f"{number:02}.png\tA Shape number {number}\n" for number in range(6)]
    (tmp_path / "captions.tsv").write_text("".join(lines), encoding="utf-8")
    files = [f"data.{part}.path=captions.tsv" for part in ("train", "valid")]
    options = [*photos_of(tmp_path), *files]
    assert command("train", *options, cwd=tmp_path).code == 0
    (tmp_path / "net.pth").unlink()
    begun = [text for text in options if not text.startswith(("model.", "run=", "trainer.max_updates="))] + ["init=run"]
    assert command("train", *begun, "run=whole", "trainer.max_updates=4", cwd=tmp_path).code == 0
    assert command("train", *begun, "run=half", "trainer.max_updates=2", cwd=tmp_path).code == 0
    assert command("train", "resume=half", "trainer.max_updates=4", cwd=tmp_path).code == 0
    assert len(list((tmp_path / "cache").glob("features-*"))) == 1
    whole, half = (load_file(tmp_path / run / "last" / "weights.safetensors") for run in ("whole", "half"))
    assert whole.keys() == half.keys() and all(torch.equal(whole[name], half[name]) for name in whole)


def test_features_of_regions_from_elsewhere(captioner: Captioner, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    (tmp_path / "features").mkdir()
    for number in range(4):
        name = f"{number:02}.png"
        (tmp_path / name).write_bytes((captioner.photos / name).read_bytes())
        regions = draw.normal(size=(3 + number, 12)).astype(np.float32)
        boxes = draw.random((3 + number, 4)).astype(np.float32)
        np.savez(tmp_path / "features" / f"{number:02}.npz", features=regions, boxes=boxes)
    np.save(tmp_path / "features" / "03.npy", draw.normal(size=(2, 2, 12)).astype(np.float32))
    (tmp_path / "features" / "03.npz").unlink()
    lines = [f"{number:02}.png\tA Shape number {number}\n" for number in range(4)]
    (tmp_path / "captions.tsv").write_text("".join(lines), encoding="utf-8")
    options = [*photos_of(tmp_path)[:3], *photos_of(tmp_path)[4:], "source=features", "model/encoder=regions"]
    options += [f"data.{part}.path=captions.tsv" for part in ("train", "valid")] + ["source.folder=features"]
    told = mistake("train", *options, "source.features=13", cwd=tmp_path)
    assert "its regions have 12 features, but features=13" in told
    result = command("train", *options, "source.features=12", cwd=tmp_path)
    assert result.code == 0, result.err
    assert command("evaluate", "model=run", "data.split=valid", "threads=1", cwd=tmp_path).code == 0
    result = command("predict", "model=run", "input=features", "output=o.jsonl", "threads=1", cwd=tmp_path)
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(record["hypotheses"][0]["attention"][0]) for record in records] == [3, 4, 5, 4], result.err
