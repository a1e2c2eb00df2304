"""Bounds the time of an operator's function."""

import signal
import threading
import time
from types import FrameType


class OverBudget(BaseException):
    """The function took too long. Not an Exception, so that a function's own `except Exception` does not hold it."""


class Budget:
    """A context manager that interrupts its body, and again where that goes on after an interruption.

    In the main thread the timer of the process (SIGALRM) interrupts even an endless loop, except inside C code that
    never returns to the interpreter. In other threads a body that took too long is only reported after it.
    """

    def __init__(self, milliseconds: int) -> None:
        self._seconds = milliseconds / 1000
        self._text = f"it took longer than its budget of {milliseconds} ms"
        self._armed = False
        self._can_interrupt = threading.current_thread() is threading.main_thread()
        self._started = 0.0
        if self._can_interrupt:
            signal.signal(signal.SIGALRM, _interrupt)

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        self._armed = self._can_interrupt and threading.current_thread() is threading.main_thread()
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if kind is OverBudget or time.perf_counter() - self._started > self._seconds:
            raise OverBudget(self._text) from None


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Of the body only: raised while the timer is being set, it would leave it running."""
    if frame is None or frame.f_code not in _OWN:
        raise OverBudget


_OWN = (Budget.__enter__.__code__, Budget.__exit__.__code__)
