"""Recordings on a machine that cannot make them: what is replayed is done anew, and all around it is as it will be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn import graphs
from seq2seq.nn.graphs import Graphs, bucket
from tests.nn.helpers import close, gradients, random, shaken, tensors


class Recorder:
    """Stands in for a GPU: keeps to the memory of a recording's inputs and outputs, as a replay does."""

    def __init__(self) -> None:
        self.recorded = 0

    def record(self, work: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
        self.recorded += 1
        made, learns = work(), torch.is_grad_enabled()

        def again() -> None:
            with torch.set_grad_enabled(learns):
                done = work()
            for kept, new in zip(made, done):
                if kept is not None:
                    for one, other in zip(tensors(kept), tensors(new)):
                        one.data.copy_(other)

        return made, again


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(graphs, "record", made.record)
    monkeypatch.setattr(graphs, "warm", lambda work, device: work())
    monkeypatch.setattr(graphs, "pool", lambda device: "pool")
    return made


def test_a_bucket_is_at_most_a_fourth_larger_and_there_are_few() -> None:
    sizes = [bucket(count) for count in range(1, 1025)]
    assert all(count <= size <= 1.25 * count for count, size in enumerate(sizes, start=1))
    assert len(set(sizes)) == 7 + 4 * 7 + 1
    assert all(bucket(size) == size for size in sizes)


def layers() -> nn.Linear:
    return shaken(nn.Linear(4, 3))


def test_a_replay_gives_what_the_function_gives(recorder: Recorder) -> None:
    linear = layers()
    replayed = Graphs(lambda given, fixed: (linear(given[0]) + fixed[0], given[0].sum(1)))
    with torch.no_grad():
        for fixed in ((random(3),), (random(3, seed=9),)):
            for seed in range(3):
                rows = random(5, 4, seed=seed)
                close(replayed((rows,), fixed), (linear(rows) + fixed[0], rows.sum(1)))
        assert recorder.recorded == 1
        replayed((random(6, 4),), (random(3),))
        assert recorder.recorded == 2
        linear.weight.mul_(2)  # weights are read where they are
        close(replayed((rows,), fixed)[0], linear(rows) + fixed[0])


def test_what_stays_is_copied_once(recorder: Recorder) -> None:
    replayed, fixed = Graphs(lambda given, fixed: (given[0] + fixed[0],)), (torch.ones(2),)
    with torch.no_grad():
        close(replayed((torch.zeros(2),), fixed), (torch.ones(2),))
        fixed[0].fill_(7)  # not to be done; it shows that nothing was copied
        close(replayed((torch.zeros(2),), fixed), (torch.ones(2),))
        close(replayed((torch.zeros(2),), (fixed[0],)), (torch.full((2,), 7.0),))


def test_gradients_are_those_of_the_function_and_add_up(recorder: Recorder) -> None:
    linear, unused = layers(), nn.Parameter(torch.ones(2))
    weights = [*linear.parameters(), unused]

    def work(given: tuple[Tensor, Tensor], fixed: Any = ()) -> tuple[Tensor, ...]:
        return torch.tanh(linear(given[0])) * given[1].unsqueeze(1), given[1] * 2

    replayed = Graphs(work, weights=weights)
    for seed in (1, 2):
        rows, scale = random(5, 4, seed=seed).requires_grad_(), random(5, seed=seed)
        leaves = [rows, *weights]
        fast, plain = replayed((rows, scale)), work((rows, scale))
        close(fast, plain)
        close(gradients(fast[0].square().sum(), leaves), gradients(plain[0].square().sum(), leaves))
    assert recorder.recorded == 2, "one forward, one backward"
    twice = sum(gradients(work((rows, scale))[0].sum(), weights)[0] for _ in range(2))
    for _ in range(2):
        replayed((rows, scale))[0].sum().backward()
    close(linear.weight.grad, twice)


def test_the_recordings_used_last_are_kept(recorder: Recorder) -> None:
    replayed = Graphs(lambda given, _: (given[0] + 1,), most=2)
    with torch.no_grad():
        for size, recorded in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
            replayed((torch.zeros(size),))
            assert recorder.recorded == recorded, size


def test_recording_draws_no_random_numbers(recorder: Recorder) -> None:
    replayed = Graphs(lambda given, _: (torch.dropout(given[0], 0.5, True),))
    torch.manual_seed(3)
    with torch.no_grad():
        first = replayed((torch.ones(50),))[0].clone()
        torch.manual_seed(3)
        close(replayed((torch.ones(50),))[0], first)
