"""Groups of processes for the tests, started in a fraction of the second that importing torch anew would take."""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from seq2seq.errors import UserError
from seq2seq.training import distributed
from seq2seq.training.distributed import Processes, group


@functools.cache
def context() -> ForkServerContext:
    """A process with torch imported that the others are forked from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["torch._dynamo", "tests.training.small"])  # the first is what an optimizer imports
    return found


def run(work: Callable[..., None], *given: Any, said: Path, size: int = 2, timeout: float = 60.0) -> list[int]:
    """Calls ``work(processes, *given)`` in each of several processes; gives their exit codes.

    Args:
        said: A file that gets the messages of users' mistakes, a line each.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    started = [
        context().Process(target=_one, args=(work, given, said, rank, size, store.port, timeout))
        for rank in range(size)
    ]
    for process in started:
        process.start()
    limit = time.monotonic() + 60
    while any(process.exitcode is None for process in started):
        wait([process.sentinel for process in started if process.exitcode is None], timeout=1)
        if any(process.exitcode for process in started):
            limit = min(limit, time.monotonic() + 5)  # torchrun gives them 30 seconds
        if time.monotonic() > limit:
            for process in started:
                process.kill()
    return [int(process.exitcode or 0) for process in started]


def _one(
    work: Callable[..., None], given: tuple[Any, ...], said: Path, rank: int, size: int, port: int, timeout: float
) -> None:
    torch.set_num_threads(1)
    distributed._GRACE = 0.7  # nothing here is far away
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    try:
        with group(store=store, rank=rank, size=size, local_rank=rank, timeout=timeout) as processes:
            work(processes, *given)
    except UserError as error:
        with said.open("a", encoding="utf-8") as file:
            file.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def die(processes: Processes, rank: int, number: int) -> None:
    """Sends a signal to one of the processes, which is this one."""
    if processes.rank == rank:
        os.kill(os.getpid(), number)
