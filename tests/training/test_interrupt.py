"""Ctrl-C that waits, once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from seq2seq.training.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_waits_and_the_second_does_not(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), number)
        assert interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr().err == "\nstopping after this update, with a checkpoint; once more to stop at once\n"


def test_afterwards_all_is_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupt():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_nothing_is_set() -> None:
    """Python lets only the main thread set handlers; a training that runs elsewhere cannot be asked to stop."""
    seen = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(interrupt.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
