"""``seq2seq.shortlist``, and decoding by what it has made."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seq2seq import bundle
from seq2seq.errors import BundleError
from tests.commands import Result, command, mistake
from tests.conftest import Trained


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A bundle of one's own, without a shortlist."""
    return Path(shutil.copytree(bundle.find(trained.run), tmp_path / "model"))


def made(model: Path, trained: Trained, *arguments: str) -> Result:
    result = command("shortlist", f"model={model}", "threads=1", *arguments, cwd=trained.home)
    assert result.code == 0, result.err
    return result


def predicted(model: Path, trained: Trained, *arguments: str) -> str:
    common = [f"model={model}", "threads=1", "precision=fp32", f"input={trained.src}"]
    result = command("predict", *common, *arguments, cwd=trained.home)
    assert result.code == 0, result.err
    return result.out


def test_is_made_of_the_training_data_and_used_when_it_is_asked_for(model: Path, trained: Trained) -> None:
    plain = predicted(model, trained)
    result = made(model, trained)
    size = (model / bundle.SHORTLIST).stat().st_size
    assert json.loads((model / bundle.MARK).read_text())["files"][bundle.SHORTLIST] == size
    # It validates on what it was trained on, so that all that the references say has been seen beside their sources.
    found = re.search(r"a sentence's list has (\d+) of (\d+) tokens, and 100\.00% of its reference's", result.out)
    assert found and 10 < int(found[1]) <= int(found[2])
    assert predicted(model, trained) == plain
    assert predicted(model, trained, "shortlist=true") != plain
    made(model, trained, "frequent=9999")  # all there are
    assert predicted(model, trained, "shortlist=true") == plain


def test_says_nothing_that_is_not_in_a_list(model: Path, trained: Trained, tmp_path: Path) -> None:
    plain = predicted(model, trained)
    made(model, trained)
    made(model, trained, "best=1", "frequent=0", "iterations=1")  # again, and smaller
    listed = predicted(model, trained, "shortlist=true", "n_best=2", "beam_size=3", f"output={tmp_path / 'o.jsonl'}")
    assert listed == ""
    loaded = bundle.load(model, shortlist=True, precision="fp32")
    lists, fields = bundle.load_shortlist(model, loaded.fields), loaded.fields
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    for record in records:
        own = lists.lists(fields.src.collate([fields.src.encode(record["source"])]))[0]
        pieces = {fields.tgt.pieces([token])[0] for token in own.nonzero().flatten().tolist()}
        assert len(record["hypotheses"]) == 2
        assert all(set(hypothesis["tokens"]) <= pieces for hypothesis in record["hypotheses"])
    texts = [record["hypotheses"][0]["text"] for record in records]
    assert texts != plain.splitlines()
    assert loaded([record["source"] for record in records], beam_size=3) == texts


def test_evaluate_decodes_by_it_too(model: Path, trained: Trained) -> None:
    def bleu(*arguments: str) -> float:
        common = [f"model={model}", "threads=1", "data.split=valid", "metrics=[bleu]"]
        result = command("evaluate", *common, *arguments, cwd=trained.home)
        assert result.code == 0, result.err
        return float(re.search(r"bleu +(\S+)", result.out)[1])  # type: ignore[index]

    made(model, trained, "best=1", "frequent=0", "iterations=1")
    assert bleu("shortlist=true") < bleu()


def test_what_is_wrong_is_told(model: Path, trained: Trained) -> None:
    common = [f"model={model}", "threads=1", f"input={trained.src}"]
    told = mistake("predict", *common, "shortlist=true", cwd=trained.home)
    assert told == f"{model}: has no shortlist; make it by python -m seq2seq.shortlist model={model}"
    told = mistake("predict", *common, "shortlist=on_sundays", cwd=trained.home)
    assert told == "shortlist=on_sundays: expected true or false"
    told = mistake("shortlist", f"model={model}", "best=0", cwd=trained.home)
    assert told == "best=0: expected a whole number of 1 or more"
    made(model, trained)
    path = model / bundle.SHORTLIST
    path.write_bytes(path.read_bytes()[:-9])
    assert "truncated" in mistake("predict", *common, cwd=trained.home)


def test_one_of_other_vocabularies_is_refused(model: Path, trained: Trained) -> None:
    made(model, trained)
    fields = bundle.load(model).fields
    shortlist = bundle.load_shortlist(model, fields)
    bundle.save_shortlist(model, shortlist)
    assert torch.equal(bundle.load_shortlist(model, fields).likely, shortlist.likely)
    for other in (replace(shortlist, likely=shortlist.likely[1:]), replace(shortlist, always=shortlist.always + 9999)):
        bundle.save_shortlist(model, other)
        with pytest.raises(BundleError, match="belongs to other vocabularies; make it anew by"):
            bundle.load(model, shortlist=True)


def test_an_average_keeps_it(model: Path, trained: Trained, tmp_path: Path) -> None:
    made(model, trained)
    bundle.average([model, model], tmp_path / "mean")
    assert predicted(tmp_path / "mean", trained, "shortlist=true") == predicted(model, trained, "shortlist=true")
