"""Runs commands as a user would, within this process, since starting Python and torch anew takes seconds."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import seq2seq

PACKAGE = Path(seq2seq.__file__).parent

TINY = (
    "threads=1",
    "tokenizer=words",
    "model.encoder.embedding.dropout=0",
    "model.decoder.embedding.dropout=0",
    "model.decoder.dropout=0",
    "task.objective.label_smoothing=0",
    "model.encoder.embedding.embedding_dim=32",
    "model.encoder.recurrent.hidden_dim=24",
    "model.decoder.embedding.embedding_dim=32",
    "model.decoder.recurrent.hidden_dim=48",
    "model.decoder.readout_dim=32",
    "schedule=constant",
    "optimizer.lr=0.01",
    "trainer.precision=fp32",
    "trainer.average=null",
    "trainer.accumulate=1",
)
"""Makes any recipe a matter of seconds."""


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def command(name: str, *arguments: str, cwd: Path) -> Result:
    """``python -m seq2seq.<name> <arguments>`` in a folder."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2))
    kept = sys.argv, list(sys.path), dict(os.environ), Path.cwd()
    code = 0
    try:
        sys.argv = [f"{name}.py", *arguments]
        os.chdir(cwd)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path(str(PACKAGE / f"{name}.py"), run_name="__main__")
    except SystemExit as exit:
        code = int(exit.code or 0)
    finally:
        sys.argv, sys.path[:] = kept[0], kept[1]
        os.environ.clear()
        os.environ.update(kept[2])
        os.chdir(kept[3])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]
    return Result(code, *texts)


def mistake(name: str, *arguments: str, cwd: Path) -> str:
    """The one line in which a command tells a user's mistake."""
    result = command(name, *arguments, cwd=cwd)
    assert result.code == 1, result
    lines = result.err.strip("\n").split("\n")
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 1 and lines[-1] == told[0], result.err
    assert "Traceback" not in result.err and "Error executing" not in result.err
    return told[0].removeprefix("error: ")
