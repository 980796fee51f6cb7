"""Fetching Multi30k, against a server on this machine that can be told to misbehave."""

from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.recipes.scripts import RECIPES, script
from tests.recipes.server import Server


@pytest.fixture
def prepare(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with the server's files as the right ones."""
    module = script("translate/prepare.py")
    chance = random.Random(7)
    for split in module.SPLITS:
        for language in ("de", "en"):
            lines = [f"{split} {language} {number} {chance.random()}\n" for number in range(300)]
            server.files[f"{split}.{language}.gz"] = gzip.compress("".join(lines).encode())
    sums = {name: hashlib.sha256(gzip.decompress(body)).hexdigest() for name, body in server.files.items()}
    monkeypatch.setattr(module, "CHECKSUMS", sums)
    return module


def run(prepare: ModuleType, server: Server, root: Path, *more: str) -> int:
    return prepare.main([str(root), "--base-url", server.url, "--wait", "0", *more])


def laid_down(root: Path) -> dict[str, bytes]:
    return {path.name: gzip.decompress(path.read_bytes()) for path in root.iterdir()}


def published(server: Server) -> dict[str, bytes]:
    return {name: gzip.decompress(body) for name, body in server.files.items()}


def test_all_files_come_and_a_second_run_asks_for_nothing(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(prepare, server, tmp_path / "data") == 0
    assert laid_down(tmp_path / "data") == published(server)
    assert [name for name, _ in server.requests] == list(server.files)
    assert capsys.readouterr().out.count("the sha256 of what is in it is right") == 6
    server.requests.clear()
    assert run(prepare, server, tmp_path / "data") == 0
    assert server.requests == []
    assert f"data.root={tmp_path / 'data'}" in capsys.readouterr().out


def test_a_cut_connection_is_taken_up_where_it_stopped(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    server.cut_after = [1000, 500]
    assert run(prepare, server, tmp_path) == 0
    assert server.requests[:3] == [
        ("train.de.gz", None),
        ("train.de.gz", "bytes=1000-"),
        ("train.de.gz", "bytes=1500-"),
    ]
    assert laid_down(tmp_path) == published(server)


def test_a_later_run_takes_up_what_an_earlier_one_left(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.cut_after = [1000, 0]
    assert run(prepare, server, tmp_path, "--retries", "0") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["train.de.gz.part"]
    assert "goes on from here" in capsys.readouterr().err
    server.cut_after.clear()
    server.requests.clear()
    assert run(prepare, server, tmp_path) == 0
    assert server.requests[0] == ("train.de.gz", "bytes=1000-")
    assert laid_down(tmp_path) == published(server)


def test_a_server_without_ranges_is_read_from_the_start(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [1000]
    assert run(prepare, server, tmp_path) == 0
    assert laid_down(tmp_path) == published(server)


@pytest.mark.parametrize("extra", [b"", b"more than the file holds"])
def test_a_part_with_nothing_beyond_it(prepare: ModuleType, server: Server, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "train.de.gz.part").write_bytes(server.files["train.de.gz"] + extra)
    assert run(prepare, server, tmp_path) == 0
    assert laid_down(tmp_path) == published(server)


def test_a_part_of_something_else_is_fetched_anew(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    (tmp_path / "train.de.gz.part").write_bytes(b"x" * 1000)
    assert run(prepare, server, tmp_path) == 0
    assert server.requests[:2] == [("train.de.gz", "bytes=1000-"), ("train.de.gz", None)]
    assert laid_down(tmp_path) == published(server)


def test_a_wrong_checksum_lays_nothing_down(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["train.de.gz"] = gzip.compress(b"not what was published\n")
    assert run(prepare, server, tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    assert [name for name, _ in server.requests] == ["train.de.gz"] * 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "train.de.gz" in message and prepare.CHECKSUMS["train.de.gz"] in message


def test_a_file_that_went_bad_is_replaced(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    (tmp_path / "val.en.gz").write_bytes(b"half a fi")
    assert run(prepare, server, tmp_path) == 0
    assert laid_down(tmp_path) == published(server)


def test_a_missing_file_is_not_asked_for_again(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del server.files["val.de.gz"]
    assert run(prepare, server, tmp_path) == 1
    assert [name for name, _ in server.requests].count("val.de.gz") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "val.de.gz: the server answered 404" in message
    assert sorted(laid_down(tmp_path)) == ["train.de.gz", "train.en.gz"]


def test_a_busy_server_is_asked_again(prepare: ModuleType, server: Server, tmp_path: Path) -> None:
    server.failures = [503, 429]
    assert run(prepare, server, tmp_path) == 0
    assert laid_down(tmp_path) == published(server)


def test_an_unreachable_server_is_said(prepare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = prepare.main([str(tmp_path), "--base-url", "http://127.0.0.1:9", "--wait", "0", "--retries", "1"])
    assert code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: http://127.0.0.1:9/train.de.gz: cannot be")


def test_a_folder_is_taken_and_checked(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, body in server.files.items():
        (mine / name).write_bytes(body)
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 0
    assert laid_down(tmp_path / "data") == published(server) and server.requests == []
    (mine / "train.en.gz").write_bytes(b"something else")
    assert run(prepare, server, tmp_path / "other", "--from", str(mine)) == 1
    assert sorted(laid_down(tmp_path / "other")) == ["train.de.gz"]
    (mine / "train.en.gz").rename(mine / "train.en")
    (mine / "train.en").write_bytes(gzip.decompress(server.files["train.en.gz"]))
    assert run(prepare, server, tmp_path / "data", "--from", str(mine)) == 0, "packed or not"
    (mine / "train.en").unlink()
    assert run(prepare, server, tmp_path / "other", "--from", str(mine)) == 1
    assert "no such file; --from expects a folder with train.en.gz or train.en in it" in capsys.readouterr().err
    assert run(prepare, server, mine / "train.de.gz", "--from", str(mine)) == 1
    assert "train.de.gz: is no folder" in capsys.readouterr().err


def test_languages_without_a_checksum_are_asked_for_by_name(
    prepare: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(prepare, server, tmp_path, "--languages", "de", "fr") == 1
    assert "--allow-unverified" in capsys.readouterr().err and server.requests == []
    for split in prepare.SPLITS:
        server.files[f"{split}.fr.gz"] = gzip.compress(b"ligne\n" * 300)
    assert run(prepare, server, tmp_path, "--languages", "de", "fr", "--allow-unverified") == 0
    assert capsys.readouterr().out.endswith(" data.src=de data.tgt=fr\n")
    server.files["val.fr.gz"] = gzip.compress(b"ligne\n" * 299)
    (tmp_path / "val.fr.gz").unlink()
    assert run(prepare, server, tmp_path, "--languages", "de", "fr", "--allow-unverified") == 1
    assert "val has different numbers of lines (300 of de, 299 of fr)" in capsys.readouterr().err
    for wrong in (server.files["train.fr.gz"][:-4], b"<html>no such page</html>"):
        server.files["train.fr.gz"] = wrong
        (tmp_path / "train.fr.gz").write_bytes(wrong)  # nor is what is there right
        assert run(prepare, server, tmp_path, "--languages", "de", "fr", "--allow-unverified") == 1
        told = capsys.readouterr()
        assert "train.fr.gz: there, but not as it should be" in told.out and "no whole gzip file" in told.err


def test_the_script_stands_alone(server: Server, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(RECIPES / "translate" / "prepare.py"),
        str(tmp_path / "data"),
        "--base-url",
        server.url,
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == f"error: {server.url}/train.de.gz: the server answered 404 Not Found; check --base-url\n"
