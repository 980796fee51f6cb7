"""The command itself: killed, interrupted, out of room, resumed. Each test starts it several times."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.training.small import differing, final

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = """
    recipe=translate threads=1 device=cpu search=greedy data.vocab_size=400
    data.train.size=60 data.valid.size=4 data.test=null trainer.batching.tokens=300
    model.encoder.embedding.embedding_dim=8 model.encoder.recurrent.hidden_dim=4
    model.decoder.embedding.embedding_dim=8 model.decoder.recurrent.hidden_dim=8 model.decoder.readout_dim=8
    task.teacher_forcing._target_=seq2seq.tasks.teacher_forcing.Linear
    +task.teacher_forcing.floor=0.5 +task.teacher_forcing.slope=0.1
    search.limits.max_ratio=0.5 search.limits.max_extra=2
    schedule=plateau schedule.metric=perplexity schedule.patience=1 trainer.patience=50
    trainer.accumulate=2 trainer.average=0.9 trainer.max_updates=20 trainer.validate_every=8
    trainer.checkpoint_every=2 trainer.examples=0 tokenizer.src.sampling=0.3
"""
SMALL = OPTIONS.split()


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def command(*arguments: str, folder: Path, by: Sequence[str] = ()) -> dict[str, object]:
    """What to start: from the folder of a user who has the package installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("HYDRA_FULL_ERROR", None)
    words = [sys.executable, *by, "-m", "seq2seq.train", *arguments]
    return {"args": words, "cwd": folder, "env": environment, "text": True}


def train(*arguments: str, folder: Path, by: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command(*arguments, folder=folder, by=by), capture_output=True, timeout=120)  # type: ignore[call-overload]


def start(*arguments: str, folder: Path, after: str, by: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Starts a run and waits until it has made a checkpoint."""
    process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        **command(*arguments, folder=folder, by=by), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    limit = time.monotonic() + 60
    while not (folder / after).exists():
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            pytest.fail(f"no {after}: {process.communicate()}")
        time.sleep(0.01)
    return process


def assert_equal(run: Path, whole: Path) -> None:
    # Numpy's global generator is restored, but nothing here draws from it or seeds it, so that runs differ in it.
    differences = differing(final(run), final(whole))
    assert [place for place in differences if "/random/numpy/" not in place] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    done = train(*SMALL, "run=run", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_kill_9_and_resume(whole: Path, tmp_path: Path) -> None:
    process = start(*SMALL, "run=run", folder=tmp_path, after="run/checkpoints/0000006")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # What has its name is whole, even if the link to it had not been turned yet.
    stopped = max(int(path.name) for path in (tmp_path / "run/checkpoints").glob("0*"))
    assert 6 <= stopped < 20
    done = train("resume=run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"resumed at update {stopped}" in done.stdout
    assert_equal(tmp_path / "run", whole)


SAMPLE = """
import sys
from tests.training.small import fields
print(fields().src.sample_all(["Der kleine Hund schläft heute im Garten."] * 9, seed=5))
"""


def test_sampled_pieces_are_the_same_in_every_process() -> None:
    """Without this, a run that samples pieces goes on differently after it was killed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    drawn = [
        subprocess.run([sys.executable, "-c", SAMPLE], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert drawn[0].stdout == drawn[1].stdout


def test_ctrl_c_saves_and_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    process = start(*SMALL, "run=my runs/a", folder=tmp_path, after="my runs/a/checkpoints/0000004")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopping after this update" in err
    assert err.count("\n") == 2, err  # an empty one, since ^C stands in its line
    said = re.search(r"go on with: python -m seq2seq\.train (.*)", out)
    assert said, out
    stopped = final(tmp_path / "my runs/a")[1]["progress"][0]
    done = train(*shlex.split(said[1]), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"resumed at update {stopped}" in done.stdout
    assert_equal(tmp_path / "my runs/a", whole)


def test_a_run_folder_that_exists(whole: Path) -> None:
    before = sorted(path.name for path in whole.rglob("*"))
    done = train(*SMALL, "run=run", folder=whole.parent)
    assert done.returncode == 1
    assert done.stderr == "error: run exists already: go on with it by resume=run, or choose another by run=…\n"
    assert sorted(path.name for path in whole.rglob("*")) == before


def test_resumed_with_changed_values(whole: Path, tmp_path: Path) -> None:
    """A few more updates at another rate; what cannot be changed is refused before anything is."""
    small = [text for text in SMALL if not text.startswith("trainer.max_updates")]
    assert train(*small, "run=run", "trainer.max_updates=4", folder=tmp_path).returncode == 0
    refused = train("resume=run", "schedule=cosine", folder=tmp_path)
    assert refused.returncode == 1
    assert "schedule=cosine" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = train("resume=run", "trainer.max_updates=7", "optimizer.lr=0.25", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    state = final(tmp_path / "run")[1]
    assert state["progress"][0] == 7
    assert state["optimizer"]["param_groups"][0]["lr"] in (0.25, 0.125)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["update"] for line in lines if line["split"] == "valid"] == [4, 7]
    record = yaml.safe_load((tmp_path / "run/last/run.yaml").read_text(encoding="utf-8"))
    assert record["optimizer"]["lr"] == 0.25
    nothing = train("resume=elsewhere", folder=tmp_path)
    assert nothing.stderr.startswith("error: elsewhere: no run to resume there")


def test_no_room_to_save(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the model is too large for it."""
    given = command(*SMALL, "run=run", folder=tmp_path)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    done = subprocess.run(**given, capture_output=True, timeout=120, preexec_fn=limited)  # type: ignore[call-overload]
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert list((tmp_path / "run").rglob("*.part")) == []


# By torchrun -----------------------------------------------------------------------------------------------------


def told(text: str) -> list[str]:
    """The lines that the processes wrote themselves; torchrun adds a report of its own."""
    return [line for line in text.splitlines() if line.startswith("error: ")]


def worker(process: subprocess.Popen[str], rank: int) -> int:
    """The number of one of the processes that torchrun started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {Path(f"/proc/{child}/environ").read_bytes().partition(b"\0RANK=")[2][:1]: int(child) for child in children}
    return ranks[str(rank).encode()]


def test_two_processes_one_is_killed_and_the_run_is_resumed_by_one(tmp_path: Path) -> None:
    endless = [text for text in SMALL if not text.startswith("trainer.max_updates")]
    process = start(
        *endless, "run=run", "trainer.max_updates=100000", folder=tmp_path, after="run/checkpoints/0000006", by=TORCHRUN
    )
    lost = worker(process, 1)
    os.kill(lost, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    (line,) = told(err)
    assert line.startswith(f"error: lost process 1 of 2 (pid {lost} on ")
    assert "the last good checkpoint is run/checkpoints/00" in line and "go on with resume=run" in line
    assert out.splitlines()[0] == "run run of 2 processes"
    stopped = max(int(path.name) for path in (tmp_path / "run/checkpoints").glob("0*"))
    done = train("resume=run", f"trainer.max_updates={stopped + 2}", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"resumed at update {stopped}" in done.stdout and "processes: 2 before, 1 now" in done.stdout


def test_two_processes_ctrl_c(tmp_path: Path) -> None:
    endless = [text for text in SMALL if not text.startswith("trainer.max_updates")]
    process = start(
        *endless, "run=run", "trainer.max_updates=100000", folder=tmp_path, after="run/checkpoints/0000006", by=TORCHRUN
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert err.count("stopping after this update") == 1
    assert told(err) == []
    assert out.count("stopped; go on with: python -m seq2seq.train resume=run") == 1


def test_two_processes_tell_a_mistake_once(tmp_path: Path) -> None:
    mistakes = {
        "trainer.max_updats=3": "no option is called trainer.max_updats",
        "model.tying=al": "tying='al'",
        "data.train.size=-1": "size=-1",
    }
    for mistake, message in mistakes.items():
        done = train(*SMALL, "run=run", mistake, folder=tmp_path, by=TORCHRUN)
        assert done.returncode != 0
        (line,) = told(done.stderr)
        assert message in line
        assert not (tmp_path / "run").exists()
