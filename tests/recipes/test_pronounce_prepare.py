"""Laying down CMUdict, from a server on this machine and from a folder."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.commands import command
from tests.recipes.scripts import script
from tests.recipes.server import Server

DICTIONARY = b"""'bout B AW1 T
aalborg AO1 L B AO0 R G # place, danish
read R EH1 D
read(2) R IY1 D
record R AH0 K AO1 R D
record(2) R EH1 K ER0 D
record(3) R AH0 K AO2 R D
tested T EH1 S T IH0 D
tested(2) T EH1 S T AH0 D
"""
LIST = b"<s> T E S T E D <s/> ~T ~EH ~S ~T ~AH ~D </s>\n<s> D O N ' T <s/> ~D ~OW ~N ~T </s>\n"


@pytest.fixture
def prepare(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with the server's files as the right ones."""
    module = script("pronounce/prepare.py")
    server.files = {module.DICTIONARY: DICTIONARY, module.LIST: LIST}
    monkeypatch.setattr(module, "CHECKSUMS", {n: hashlib.sha256(b).hexdigest() for n, b in server.files.items()})
    monkeypatch.setattr(module, "is_validated", lambda word: word == "read")
    return module


def run(prepare: ModuleType, server: Server, root: Path, *more: str) -> int:
    return prepare.main([str(root), "--base-url", server.url, "--wait", "0", "--retries", "1", *more])


def laid_down(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(root.iterdir())}


EXPECTED = {
    "test.tsv": "don't\tD OW N T\ntested\tT EH S T AH D\n",
    "train.tsv": "'bout\tB AW T\naalborg\tAO L B AO R G\nrecord\tR AH K AO R D\nrecord\tR EH K ER D\n",
    "valid.tsv": "read\tR EH D\nread\tR IY D\n",
}


def test_pairs_are_laid_down_without_stress_and_without_the_test_words(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(prepare, server, tmp_path / "data") == 0
    assert laid_down(tmp_path / "data") == EXPECTED
    out = capsys.readouterr().out
    assert "4 pronunciations of 3 words" in out and f"data.root={tmp_path / 'data'}" in out


def test_a_folder_of_files_packed_or_not_is_taken(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / prepare.DICTIONARY).write_bytes(DICTIONARY)
    (mine / f"{prepare.LIST}.gz").write_bytes(gzip.compress(LIST))
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 0
    assert laid_down(tmp_path / "data") == EXPECTED and server.requests == []


def test_what_is_not_what_was_published_is_told_in_one_line(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files[prepare.LIST] = LIST * 2
    assert run(prepare, server, tmp_path / "data") == 1
    assert [name for name, _ in server.requests].count(prepare.LIST) == 2, "it is fetched once more"
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and prepare.CHECKSUMS[prepare.LIST] in told
    mine = tmp_path / "mine"
    mine.mkdir()
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 1
    assert "no such file; --from expects" in capsys.readouterr().err
    (mine / f"{prepare.DICTIONARY}.gz").write_bytes(gzip.compress(DICTIONARY)[:-9])
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 1
    assert "is no whole gzip file" in capsys.readouterr().err
    assert laid_down(tmp_path / "data") == {}


def test_what_is_laid_down_is_trained_on_and_any_pronunciation_counts(
    prepare: ModuleType, server: Server, tmp_path: Path
) -> None:
    assert run(prepare, server, tmp_path / "data") == 0
    small = ["threads=1", "model.encoder.recurrent.hidden_dim=8", "model.decoder.recurrent.hidden_dim=8"]
    short = ["trainer.max_updates=2", "trainer.validate_every=2", "schedule=constant", "data.filters.max_ratio=20"]
    data = ["recipe=pronounce", "data=cmudict", "data.root=data"]
    result = command("train", *data, *small, *short, "run=run", cwd=tmp_path)
    assert result.code == 0 and "word_error 100" in result.out, result.err
    result = command("evaluate", "model=run", "data.split=valid", "output=said.txt", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "word_error" in result.out and "phoneme_error|nrefs:2" in result.out and "bleu" not in result.out
    assert len((tmp_path / "said.txt").read_text().splitlines()) == 1, "one word, pronounced in two ways"
