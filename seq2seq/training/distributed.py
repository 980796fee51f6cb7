"""The processes that train together, and all that they say to each other. One alone is the smallest such group."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from seq2seq.errors import TrainingError, UserError

T = TypeVar("T")
_GRACE = 3.0
"""Seconds to answer when one has been lost; shorter than torchrun's 30 between asking to end and ending"""
_PAUSE = 0.5
"""Seconds at most between two looks at whether a turn is over"""


class ProcessLost(TrainingError):
    """Another process has ended, or no longer answers."""


class Processes:
    """A group of processes that do the same and each a part of the work.

    All of them must call its methods alike. Whatever they cannot do because one of them is gone raises ``ProcessLost``.

    Args:
        rank: Which this one is, from 0.
        size: How many there are.
        local_rank: Which it is on its machine, and so which device is its own.
        store: What they find each other by; None for a process alone.
    """

    def __init__(self, *, rank: int = 0, size: int = 1, local_rank: int = 0, store: dist.Store | None = None) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._store, self._turns = store, 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks for all."""
        return self.rank == 0

    def deal(self, batch: np.ndarray, number: int) -> np.ndarray:
        """This process's share of a batch, which may be empty.

        A batch is sorted by length, so that every n-th row makes shares of like numbers of tokens. Who has the first
        row changes with the batch's number, since where they do not divide evenly the first one has the most.
        """
        return batch[(self.rank + number) % self.size :: self.size]

    def once(self, work: Callable[[], T], *, long: bool = False) -> T:
        """The result, in all of them, of what is done in the first one alone.

        Args:
            work: What is done.
            long: It may take longer than an answer is waited for.
        """
        result: list[Any] = [work() if self.first else None]
        if long:
            self._await()
        if self.size > 1:
            with self._touch():
                dist.broadcast_object_list(result, src=0)
        return result[0]

    def gather(self, value: T) -> list[T]:
        """The values of all, in their order."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            with self._touch():
                dist.all_gather_object(values, value)
        return values

    def share(self, tensors: list[Tensor]) -> None:
        """Gives all of them the first one's values of some tensors."""
        if self.size > 1:
            with self._touch():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def add(self, tensor: Tensor) -> Callable[[], None]:
        """Begins to add up a tensor over all of them, in place; what comes back waits until it is done."""
        with self._touch():
            work = dist.all_reduce(tensor, async_op=True)

        def wait() -> None:
            with self._touch():
                work.wait()

        return wait

    def meet(self) -> None:
        """Waits until all have come here. For moments; see ``in_turn`` for what may take long."""
        self.add(torch.zeros(1))()  # on the CPU, whatever else they have

    def in_turn(self, work: Callable[[], T]) -> T:
        """The result of what all do: first one, then one of every other machine, then the rest.

        For what the first makes and the others then find. However long it takes, nobody gives up waiting.
        """
        mine = 0 if self.first else 1 if self.local_rank == 0 else 2
        results = []
        for turn in range(3 if self.size > 1 else 1):
            if turn == mine:
                results.append(work())
            self._await()
        return results[0]

    def _await(self) -> None:
        self._turns += 1
        if self._store is None:
            return
        with self._touch():
            self._store.set(f"met {self._turns} {self.rank}", "")
            waiting = [f"met {self._turns} {rank}" for rank in range(self.size)]
            pause = _PAUSE / 64
            while not self._store.check(waiting):
                if self._store.check(["spokesman"]):
                    raise ProcessLost("another process has stopped")
                time.sleep(pause)
                pause = min(2 * pause, _PAUSE)

    @contextmanager
    def _touch(self) -> Iterator[None]:
        """Within it they talk. torch tells by a ``RuntimeError`` of its own that one of them is not there any more."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessLost(self._missing()) from error

    def _missing(self) -> str:
        """Who does not answer to a roll call, in words."""
        assert self._store is not None
        try:
            self._store.set("roll call", "")
            time.sleep(_GRACE)
            missing = [rank for rank in range(self.size) if not self._store.check([f"here {rank}"])]
            names = [f"process {rank} of {self.size} ({self._store.get(f'name {rank}').decode()})" for rank in missing]
        except RuntimeError:
            names = ["the process that the others find each other by"]
        return f"lost {' and '.join(names) or 'one of the processes'}: ended, or no longer answering"

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within it a thread answers to roll calls, also while this process waits for one that is lost."""
        assert self._store is not None
        store, ended = self._store, threading.Event()

        def answer() -> None:
            with suppress(RuntimeError):  # when nobody is there any more to ask
                while not ended.wait(_GRACE / 6):
                    if store.check(["roll call"]):
                        store.set(f"here {self.rank}", "")
                        return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def spokesman(self) -> bool:
        """Whether this process is the one to tell why all stop: the first that asks."""
        if self._store is None:
            return True
        try:
            return self._store.compare_set("spokesman", "", str(self.rank)).decode() == str(self.rank)
        except RuntimeError:  # nobody is there any more to settle it
            return True


ALONE = Processes()


@contextmanager
def together(*, timeout: float) -> Iterator[Processes]:
    """The processes that torchrun started this one with; this one alone where it did not.

    Of a mistake that is raised within it one process tells, and the others end without a word.

    Args:
        timeout: Seconds without an answer after which a process counts as lost.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available() and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    store, rank, size = next(dist.rendezvous("env://"))
    with group(store=store, rank=rank, size=size, local_rank=local_rank, timeout=timeout) as processes:
        yield processes


@contextmanager
def group(*, store: dist.Store, rank: int, size: int, local_rank: int, timeout: float) -> Iterator[Processes]:
    """A group of ``size`` processes that find each other by a store; see ``Processes`` and ``together``."""
    # Plain values go by way of gloo everywhere, tensors on a GPU by NCCL.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    limit = timedelta(seconds=timeout)
    dist.init_process_group(backend, store=dist.PrefixStore("torch", store), rank=rank, world_size=size, timeout=limit)
    own = dist.PrefixStore("seq2seq", store)
    own.set(f"name {rank}", f"pid {os.getpid()} on {socket.gethostname()}")
    processes = Processes(rank=rank, size=size, local_rank=local_rank, store=own)
    try:
        with processes.answering():
            yield processes
    except UserError:
        if processes.spokesman():
            raise
        # torchrun ends all as soon as one has ended, and the one that speaks must come to it.
        time.sleep(_GRACE)
        sys.exit(1)
    finally:
        dist.destroy_process_group()
