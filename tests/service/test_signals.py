"""What ends a run in order, and what does not."""

import os
import signal
import threading

import pytest

from raygan.service.signals import listening, wanted


def test_a_closed_terminal_is_heard_unless_it_was_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        assert wanted() == [signal.SIGINT, signal.SIGTERM]
        with listening(lambda *_: None):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert signal.SIGHUP in wanted()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_handler_hears_it_and_is_taken_away(signum: signal.Signals) -> None:
    before, heard = signal.getsignal(signum), list[int]()
    with listening(lambda number, _: heard.append(number)):
        os.kill(os.getpid(), signum)
    assert heard == [signum]
    assert signal.getsignal(signum) == before


def test_another_thread_does_not_listen() -> None:
    ran = list[bool]()

    def work() -> None:
        with listening(lambda *_: None):
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert ran == [True]
