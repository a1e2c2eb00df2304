"""Several workers on one port: processes to which the kernel deals connections (`SO_REUSEPORT`)."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from shared.process import EXIT_MISCONFIGURED, cannot_listen
from shared.telemetry import logger

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: How a worker may end that was told to; of the signal itself while it was still starting.
_CLEAN = (0, *(-number for number in _SIGNALS))

#: Between two starts of the same worker at least, seconds.
_PAUSE_S = 1.0


def check_port(host: str, port: int) -> None:
    """Somebody else's socket would not stop one that shares its port. Raises Misconfigured when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise cannot_listen(error, host, port, "collector.port") from error


class Workers:
    """Keeps `count` processes running `work(number)`, which must not return before its process is to end."""

    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._work = work
        self._numbers: dict[int, int] = {}
        self._started: dict[int, float] = {}
        self._stopping = False
        self._count = count

    def run(self) -> int:
        """Until SIGTERM or SIGINT, or a worker finds that it can't be used (78).

        The exit code of the whole: 78, or 1 when a worker did not end as it should.
        """
        for stopping in _SIGNALS:
            signal.signal(stopping, self._stop)
        for number in range(self._count):
            self._start(number)
        code = 0
        while self._numbers:
            process, status = os.wait()
            if process not in self._numbers:  # none of ours: the first process of a container adopts orphans
                continue
            number = self._numbers.pop(process)
            left = os.waitstatus_to_exitcode(status)
            if left == EXIT_MISCONFIGURED:
                code = left
                self._stop(signal.SIGTERM, None)
            elif not self._stopping:
                time.sleep(max(0.0, self._started[number] + _PAUSE_S - time.monotonic()))
                self._start(number)
            elif left not in _CLEAN:
                code = code or 1
        return code

    def _start(self, number: int) -> None:
        """Fork, with signals held back: one that came in between would miss the child, or be the parent's in it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._stopping:
                return
            self._started[number] = time.monotonic()
            process = os.fork()
            if process:
                self._numbers[process] = number
                return
            for stopping in _SIGNALS:
                signal.signal(stopping, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._be_worker(number)

    def _be_worker(self, number: int) -> NoReturn:
        code = 1
        try:
            self._work(number)
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except Exception:
            logger("collector").exception("worker_died", worker=number)
            raise
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for process in list(self._numbers):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
