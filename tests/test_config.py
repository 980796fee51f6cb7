"""From a command line and a user's own recipe to objects."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from seq2seq.config import CONF, short_waits
from seq2seq.errors import ConfigError
from seq2seq.objects import build
from tests.commands import PACKAGE, TINY, command, mistake
from tests.conftest import Trained

FEW = ["data.train.size=8", "data.valid.size=4", "data.test=null", "trainer.max_updates=2", "trainer.validate_every=2"]
RECIPE = """# @package _global_
defaults:
  - translate
trainer:
  max_updates: 3
  examples: 0
"""
OWN_CODE = """# @package _global_
defaults:
  - override /data: own
data:
  updates: 3
  vocab_size: 100
  filters: {_target_: seq2seq.data.datasets.Filters, max_length: 50, max_ratio: 9.0}
  train: {_target_: MODULE.Numbers, count: 9}
  valid: {_target_: MODULE.Numbers, count: 3}
  test: {_target_: MODULE.Numbers, count: 2}
model:
  decoder:
    bridge: {_target_: MODULE.Bridge}
"""
MODULE = '''"""Numbers that are counted."""

from seq2seq.nn.bridge import Last
from seq2seq.types import Example


class Numbers:
    def __init__(self, *, count: int) -> None:
        self.count = count

    def __iter__(self):
        return (Example("x " * n + "x", str(n), f"numbers:{n}") for n in range(1, self.count + 1))

    def fingerprint(self) -> str:
        return f"numbers {self.count}"


class Bridge(Last):
    pass
'''


def own(folder: Path, name: str, text: str, module: str | None = None) -> Path:
    """A recipe of a user's own, in ``folder/recipe``."""
    (folder / "recipe").mkdir(parents=True, exist_ok=True)
    if module is not None:
        (folder / "recipe" / f"{name}.py").write_text(module, encoding="utf-8")
    path = folder / "recipe" / f"{name}.yaml"
    path.write_text(text.replace("MODULE", name), encoding="utf-8")
    return path


def composed(*arguments: str, cwd: Path) -> str:
    result = command("train", *arguments, "--cfg", "job", cwd=cwd)
    assert result.code == 0, result.err
    return result.out


def test_a_recipe_of_ones_own_is_found_in_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, here = tmp_path / "else where, [it's]", tmp_path / "here"
    here.mkdir()
    own(elsewhere, "mine", RECIPE)
    assert "no recipe is called mine" in mistake("train", "recipe=mine", cwd=here)
    assert "max_updates: 3" in composed("recipe=mine", cwd=elsewhere)
    assert "max_updates: 3" in composed("recipe=mine", "--config-dir", str(elsewhere), cwd=here)
    assert "max_updates: 3" in composed("recipe=mine", f"--config-dir={elsewhere}", cwd=here)
    for given in (elsewhere, elsewhere / "recipe"):
        monkeypatch.setenv("SEQ2SEQ_RECIPES", str(given))
        assert "max_updates: 3" in composed("recipe=mine", cwd=here)
    assert "max_updates: 4" in composed("recipe=mine", "trainer.max_updates=4", cwd=here)
    monkeypatch.setenv("SEQ2SEQ_RECIPES", str(here))
    assert "SEQ2SEQ_RECIPES=" in mistake("train", "recipe=mine", cwd=here)


def test_a_recipe_of_ones_own_brings_its_code_along(tmp_path: Path) -> None:
    own(tmp_path, "counting", OWN_CODE, MODULE)
    result = command("train", "recipe=counting", *TINY, "run=run", "trainer.validate_every=3", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "test, with the best checkpoint" in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    (tmp_path / "x.txt").write_text("x x\n\n")
    model = ["model=run", "threads=1", "input=x.txt"]
    assert "trust=counting" in mistake("predict", *model, cwd=tmp_path)
    trusting = command("predict", *model, "trust=counting", cwd=tmp_path)
    assert trusting.code == 0 and len(trusting.out.splitlines()) == 2, trusting.err
    assert command("evaluate", "model=run", "threads=1", "trust=[counting]", cwd=tmp_path).code == 0
    assert command("train", "resume=run", "trainer.max_updates=4", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("trainer:\n  max_update: 3\n", 3, "no option is called trainer.max_update: did you mean 'max_updates'?"),
        ("trainr: {max_updates: 3}\n", 2, "no option is called trainr: did you mean 'trainer'?"),
        ("seed: 3\nthread: 2\n", 3, "no option is called thread: did you mean 'threads'?"),
        ("tokenizer: {jiont: false}\n", 2, "no option is called tokenizer.jiont: did you mean 'tokenizer.joint'?"),
        ("vectors:\n  source: x\n", 3, "no option is called vectors.source: "),
        ("data: {tset: null}\n", 2, "no option is called data.tset: did you mean 'data.test'?"),
        ("optimizer:\n\n  lrr: 1\n", 4, "no option is called optimizer.lrr: did you mean 'lr'?"),
        ("trainer: [1\nseed: 2\n", 3, "not YAML"),
        ("trainer:\n\tseed: 2\n", 3, "not YAML"),
        ("seed: 1\nseed: 2\n", 3, "not YAML"),
    ],
)
def test_a_mistake_in_a_recipe_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, expected: str) -> None:
    path = own(tmp_path, "mine", f"# @package _global_\n{text}")
    told = mistake("train", "recipe=mine", *FEW, "threads=1", "tokenizer=words", cwd=tmp_path)
    assert told.startswith(f"{path}:{line}: ") and expected in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainer: {max_updates: 3}\n", "the first line of a recipe is '# @package _global_'"),
        ("- 3\n", "the first line of a recipe is '# @package _global_'"),
        ("# @package _global_\ndefaults:\n  - override /data: null\n", "data"),
        ("# @package _global_\ndefaults: 3\n", "Invalid defaults list in 'recipe/mine'"),
        ("# @package _global_\ndefaults:\n  - override /dtaa: text\n", "dtaa: did you mean 'data'?"),
        ("# @package _global_\ndefaults:\n  - override /data: txet\n", "no data is called txet: did you mean 'text'?"),
        ("# @package _global_\ndefaults:\n  - trnslate\n", "Could not load 'recipe/trnslate'"),
    ],
)
def test_a_recipe_that_is_none_is_told(tmp_path: Path, text: str, expected: str) -> None:
    own(tmp_path, "mine", text)
    assert expected in mistake("train", "recipe=mine", cwd=tmp_path)


def test_a_recipe_may_not_take_the_name_of_one_of_ours(tmp_path: Path) -> None:
    own(tmp_path, "translate", RECIPE.replace("translate", "none"))
    assert "there is a recipe called translate" in mistake("train", "recipe=translate", cwd=tmp_path)


def test_a_module_beside_a_recipe_hides_no_module_of_pythons(tmp_path: Path) -> None:
    own(tmp_path, "random", RECIPE, "raise RuntimeError('imported')")
    assert "max_updates: 3" in composed("recipe=random", cwd=tmp_path)


def test_sweeps_train_one_run_after_the_other(tmp_path: Path) -> None:
    arguments = ["-m", "recipe=translate", *TINY, *FEW, "run=runs/seed${seed}", "seed=1,2"]
    result = command("train", *arguments, cwd=tmp_path)
    assert result.code == 0, result.err
    assert {path.name for path in (tmp_path / "runs").glob("seed*")} == {"seed1", "seed2"}
    assert all((tmp_path / "runs" / name / "best").exists() for name in ("seed1", "seed2"))


def test_a_run_has_a_folder_of_its_own_by_default(tmp_path: Path) -> None:
    result = command("train", "recipe=translate", *TINY, *FEW, cwd=tmp_path)
    assert result.code == 0, result.err
    assert (tmp_path / "runs" / "translate" / "latest" / "best" / "weights.safetensors").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", ".cache"}


def test_pretrained_vectors_come_from_a_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    (tmp_path / "vectors.txt").write_text("the " + " ".join(["0.25"] * 32) + "\n", encoding="utf-8")
    still = ["optimizer.lr=0", "vectors.tgt=vectors.txt", "model.tying=decoder", "run=run"]
    result = command("train", "recipe=translate", *TINY, *FEW, *still, cwd=tmp_path)
    assert result.code == 0, result.err
    weights = load_file(tmp_path / "run" / "best" / "weights.safetensors")
    assert any((table == 0.25).all(dim=1).sum() == 1 for table in weights.values() if table.dim() == 2)
    (tmp_path / "vectors.txt").unlink()
    result = command("train", "resume=run", "trainer.max_updates=2", cwd=tmp_path)
    assert result.code == 0, "a checkpoint has what was in the file"
    none = command("train", "recipe=write", "vectors.src=vectors.txt", "trainer.max_updates=1", cwd=tmp_path)
    assert "vectors.src=vectors.txt: this model has no table of tokens in its encoder" in none.err


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"_target_": "seq2seq.nn.nothing.Here"}, "there is no seq2seq.nn.nothing.Here"),
        ({"_target_": "seq2seq.nn.bridge.Lost"}, "there is no seq2seq.nn.bridge.Lost"),
        ({"_target_": "seq2seq.nn.bridge"}, "is not a class"),
        ({"_target_": 3}, "expected the full name of a class"),
        ({"_target_": "seq2seq.search.limits.Limits", "max_ratio": 1.0}, "part.max_extra is not set: Limits needs it"),
        ({"_target_": "seq2seq.search.scoring.GNMT", "alpha": True}, "part.alpha=True: expected a number"),
        ({"_target_": "seq2seq.search.scoring.GNMT", "alpha": "1"}, "part.alpha=1: expected a number"),
        ([{"_target_": "seq2seq.search.scoring.GNMT", "alfa": 1}], "called part[0].alfa: did you mean 'alpha'?"),
    ],
)
def test_what_cannot_be_built_is_told(node: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(node, at="part")
    assert expected in str(caught.value)


def test_builds_from_the_inside_out() -> None:
    limits = {"_target_": "seq2seq.search.limits.Limits", "max_ratio": 2, "max_extra": 3, "min_ratio": 0}
    made = build({"list": [{"_target_": "seq2seq.search.greedy.Greedy", "limits": limits}], "_x": 1}, at="part")
    assert made["list"][0].limits.max_extra == 3 and made["_x"] == 1
    later = build({"_target_": "seq2seq.search.scoring.GNMT", "_partial_": True}, at="part")
    assert later(alpha=0.5).alpha == 0.5
    assert build({"_target_": "seq2seq.search.scoring.GNMT"}, at="part", alpha=0.5).alpha == 0.5


@pytest.mark.slow
def test_a_wheel_carries_its_configuration_and_takes_recipes_of_ones_own(tmp_path: Path, trained: Trained) -> None:
    pytest.importorskip("hatchling", reason="building a wheel without isolation needs hatchling: pip install hatchling")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    source = tmp_path / "source"
    for folder in (PACKAGE, CONF):
        shutil.copytree(folder, source / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PACKAGE.parent / file, source)
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    wheel = next(tmp_path.glob("seq2seq-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    packed = {path.relative_to(tmp_path / "site/seq2seq/conf") for path in (tmp_path / "site").rglob("*.yaml")}
    assert packed == {path.relative_to(CONF) for path in CONF.rglob("*.yaml")}
    own(tmp_path / "work", "counting", OWN_CODE, MODULE)
    arguments = ["-m", "seq2seq.train", "recipe=counting", *TINY, "run=run", "trainer.validate_every=3"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, *arguments], cwd=tmp_path / "work", env=environment, check=True)
    code = "import seq2seq; print(seq2seq.__file__)"
    seen = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "work", env=environment, check=True, capture_output=True, text=True
    )
    assert str(tmp_path) in seen.stdout


def test_threads_spin_for_a_moment_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    for given, expected in [({}, ("PASSIVE", "1000")), ({names[0]: "ACTIVE"}, ("ACTIVE", None))]:
        for name in names:
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        short_waits()
        assert tuple(os.environ.get(name) for name in names) == expected
