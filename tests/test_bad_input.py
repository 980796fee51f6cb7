"""What users get wrong: one clear line, exit code 1, no traceback."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq import evaluate, results
from seq2seq.data.labels import LabelField
from seq2seq.errors import ConfigError
from tests.commands import TINY, command, mistake
from tests.conftest import Trained

TRAIN = ["recipe=translate", *TINY, "run=run", "trainer.max_updates=1"]


def files(folder: Path, **contents: bytes) -> list[str]:
    """Writes the files of a corpus; returns the options that name them."""
    for name in ("src", "tgt"):
        (folder / f"a.{name}").write_bytes(contents.get(name, b"eins\nzwei\ndrei\n"))
    return ["data=text", *(f"data.{part}.{side}=a.{side}" for part in ("train", "valid") for side in ("src", "tgt"))]


def test_a_file_that_is_missing_or_unreadable(tmp_path: Path, trained: Trained) -> None:
    options = files(tmp_path)
    (tmp_path / "a.tgt").unlink()
    assert re.search(r"^a\.tgt does not exist \(looked in .*\)", mistake("train", *TRAIN, *options, cwd=tmp_path))
    model = f"model={trained.run}"
    assert "none.de does not exist" in mistake("predict", model, "input=none.de", "output=x.en", cwd=tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("x.en")]
    assert "none.de does not exist" in mistake("score", model, "src=none.de", "tgt=a.src", cwd=tmp_path)
    assert "none.de does not exist" in mistake("evaluate", model, "src=none.de", "tgt=a.src", cwd=tmp_path)
    (tmp_path / "folder").mkdir()
    assert "folder cannot be read" in mistake("predict", model, "input=folder", cwd=tmp_path)
    assert "a.src/x.txt: cannot be written" in mistake(
        "predict", model, "input=a.src", "output=a.src/x.txt", cwd=tmp_path
    )


def test_a_training_that_never_began_leaves_nothing_behind(tmp_path: Path) -> None:
    options = files(tmp_path, src=b"eins\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(2):  # the folder is free again
        mistake("train", *TRAIN, *options, cwd=tmp_path)
    mistake("train", *TRAIN, *files(tmp_path), "model.decoder.order=bach", cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".cache") == before


def test_files_of_different_line_counts(tmp_path: Path, trained: Trained) -> None:
    options = files(tmp_path, tgt=b"one\ntwo\n")
    assert "a.src has 3 lines but a.tgt has 2" in mistake("train", *TRAIN, *options, cwd=tmp_path)
    for name in ("score", "evaluate"):
        told = mistake(name, f"model={trained.run}", "src=a.tgt", "tgt=a.src", cwd=tmp_path)
        assert "a.tgt has 2 lines but a.src has 3" in told
    arguments = ["src=a.src", "tgt=a.src", "baseline=a.tgt"]
    told = mistake("evaluate", f"model={trained.run}", *arguments, cwd=tmp_path)
    assert "a.tgt has 2 lines, but there are 3 references" in told


def test_what_is_no_text_is_not_compared_with_a_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SimpleNamespace(fields=SimpleNamespace(tgt=LabelField(unknown="stop", labels=["good", "bad"])))
    monkeypatch.setattr(results, "open_model", lambda config: model)
    with pytest.raises(ConfigError, match="this model writes none: leave it out"):
        evaluate.main(SimpleNamespace(metrics=None, baseline="other.txt"))


def test_text_that_is_not_utf8(tmp_path: Path, trained: Trained) -> None:
    options = files(tmp_path, src=b"eins\nzw\xf6lf\ndrei\n")
    assert "a.src:2 is not UTF-8" in mistake("train", *TRAIN, *options, cwd=tmp_path)
    assert "a.src:2 is not UTF-8" in mistake("predict", f"model={trained.run}", "input=a.src", cwd=tmp_path)


def test_a_corpus_that_holds_nothing(tmp_path: Path, trained: Trained) -> None:
    options = files(tmp_path, src=b"", tgt=b"")
    assert "no text" in mistake("train", *TRAIN, *options, cwd=tmp_path)
    told = mistake("evaluate", f"model={trained.run}", "src=a.src", "tgt=a.tgt", cwd=tmp_path)
    assert "a.src holds no example" in told
    result = command("predict", f"model={trained.run}", "input=a.src", cwd=tmp_path)
    assert (result.code, result.out) == (0, "")


def test_a_corpus_of_which_the_filters_leave_nothing(tmp_path: Path) -> None:
    told = mistake("train", *TRAIN, *files(tmp_path), "data.filters.max_length=1", cwd=tmp_path)
    assert "longer than 1: 3" in told


def test_a_vocabulary_larger_than_the_text_supports(tmp_path: Path) -> None:
    options = [*files(tmp_path), "tokenizer=sentencepiece", "data.vocab_size=5000"]
    told = mistake("train", *TRAIN, *options, cwd=tmp_path)
    assert re.search(r"vocab_size is 5000, but the training text supports at most \d+", told)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["recipe=translate", "trainer.max_update=3"],
            "called trainer.max_update: did you mean 'trainer.max_updates'?",
        ),
        (["recipe=translate", "sede=3"], "the command line: no option is called sede: did you mean 'seed'?"),
        (["recipe=translate", "qqq=3"], "known are: cache, compile, data, device"),
        (["recipe=translate", "+trainer.max_update=3"], "trainer.max_update: did you mean 'max_updates'?"),
        (["recipe=translate", "trainer.max_updates=many"], "trainer.max_updates=many: expected a whole number or null"),
        (["recipe=translate", "trainer.max_updates=2.5"], "expected a whole number or null"),
        (["recipe=translate", "optimizer=adan"], "no optimizer is called adan: did you mean"),
        (["recipe=translat"], "no recipe is called translat: did you mean 'translate'?"),
        (["recipe=translate", "data=multi30k"], "data.root is not set: give it on the command line, as data.root=…"),
        (["recipe=translate", "data=text"], "data.train.src is not set"),
        (["recipe=translate", "device=gpu"], "device=gpu: "),
        (["recipe=translate", "threads=0"], "threads=0: expected a whole number of 1 or more"),
        (["recipe=translate", "compile=1"], "compile=1: expected true or false"),
        (["recipe=translate", "compile=true", "device=cpu"], "compile=true records CUDA graphs, for a GPU"),
        (["recipe=translate", "trainer=[1"], "the command line: trainer=[1: "),
        (["recipe=translate", "trainer.metric=${nothing}"], "nothing"),
        (["recipe=translate", "model.decoder.order=bach"], "order"),
        (["resume=nowhere"], "nowhere: no run to resume there"),
        ([], "choose a recipe, as in recipe=translate"),
    ],
)
def test_options_of_training_that_cannot_be(arguments: list[str], expected: str, tmp_path: Path) -> None:
    small = (
        ["data.train.size=20", "data.valid.size=4", *TINY] if "order" in expected or "trainer.max" in expected else []
    )
    assert expected in mistake("train", *arguments, *small, cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("predict", ["bean_size=3"], "no option is called bean_size: did you mean 'beam_size'?"),
        ("predict", ["n_best=2"], "n_best=2 needs output=FILE.jsonl"),
        ("predict", ["input=a.src", "output=x.jsonl", "n_best=3", "beam_size=2"], "n_best"),
        ("predict", ["input=a.src", "on_error=skip"], "on_error=skip is said of pictures"),
        ("predict", ["input=a.src", "beam_size=wide"], "beam_size=wide: expected a whole number"),
        ("evaluate", ["data.split=vaild"], "data.split=vaild: did you mean 'valid'?"),
        ("evaluate", ["data.rot=x"], "no option is called data.rot"),
        ("evaluate", ["metrics=[blue]"], "no metric is called 'blue': did you mean 'bleu'?"),
        ("evaluate", ["src=a.src"], "src=FILE and tgt=FILE go together"),
        ("score", ["src=a.src"], "tgt is not set: give it on the command line, as tgt=…"),
        ("evaluate", ["src=a.src", "tgt=a.src", "baseline=none.txt"], "none.txt does not exist"),
        ("average", ["output=x"], "last=N and best=N"),
        ("average", ["output=x", "last=9"], "has 3 such checkpoints, not 9"),
        ("average", ["output=a.src", "last=1"], "a.src exists already"),
    ],
)
def test_options_of_use_that_cannot_be(
    name: str, arguments: list[str], expected: str, tmp_path: Path, trained: Trained
) -> None:
    files(tmp_path)
    assert expected in mistake(name, f"model={trained.run}", *arguments, cwd=tmp_path)


@pytest.mark.parametrize("name", ["predict", "evaluate", "score", "average"])
def test_a_model_that_is_not_there(name: str, tmp_path: Path) -> None:
    rest = {"score": ["src=a", "tgt=a"], "average": ["last=1", "output=x"]}.get(name, [])
    assert "nowhere: no" in mistake(name, "model=nowhere", *rest, cwd=tmp_path)
    assert "model is not set: give it on the command line, as model=…" in mistake(name, *rest, cwd=tmp_path)


def test_a_run_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert "run exists already: go on with it by resume=run" in mistake("train", *TRAIN, *files(tmp_path), cwd=tmp_path)
    assert list((tmp_path / "run").iterdir()) == []


def test_tying_without_a_joint_vocabulary(tmp_path: Path) -> None:
    options = files(tmp_path, tgt=b"one\ntwo\nthree\n")
    told = mistake("train", *TRAIN, *options, "tokenizer.joint=false", "model.tying=all", cwd=tmp_path)
    assert "tokenizer.joint=true" in told
