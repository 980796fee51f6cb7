"""Fetching tinyshakespeare, against a server on this machine that can be told to misbehave."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.recipes.scripts import script
from tests.recipes.server import Server

TEXT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n" * 50


@pytest.fixture
def prepare(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with the server's file as the right one."""
    module = script("write/prepare.py")
    server.files["input.txt"] = TEXT
    monkeypatch.setattr(module, "FILES", {"input.txt": hashlib.sha256(TEXT).hexdigest()})
    return module


def run(prepare: ModuleType, server: Server, root: Path, *more: str) -> int:
    return prepare.main([str(root), "--base-url", server.url, "--wait", "0", *more])


def test_it_comes_once_and_whole(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.cut_after = [1000]
    assert run(prepare, server, tmp_path / "data") == 0
    assert [path.read_bytes() for path in (tmp_path / "data").iterdir()] == [TEXT]
    assert server.requests == [("input.txt", None), ("input.txt", "bytes=1000-")]
    assert f"data.root={tmp_path / 'data'}" in capsys.readouterr().out
    assert run(prepare, server, tmp_path / "data") == 0
    assert len(server.requests) == 2, "what is there is not fetched again"


def test_what_is_not_the_file_is_not_laid_down(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["input.txt"] = b"something else"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "input.txt").write_bytes(b"and this")
    (tmp_path / "data").mkdir()
    for more in ([], ["--from", str(tmp_path / "other")], ["--from", str(tmp_path / "none")]):
        assert run(prepare, server, tmp_path / "data", *more) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        assert list((tmp_path / "data").iterdir()) == []


def test_a_file_that_is_here_is_taken(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "input.txt").write_bytes(TEXT)
    assert run(prepare, server, tmp_path / "data", "--from", str(tmp_path / "mine")) == 0
    assert (tmp_path / "data" / "input.txt").read_bytes() == TEXT and server.requests == []
