"""The scripts that lay down SST-2 and ATIS, against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from types import ModuleType

import pytest

from tests.recipes.scripts import script
from tests.recipes.server import Server


@pytest.fixture(params=["sentiment", "slots"])
def prepare(request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script, with the server's files as the right ones."""
    module = script(f"{request.param}/prepare.py")
    server.files = {name: f"{name}\nsays something\n".encode() * 200 for name in module.FILES}
    monkeypatch.setattr(module, "FILES", {n: hashlib.sha256(body).hexdigest() for n, body in server.files.items()})
    return module


def run(prepare: ModuleType, server: Server, root: Path, *more: str) -> int:
    return prepare.main([str(root), "--base-url", server.url, "--wait", "0", *more])


def laid_down(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): gzip.decompress(path.read_bytes()) for path in paths}


def test_all_files_come_gzipped_and_a_second_run_asks_for_nothing(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.cut_after = [1000]
    assert run(prepare, server, tmp_path) == 0
    assert laid_down(tmp_path) == {f"{name}.gz": body for name, body in server.files.items()}
    assert f"data.root={tmp_path}\n" in capsys.readouterr().out
    asked = len(server.requests)
    (tmp_path / f"{next(iter(server.files))}.gz").write_bytes(b"half a fi")
    assert run(prepare, server, tmp_path) == 0 and len(server.requests) == asked + 1
    assert capsys.readouterr().out.count("already there") == len(server.files) - 1


def test_what_is_wrong_is_fetched_once_more_and_never_laid_down(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(iter(server.files))
    server.files[first] = b"something else\n"
    assert run(prepare, server, tmp_path) == 1
    assert [name for name, _ in server.requests] == [first] * 2 and laid_down(tmp_path) == {}
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and first in told and prepare.FILES[first] in told


def test_a_folder_is_taken_gzipped_or_not(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    for number, (name, body) in enumerate(server.files.items()):
        path = mine / (name if number % 2 else f"{name}.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if number % 2 else gzip.compress(body))
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 0 and not server.requests
    assert laid_down(tmp_path / "data") == {f"{name}.gz": body for name, body in server.files.items()}
    (mine / f"{next(iter(server.files))}.gz").unlink()
    assert run(prepare, server, tmp_path / "other", "--from", str(mine)) == 1
    assert "no such file; --from expects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "folder"),
    [("sentiment", "sst2"), ("slots", "atis"), ("translate", "multi30k"), ("write", "tinyshakespeare")],
)
def test_the_published_files_have_these_sums(name: str, folder: str, tmp_path: Path) -> None:
    data = os.environ.get("SEQ2SEQ_DATA")
    if data is None or not (Path(data) / folder).is_dir():
        pytest.skip(f"SEQ2SEQ_DATA names no folder with {folder}")
    assert script(f"{name}/prepare.py").main([str(tmp_path), "--from", str(Path(data) / folder)]) == 0
