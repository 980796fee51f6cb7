"""The standard library as a text: whole modules, none in two parts, the same ones every time."""

from __future__ import annotations

import sysconfig
from itertools import islice
from pathlib import Path

import pytest

from seq2seq.data.builtin.python_source import PARTS, PythonSource, modules
from seq2seq.errors import ConfigError, DataError


def test_parts_share_no_module_and_leave_out_what_is_no_code() -> None:
    names = {part: [module.name for module in modules(part)] for part in PARTS}
    assert len(names["train"]) > 10 * len(names["valid"]) > 0 and names["test"]
    every = [name for part in names.values() for name in part]
    assert len(every) == len(set(every)) and "ast.py" in every and "json/decoder.py" in every
    assert not any(set(name.split("/")) & {"test", "tests", "site-packages", "encodings"} for name in every)


def test_a_text_is_a_module_and_the_last_one_is_cut() -> None:
    reader = PythonSource(part="valid", size=40_000)
    examples = list(reader)
    assert sum(len(example.tgt) for example in examples) == 40_000
    for module, example in zip(modules("valid"), examples[:-1]):
        assert (module.name, module.text) == (example.where, example.tgt)
        assert module.text.isascii()
        path = Path(sysconfig.get_path("stdlib")) / module.name
        assert path.read_text(encoding="utf-8") == module.text
    assert examples == list(reader)
    more = list(islice(PythonSource(part="valid", size=90_000), len(examples) - 1))
    assert more == examples[:-1], "a larger size takes the same modules and more"


def test_fingerprints_follow_what_is_read() -> None:
    prints = {PythonSource(part=part, size=size).fingerprint() for part in ("valid", "test") for size in (900, 1000)}
    assert len(prints) == 4


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="part='dev' of the standard library: expected one of train, valid, test"):
        list(PythonSource(part="dev", size=10))
    with pytest.raises(ConfigError, match="size=0"):
        PythonSource(part="valid", size=0)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match="holds no source of the standard library: give a text of your own"):
        list(PythonSource(part="valid", size=10))
