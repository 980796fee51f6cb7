"""Law 5: 1×8 = 2×4 = 4×2 = 8×1, to rounding, with sentences of different lengths and sampled pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.data.batching import Batching
from seq2seq.training.optim import Constant
from tests.training.small import Quiet, corpus, metrics, trainer, translation


def fit(run: Path, **settings: Any) -> dict[str, Tensor]:
    """The weights after three updates on the same eight sentences."""
    model, task = translation()
    cache = run.parent / "cache"
    trainer(max_updates=3, **settings).fit(
        model=model,
        task=task,
        train=corpus("train", 8, cache),
        valid=corpus("valid", 2, cache),
        # With plain SGD the difference of the weights is that of the gradients.
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        schedule=Constant(warmup=0),
        run=run,
        log=Quiet(run),
        write=lambda folder: None,
        seed=1,
    )
    return dict(model.named_parameters())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    run = tmp_path_factory.mktemp("accumulation") / "run"
    return fit(run, batching=Batching(sentences=8)), metrics(run, "train")


@pytest.mark.parametrize(("sentences", "accumulate"), [(4, 2), (2, 4), (1, 8), (3, 3), (5, 2)])
def test_the_same_update(
    whole: tuple[dict[str, Tensor], list[dict[str, float]]], tmp_path: Path, sentences: int, accumulate: int
) -> None:
    expected, lines = whole
    found = fit(tmp_path / "run", batching=Batching(sentences=sentences), accumulate=accumulate)
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-4, atol=1e-5, msg=name)
    for one, other in zip(metrics(tmp_path / "run", "train"), lines):
        keys = ("update", "loss", "nll", "accuracy", "norm")
        assert [one[key] for key in keys] == pytest.approx([other[key] for key in keys], rel=1e-4)


def test_the_lengths_do_differ_and_the_weights_do_move(
    whole: tuple[dict[str, Tensor], list[dict[str, float]]], tmp_path: Path
) -> None:
    _, tgt = corpus("train", 8, tmp_path / "cache").lengths(np.arange(8))
    assert len(set(tgt.tolist())) > 3
    before, _ = translation()
    assert all(not torch.allclose(whole[0][name], weight, atol=1e-4) for name, weight in before.named_parameters())


def test_bf16(tmp_path: Path) -> None:
    """Autocast rounds what is multiplied, and nothing else: the weights and what the optimizer sees stay fp32."""
    seen: set[torch.dtype] = set()
    model, task = translation()
    hook = model.decoder.attention.key.register_forward_hook(lambda module, given, output: seen.add(output.dtype))
    batches = {"batching": Batching(sentences=8), "precision": "bf16"}
    trainer(max_updates=3, validate_every=3, **batches).fit(
        model=model,
        task=task,
        train=corpus("train", 8, tmp_path / "cache"),
        valid=corpus("valid", 2, tmp_path / "cache"),
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        schedule=Constant(warmup=0),
        run=tmp_path / "run",
        log=Quiet(tmp_path / "run"),
        write=lambda folder: None,
        seed=1,
    )
    hook.remove()
    assert torch.bfloat16 in seen
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    losses = [line["loss"] for line in metrics(tmp_path / "run", "train")]
    assert losses[-1] < losses[0]
