"""What can be run, with a model that has been trained by the command itself."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sacrebleu

import seq2seq
from seq2seq.config import CONF
from tests.commands import PACKAGE, command, mistake
from tests.conftest import Trained

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
WEIRD = [
    "",
    "   ",
    "\t",
    "\u00a0",
    "a\u2028b\x0bc\x0c\x1cd\x85",
    "  two  ",
    "▁ <pad> </s> <unk>",
    "🦖 \0 \ufeff",
    "\rE\r.",
]
"""Lines; the first four say nothing."""


def lines_of(text: str) -> list[str]:
    assert text.endswith("\n")
    return text[:-1].split("\n")


def predicted(trained: Trained, path: Path, *arguments: str) -> list[str]:
    common = [f"model={trained.run}", "threads=1", "precision=fp32", f"input={path}"]
    result = command("predict", *common, *arguments, cwd=trained.home)
    assert result.code == 0, result.err
    return lines_of(result.out)


def best_update(run: Path) -> int:
    return int((run / "best").resolve().name)


def test_as_many_lines_come_out_as_go_in_and_in_their_order(trained: Trained, tmp_path: Path) -> None:
    known = lines_of(trained.src.read_text(encoding="utf-8"))
    path = tmp_path / "weird.txt"
    path.write_bytes("\n".join(WEIRD + known).encode())  # no end at the last line
    found = predicted(trained, path)
    assert len(found) == len(WEIRD) + len(known)
    assert found[:4] == ["", "", "", ""]
    assert any(found[len(WEIRD) :])
    assert found[len(WEIRD) :] == predicted(trained, trained.src)
    assert found == predicted(trained, path, "tokens=1")  # one by one
    path.write_bytes("\r\n".join([*WEIRD, *known, ""]).encode())
    assert found == predicted(trained, path)
    path.write_bytes(gzip.compress("\n".join([*reversed(WEIRD + known), ""]).encode()))
    assert found == predicted(trained, path)[::-1]


def test_the_score_of_training_is_that_of_evaluate_and_that_of_what_predict_writes(trained: Trained) -> None:
    logged = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    figures = next(f for f in logged if f["split"] == "valid" and f["update"] == best_update(trained.run))
    assert 0 < figures["bleu"] < 100.001
    result = command("evaluate", f"model={trained.run}", "threads=1", "data.split=valid", cwd=trained.home)
    assert result.code == 0, result.err
    printed = {words[0]: words[1:] for line in lines_of(result.out) if (words := line.split())}
    assert float(printed["bleu"][0]) == pytest.approx(figures["bleu"], abs=0.005)
    assert float(printed["chrf"][0]) == pytest.approx(figures["chrf"], abs=0.005)
    assert float(printed["nll"][0]) == pytest.approx(figures["nll"], abs=1e-4)
    assert float(printed["accuracy"][0]) == pytest.approx(figures["accuracy"], abs=1e-4)
    assert "tok:13a" in printed["bleu"][1] and "case:mixed" in printed["bleu"][1]
    assert set(printed) == {"nll", "perplexity", "accuracy", "bleu", "chrf", "ter"}
    outputs, references = predicted(trained, trained.src), lines_of(trained.tgt.read_text(encoding="utf-8"))
    assert sacrebleu.corpus_bleu(outputs, [references]).score == pytest.approx(figures["bleu"], abs=1e-6)


def test_n_best_lists_come_with_scores_tokens_and_attention_and_score_agrees(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "n-best.jsonl"
    source = tmp_path / "source.de"
    sources = [*lines_of(trained.src.read_text(encoding="utf-8")), ""]
    source.write_text("\n".join(sources) + "\n", encoding="utf-8")
    arguments = [f"input={source}", f"output={path}", "n_best=3", "beam_size=4", "length_penalty=0.6"]
    result = command("predict", f"model={trained.run}", "threads=1", "precision=fp32", *arguments, cwd=tmp_path)
    assert (result.code, result.out) == (0, ""), result.err
    records = [json.loads(line) for line in lines_of(path.read_text(encoding="utf-8"))]
    assert [record["source"] for record in records] == sources
    pairs = []
    for record in records[:-1]:
        assert len(record["hypotheses"]) == 3
        scores = [hypothesis["score"] for hypothesis in record["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        for hypothesis in record["hypotheses"]:
            attention = hypothesis["attention"]
            assert len(attention) == len(hypothesis["tokens"])
            assert all(len(row) == len(record["tokens"]) for row in attention)
            assert all(sum(row) == pytest.approx(1, abs=0.01) for row in attention)
            pairs.append((record["source"], hypothesis["text"], hypothesis["log_prob"]))
    assert records[-1]["hypotheses"][0]["text"] == ""
    for name, side in (("a.de", 0), ("a.en", 1)):
        (tmp_path / name).write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    scored = command("score", f"model={trained.run}", "threads=1", "src=a.de", "tgt=a.en", cwd=tmp_path)
    assert scored.code == 0, scored.err
    assert [float(line) for line in lines_of(scored.out)] == pytest.approx([p[2] for p in pairs], abs=2e-4)


def test_attention_is_drawn_for_every_source_that_says_anything(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "two.de").write_text("Er\n\nSie\n", encoding="utf-8")
    predicted(trained, tmp_path / "two.de", f"attention={tmp_path / 'maps'}")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["1.png", "3.png"]


def test_a_run_leaves_curves_maps_a_log_and_links(trained: Trained) -> None:
    assert (trained.run / "curves.png").stat().st_size > 5000
    assert (trained.run / "latest").exists() is False and (trained.home / "latest").resolve() == trained.run
    assert (trained.run / "last").resolve().name == "0000060"
    assert "60/60" in (trained.run / "train.log").read_text(encoding="utf-8")
    assert list((trained.run / "tensorboard").glob("events*"))


def test_calls_that_cannot_be_are_told(trained: Trained) -> None:
    model = seq2seq.load(trained.run)
    with pytest.raises(seq2seq.UserError, match="source 1 is 3: expected a text"):
        model(["Er kommt.", 3])
    with pytest.raises(seq2seq.UserError, match="a call gives the best output alone"):
        model(["Er kommt."], n_best=2)


def test_averages_the_last_and_the_best(trained: Trained, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for which, names in (("last=3", ["0000040", "0000050", "0000060"]), ("best=2", ["0000040", "0000060"])):
        target = tmp_path / which.partition("=")[0]
        result = command("average", f"model={trained.run}", which, f"output={target}", cwd=tmp_path)
        assert result.code == 0, result.err
        assert all(name in result.out for name in names)
        mean = load_file(target / "weights.safetensors")
        parts = [load_file(trained.run / "checkpoints" / name / "weights.safetensors") for name in names]
        for name, weight in mean.items():
            assert weight.allclose(sum(part[name] for part in parts) / len(parts), atol=1e-6)
        assert len(seq2seq.load(target)(["Er kommt."])) == 1
    for none in ("last=0", "best=-1", "last=two"):
        wrong = command("average", f"model={trained.run}", none, "output=none", cwd=tmp_path)
        assert wrong.code == 1 and "expected a number of checkpoints, 1 or more" in wrong.err, wrong.err


def test_averages_several_models_of_one_make(trained: Trained, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    first, second = (trained.run / "checkpoints" / name for name in ("0000040", "0000060"))
    result = command("average", f"model={first}", f"others=[{second}]", f"output={tmp_path / 'mean'}", cwd=tmp_path)
    assert result.code == 0, result.err
    mean, *parts = (load_file(each / "weights.safetensors") for each in (tmp_path / "mean", first, second))
    for name, weight in mean.items():
        assert weight.allclose((parts[0][name] + parts[1][name]) / 2, atol=1e-6)
    both = ["last=2", f"others=[{second}]"]
    assert "give one of last=N" in mistake("average", f"model={first}", *both, "output=x", cwd=tmp_path)


def test_evaluates_files_changed_data_and_against_a_baseline(trained: Trained, tmp_path: Path) -> None:
    few = [lines_of(path.read_text(encoding="utf-8"))[:5] for path in (trained.src, trained.tgt)]
    for name, lines in zip(("few.de", "few.en"), few):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    common = [f"model={trained.run}", "threads=1", "metrics=[bleu,exact_match]"]
    files = command("evaluate", *common, "src=few.de", "tgt=few.en", "output=few.out", cwd=tmp_path)
    assert files.code == 0, files.err
    outputs = lines_of((tmp_path / "few.out").read_text(encoding="utf-8"))
    assert outputs == predicted(trained, tmp_path / "few.de")
    exact = 100 * sum(a == b for a, b in zip(outputs, few[1])) / 5
    assert f"{exact:.2f}" in files.out.split("exact_match")[1]
    changed = [f"data.valid.{side}={tmp_path / name}" for side, name in (("src", "few.de"), ("tgt", "few.en"))]
    again = command("evaluate", *common, "data.split=valid", *changed, cwd=tmp_path)
    assert again.out == files.out, again.err
    for baseline in ("few.out", str(trained.run / "checkpoints" / "0000040")):
        arguments = [f"baseline={baseline}", "samples=20", "src=few.de", "tgt=few.en"]
        compared = command("evaluate", *common, *arguments, cwd=tmp_path)
        assert compared.code == 0, compared.err
        table = compared.out.split("paired bootstrap, 20 samples\n")[1]
        assert [line.split()[0] for line in lines_of(table)] == ["bleu", "bleu"] and "p = " in table


def test_search_options_change_the_search(trained: Trained) -> None:
    model = seq2seq.load(trained.run)
    sources = lines_of(trained.src.read_text(encoding="utf-8"))
    greedy = [best[0].log_prob for best in model.predict(sources, task=model.task(beam_size=1))]
    wide = [best[0].log_prob for best in model.predict(sources, task=model.task(beam_size=8, length_penalty=0))]
    assert sum(wide) >= sum(greedy) - 1e-4
    short = model.predict(sources, task=model.task(max_ratio=0, max_extra=3))
    assert max(len(best[0].pieces) for best in short) == 3
    assert model(sources, beam_size=5, length_penalty="average", coverage_penalty=0.2)


def test_a_line_in_a_pipe_is_answered_before_the_pipe_is_closed(trained: Trained) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq.predict", f"model={trained.run}", "threads=1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdin and process.stdout
    with process:
        for line in ("Ein Mann.", "", "Er kommt."):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            answer = process.stdout.readline().decode()
            assert answer.endswith("\n") and bool(answer.strip()) == bool(line)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_ends_quietly_when_nobody_reads_on(trained: Trained) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq.predict", f"model={trained.run}", "threads=1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdin and process.stdout and process.stderr
    with process:
        process.stdin.write(b"Er kommt.\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"Sie kommt.\n")
        process.stdin.flush()  # and the pipe stays open
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("name", ["train", "predict", "evaluate", "score", "average"])
def test_help_names_every_option_in_words(name: str, tmp_path: Path) -> None:
    result = command(name, "--help", cwd=tmp_path)
    assert result.code == 0 and result.err == ""
    assert f"python -m seq2seq.{name} " in result.out
    for file in ("train.yaml",) if name == "train" else ("use/plain.yaml", f"use/{name}.yaml"):
        text = (CONF / file).read_text(encoding="utf-8").partition("\nhydra:")[0]
        for key in re.findall(r"^(\w+):", text, re.MULTILINE):
            assert key == "defaults" or re.search(rf"^ *{key}(\.\w+)?[=:]", result.out, re.MULTILINE), key
    choices = re.compile(r"(data|model|recipe): \w+, ")  # of which there are many, on a line each
    assert max(len(line) for line in result.out.splitlines() if not choices.match(line)) <= 130


def test_the_whole_configuration_can_be_printed_and_swept(trained: Trained, tmp_path: Path) -> None:
    result = command("train", "recipe=translate", "--cfg", "job", cwd=tmp_path)
    assert result.code == 0 and "label_smoothing:" in result.out and not list(tmp_path.iterdir())
    stems = [f"model={trained.run}", f"input={trained.src}", "output=beam${beam_size}.txt"]
    swept = command("predict", "-m", *stems, "beam_size=1,3", "threads=1", cwd=tmp_path)
    assert swept.code == 0, swept.err
    assert {path.name for path in tmp_path.glob("*.txt")} == {"beam1.txt", "beam3.txt"}


def test_imports_little_before_it_is_needed() -> None:
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import seq2seq.predict, seq2seq.results, seq2seq.data.streams"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    ).stderr
    heavy = {"matplotlib", "sacrebleu", "tensorboardX", "hydra", "pandas", "torch._dynamo"}
    assert not heavy & {line.rpartition("|")[2].strip() for line in found.splitlines()}


@pytest.mark.slow
def test_answers_a_line_within_three_seconds(trained: Trained) -> None:
    arguments = [sys.executable, "-m", "seq2seq.predict", f"model={trained.run}"]
    taken = []
    for _ in range(3):
        start = time.process_time(), os.times()
        subprocess.run(arguments, input=b"Er kommt.\n", check=True, capture_output=True, env=ENVIRONMENT)
        end = os.times()
        taken.append(end.children_user + end.children_system - start[1].children_user - start[1].children_system)
    assert min(taken) < 3  # of a core, whatever else the machine does


def test_goes_on_with_a_run_and_refuses_another_choice(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run", symlinks=True)
    result = command("train", "resume=run", "trainer.max_updates=70", "threads=1", cwd=tmp_path)
    assert result.code == 0, result.err
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [f["update"] for f in logged if f["split"] == "valid"] == [20, 40, 60, 70]
    assert "resumed at update 60" in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
