"""The scripts that lay down MNIST and the series, against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from tests.recipes.scripts import script
from tests.recipes.server import Server

DATA = {"digits": "mnist", "forecast": "timeseries"}


@pytest.mark.parametrize("name", list(DATA))
def test_files_come_packed_however_they_are_published(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script(f"{name}/prepare.py")
    bodies = {each: f"{each} says something\n".encode() * 200 for each in module.FILES}
    server.files = {each: gzip.compress(body) if each.endswith(".gz") else body for each, body in bodies.items()}
    monkeypatch.setattr(module, "FILES", {each: hashlib.sha256(body).hexdigest() for each, body in bodies.items()})
    arguments = [str(tmp_path), "--base-url", server.url, "--wait", "0"]
    assert module.main(arguments) == 0
    laid_down = {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.iterdir()}
    assert laid_down == {each.removesuffix(".gz") + ".gz": body for each, body in bodies.items()}
    asked = len(server.requests)
    assert module.main(arguments) == 0 and len(server.requests) == asked
    assert f"data.root={tmp_path}\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", list(DATA))
def test_the_published_files_have_these_sums(name: str, tmp_path: Path) -> None:
    data = os.environ.get("SEQ2SEQ_DATA")
    if data is None or not (Path(data) / DATA[name]).is_dir():
        pytest.skip(f"SEQ2SEQ_DATA names no folder with {DATA[name]}")
    assert script(f"{name}/prepare.py").main([str(tmp_path), "--from", str(Path(data) / DATA[name])]) == 0
