"""Several processes, of one thread each, that work on the chunks of a text."""

from __future__ import annotations

import functools
import json
import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seq2seq.config import plain
from seq2seq.data.streams import Chunk
from seq2seq.decoding import Decoder, decode
from seq2seq.errors import ConfigError, UserError

ENOUGH = 2
"""Full chunks that make it worth while to start processes."""
AHEAD = 2
"""Chunks for each process that are read before the first of them is done."""


def decoded(config: Any, chunks: Iterator[Chunk], *, count: int, most: int, live: bool) -> Generator[tuple[Chunk, str]]:
    """Chunks with what is written for them, in their order.

    By ``workers=auto`` this process decodes a short text itself, and the beginning of one that arrives over time;
    others are started once there are ``ENOUGH`` full chunks.

    Args:
        config: Of ``predict``.
        chunks: Of the text.
        count: From ``wanted``.
        most: Lines of a full chunk.
        live: Whether the text arrives over time, so that nothing can be read ahead.
    """
    if count > 1 and config.workers != "auto":
        yield from _by_others(config, chunks, count)
        return
    if not live:
        head = list(islice(chunks, ENOUGH))
        chunks = chain(head, chunks)
        if count > 1 and len(head) == ENOUGH and _computes_here(config):
            yield from _by_others(config, chunks, count)
            return
        if not head:
            return
    own, full = Decoder(config), 0
    for chunk in chunks:
        full = full + 1 if len(chunk.lines) == most else full if not chunk.lines else 0
        if count > 1 and full == ENOUGH and _computes_here(config):
            yield from _by_others(config, chain([chunk], chunks), count)
            return
        if chunk.lines:
            yield chunk, own(chunk)


def wanted(config: Any) -> int:
    """The most processes that may be started. Those that torchrun started already share a machine's cores."""
    if config.workers == "auto":
        return max(1, cores() // (config.threads or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if not isinstance(config.workers, int) or isinstance(config.workers, bool) or config.workers < 1:
        raise ConfigError(f"workers={config.workers}: expected a whole number of 1 or more, or auto")
    if config.workers > 1:
        forkserver_runs()  # torch is imported there while it is imported here
    if config.workers > 1 and not _computes_here(config):
        raise ConfigError(f"workers={config.workers} are processes on the CPU: give device=cpu too, or workers=1")
    return config.workers


def cores() -> int:
    """How many cores this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such limit, or "max"
        return count


def _computes_here(config: Any) -> bool:
    """Whether the CPU computes."""
    if config.device == "cpu":
        return True
    from seq2seq.runs import settle

    return settle(config).type == "cpu"


def _by_others(config: Any, chunks: Iterator[Chunk], count: int) -> Iterator[tuple[Chunk, str]]:
    forkserver_runs()
    options = {**plain(config, at="predict"), "device": "cpu", "threads": config.threads or 1}
    try:
        yield from in_order(functools.partial(decode, json.dumps(options)), chunks, count)
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker process has ended before its time, perhaps killed for want of memory: use fewer than workers="
            f"{count}, or a smaller batch than tokens={config.tokens}"
        ) from error


def in_order(work: Callable[[Chunk], str], chunks: Iterator[Chunk], count: int) -> Iterator[tuple[Chunk, str]]:
    """Chunks and the work done on them by other processes, in their order.

    Args:
        work: What can be sent to another process.
        chunks: Read as they are needed, ``AHEAD`` for each process. Those without lines are passed over.
        count: How many processes.

    Raises:
        BrokenProcessPool: A process has ended before its time.
    """
    waiting: deque[tuple[Chunk, Future[str]]] = deque()
    with _processes(count) as processes:
        for chunk in chunks:
            if chunk.lines:
                waiting.append((chunk, processes.submit(work, chunk)))
            while waiting and (waiting[0][1].done() or len(waiting) == AHEAD * count):
                yield waiting[0][0], waiting.popleft()[1].result()
        while waiting:
            yield waiting[0][0], waiting.popleft()[1].result()


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Processes that end with this one, however it ends."""
    theirs, ours = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("forkserver")
    processes = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with, initargs=(theirs,))
    try:
        yield processes
        processes.shutdown()
    finally:
        ours.close()
        processes.shutdown(cancel_futures=True)
        theirs.close()


def _end_with(pipe: Connection) -> None:
    """Ends this process as soon as nobody holds the other end of a pipe."""

    def watch() -> None:
        pipe.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def forkserver_runs() -> None:
    """Starts the process that others are forked from, unless it runs: it imports torch once for all of them.

    Ctrl-C, which a terminal sends to all its processes, is kept from them: they end when this one does.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would not survive the fork
    multiprocessing.get_context("forkserver").set_forkserver_preload(["seq2seq.results"])
    resource_tracker.ensure_running()  # it unblocks the signals when it starts
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)
