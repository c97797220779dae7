"""Signals during a capture: they stop it once, wait for what must be whole, and are not lost."""

import os
import signal

import pytest

from attrib.capture.storage.interrupts import Interrupts


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_raises(number):
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        press(number)


def test_a_deferred_signal_waits_for_the_end_of_the_outermost_block():
    done = []
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):  # noqa: PT012  (where the signal comes is what is tested)
        with interrupts.defer():
            with interrupts.defer():
                press()
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


def test_what_comes_while_things_end_does_nothing():
    done = []
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):  # noqa: PT012  (where the signal comes is what is tested)
        try:
            press()
        except KeyboardInterrupt:
            press()
            with interrupts.defer():
                press()
            done.append("kept")
            raise
        finally:
            press()
            done.append("closed")
    assert done == ["kept", "closed"]


def test_what_comes_of_an_interruption_is_one_too():
    with Interrupts() as interrupts, pytest.raises(ValueError, match="told"):  # noqa: PT012  (where the signal comes is what is tested)
        try:
            press()
        except KeyboardInterrupt as stop:
            message = "told"
            with interrupts.defer():
                pass
            try:
                raise ValueError(message) from stop
            finally:
                press()


def swallow():
    """What a library does that catches everything."""
    try:
        press()
    except BaseException:  # noqa: BLE001
        return


def test_a_swallowed_signal_is_raised_again_by_the_next_one():
    with Interrupts(), pytest.raises(KeyboardInterrupt):  # noqa: PT012  (where the signal comes is what is tested)
        swallow()
        press()


def test_a_swallowed_signal_is_raised_again_where_a_deferred_block_ends():
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):  # noqa: PT012  (where the signal comes is what is tested)
        swallow()
        with interrupts.defer():
            pass


def test_a_forgotten_signal_is_gone():
    with Interrupts() as interrupts:
        with interrupts.defer(forget=True):
            press()
        with interrupts.defer():
            pass


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
