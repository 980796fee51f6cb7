"""The pieces that both searches rest on, each against its plain twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seq2seq.search.candidates import best_tokens, device_of, leaving, packed_to_host, to_host


@pytest.mark.parametrize("vocab", [1, 3, 63, 64, 1000, 1024, 1500, 5000])
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_best_tokens_equal_topk(vocab: int, count: int) -> None:
    log_probs = torch.randn(7, vocab, generator=torch.Generator().manual_seed(vocab)).log_softmax(-1)
    values, ids = best_tokens(log_probs, count)
    expected = log_probs.topk(min(count, vocab), dim=1)
    assert torch.equal(values, expected.values)
    assert torch.equal(ids, expected.indices)


@pytest.mark.parametrize("where", [0, 63, 64, 2111, 2112, 2119])
def test_the_best_token_is_found_wherever_it_stands(where: int) -> None:
    log_probs = torch.full((2, 2120), -9.0)
    log_probs[1, where] = -1.0
    for count in (1, 4):
        values, ids = best_tokens(log_probs, count)
        assert (float(values[1, 0]), int(ids[1, 0])) == (-1.0, where)
        assert len(set(ids[1].tolist())) == count


def test_of_equal_tokens_the_lowest_id_is_best() -> None:
    log_probs = torch.full((1, 5000), -9.0)
    log_probs[0, [4999, 4000, 1313, 1300, 2000]] = -1.0
    assert best_tokens(log_probs, 1)[1].tolist() == [[1300]]
    assert best_tokens(log_probs[:, ::2], 1)[1].tolist() == [[650]]
    assert sorted(best_tokens(log_probs, 5)[1][0].tolist()) == [1300, 1313, 2000, 4000, 4999]


def test_what_is_not_a_number_is_not_hidden() -> None:
    log_probs = torch.randn(2, 3000)
    log_probs[1, 2500] = torch.nan
    for count in (1, 3):
        assert best_tokens(log_probs, count)[0].isnan().any(dim=1).tolist() == [False, True]


def test_half_precision_gives_float32() -> None:
    assert best_tokens(torch.randn(2, 3000, dtype=torch.bfloat16), 3)[0].dtype == torch.float32


def test_one_transfer_carries_every_bit() -> None:
    tensors = torch.tensor([[-1.5, -torch.inf], [1e-30, 0.1]]), torch.tensor([[7, 2**31 - 1, 0]]), torch.zeros(0)
    for plain, packed in zip(to_host(*tensors), packed_to_host(*tensors)):
        assert plain.dtype == packed.dtype and plain.shape == packed.shape
        assert (plain == packed).all()


def test_inputs_leave_when_an_eighth_of_them_is_finished() -> None:
    alive = np.ones(16, dtype=bool)
    alive[3] = False
    assert leaving(alive) is None
    alive[5] = False
    kept = leaving(alive)
    assert kept is not None and kept.tolist() == [0, 1, 2, 4, *range(6, 16)]
    last = leaving(np.zeros(1, dtype=bool))
    assert last is not None and len(last) == 0


def test_the_device_is_that_of_the_state() -> None:
    assert device_of((torch.zeros(1, device="meta"), (torch.zeros(1),))).type == "meta"
    assert device_of(()).type == "cpu"
