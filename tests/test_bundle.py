"""Bundles: what is loaded is what was saved, and whatever is wrong with a folder is told in one line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

import seq2seq
from seq2seq import bundle
from seq2seq.errors import BundleError, UserError
from tests.conftest import Trained

FILES = ["bundle.json", "config.yaml", "weights.safetensors", "fields/config.yaml", "fields/src.vocab"]


@pytest.fixture
def copy(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree((trained.run / "best").resolve(), tmp_path / "bundle"))


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(BundleError) as caught:
        seq2seq.load(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(path: Path, *keys: str, to: Any) -> None:
    """Sets one value of a YAML file."""
    node = tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = to
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def whole(folder: Path) -> None:
    """Forgets the sizes, so that what else is wrong comes to light."""
    mark = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**mark, "files": {}}))


def test_what_is_loaded_predicts_what_was_saved(trained: Trained, tmp_path: Path) -> None:
    model = seq2seq.load(trained.run)
    sources = trained.src.read_text(encoding="utf-8").splitlines()
    copy = tmp_path / "again"
    copy.mkdir()
    run: dict[str, Any] = {"data": None}
    parts = {"model": model.config["model"], "task": model.config["task"], "run": run}
    bundle.save(copy, network=model.network, fields=model.fields, **parts)
    again = seq2seq.load(copy)
    assert again.predict(sources) == model.predict(sources)
    assert again.log_probs(sources, model(sources)) == model.log_probs(sources, model(sources))
    for name, weight in model.network.state_dict().items():
        assert torch.equal(weight, again.network.state_dict()[name])


def test_a_bundle_moves_with_its_folder(copy: Path, trained: Trained) -> None:
    moved = copy.rename(copy.parent / "a place with spaces & ünïcode ${folder}")
    assert seq2seq.load(moved)(["Er kommt."]) == seq2seq.load(trained.run)(["Er kommt."])


def test_a_run_stands_for_its_best_checkpoint(trained: Trained) -> None:
    assert bundle.find(trained.run).resolve() == (trained.run / "best").resolve()
    assert "no such folder" in refusal(trained.home / "nowhere")
    assert "bundle.json" in refusal(trained.home)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_missed(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert name in refusal(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_every_file_that_was_cut_short_is_named(copy: Path, name: str, share: float) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(len(content) * share)])
    assert name in refusal(copy)


@pytest.mark.parametrize("name", ["config.yaml", "fields/config.yaml"])
def test_a_configuration_cut_anywhere_never_ends_in_a_traceback(copy: Path, name: str) -> None:
    whole(copy)
    lines = (copy / name).read_bytes().splitlines(keepends=True)
    for number in range(0, len(lines) - 1, 3):
        (copy / name).write_bytes(b"".join(lines[:number]))
        refusal(copy)


def test_bytes_that_were_changed_are_noticed(copy: Path) -> None:
    weights = copy / "weights.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    assert "weights.safetensors: truncated or damaged" in refusal(copy)


def test_a_newer_format_asks_for_an_update(copy: Path) -> None:
    (copy / "bundle.json").write_text(json.dumps({"format": 99, "version": "7.1"}))
    message = refusal(copy)
    assert "7.1" in message and "format 99" in message and "update seq2seq" in message
    (copy / "bundle.json").write_text(json.dumps({"format": "x"}))
    assert "bundle.json" in refusal(copy)


def test_weights_that_do_not_fit_are_named(copy: Path) -> None:
    whole(copy)
    changed(copy / "config.yaml", "model", "encoder", "recurrent", "num_layers", to=2)
    assert "these weights do not fit" in refusal(copy)


@pytest.mark.parametrize(
    "target",
    [
        "shutil.rmtree",
        "os.system",
        "seq2seqs.Thing",
        "seq2seq.bundle.shutil.rmtree",
        "seq2seq.bundle.Path",
        "seq2seq.bundle.average",
        "seq2seq.objects.functools.partial",
        "seq2seq.bundle",
        "seq2seq.",
        "rmtree",
        "",
        None,
        3,
        ["seq2seq.nn.bridge.Last"],
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_code_outside_seq2seq_is_refused(copy: Path, target: Any, partial: bool) -> None:
    victim = copy / "victim"
    victim.mkdir()
    whole(copy)
    node = {"_target_": target, "_partial_": partial, "path": str(victim)}
    for file, *keys in (("config.yaml", "model"), ("config.yaml", "task", "objective"), ("fields/config.yaml", "src")):
        kept = (copy / file).read_bytes()
        changed(copy / file, *keys, to=node)
        refusal(copy)
        (copy / file).write_bytes(kept)
    assert victim.exists()
    seq2seq.load(copy)


def test_evaluating_builds_no_data_that_a_bundle_names_elsewhere(copy: Path) -> None:
    from tests.commands import mistake

    (copy / "victim").mkdir()
    changed(copy / "run.yaml", "data", "test", to={"_target_": "shutil.rmtree", "path": str(copy / "victim")})
    assert "shutil.rmtree: trust" in mistake("evaluate", f"model={copy}", cwd=copy)
    assert (copy / "victim").exists()


def test_code_is_loaded_from_a_module_that_is_trusted(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole(copy)
    text = "from seq2seq.nn.bridge import Last\nclass Mine(Last):\n    pass\n"
    (copy / "my_bridges.py").write_text(text)
    monkeypatch.syspath_prepend(str(copy))
    changed(copy / "config.yaml", "model", "decoder", "bridge", "_target_", to="my_bridges.Mine")
    assert "trust=my_bridges" in refusal(copy)
    assert "my_bridges" not in sys.modules
    for trust in (["my_bridges"], "my_bridges", None):
        assert type(seq2seq.load(copy, trust=trust).network.decoder.bridge).__name__ == "Mine"  # type: ignore[arg-type]
    assert "trust=my_bridges" in refusal(copy, trust=["my_bridges_too", "my"])
    changed(copy / "config.yaml", "model", "decoder", "bridge", "_target_", to="my_bridges.Last")
    assert seq2seq.load(copy, trust=["my_bridges"])


def test_averaging_refuses_what_it_cannot_do(copy: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="exists already"):
        bundle.average([copy], copy)
    other = Path(shutil.copytree(copy, copy.parent / "other"))
    whole(other)
    changed(other / "config.yaml", "model", "tying", to="decoder")
    with pytest.raises(BundleError):
        bundle.average([copy, other], copy.parent / "mean")
    first, fields = seq2seq.load(copy), [SimpleNamespace(fingerprint=lambda: "another")]
    loaded = [first, SimpleNamespace(fields=fields, network=first.network)]
    monkeypatch.setattr(bundle, "load", lambda *given, **options: loaded.pop(0))
    with pytest.raises(BundleError, match=r"other has another vocabulary than .*: only models of one make have a mean"):
        bundle.average([copy, other], copy.parent / "mean")
    assert not (copy.parent / "mean").exists()


def test_a_model_is_called_with_a_list_and_known_options(trained: Trained) -> None:
    model = seq2seq.load(trained.run)
    with pytest.raises(UserError, match="list"):
        model("Er kommt.")
    with pytest.raises(UserError, match="beam_size"):
        model(["Er kommt."], beamsize=3)
    with pytest.raises(UserError, match="whole number"):
        model(["Er kommt."], beam_size="five")
    assert model([]) == []
