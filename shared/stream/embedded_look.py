"""Waiting for what another process writes: a file tells nobody, so it is looked at, cheaply."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

#: Pause between two looks at the file's dates, seconds: from, to. One costs 2 µs, waking up for it up to 70.
QUICK_LOOK_S = 0.001
SLOW_LOOK_S = 0.025

#: Dates are this coarse, with room to spare: within that time of a write, another one need not change them.
COARSE_NS = 50_000_000

#: Ask at least this often, whatever the dates say, seconds.
DISTRUST_S = 0.5

Found = TypeVar("Found")


class Watch:
    """Whether somebody may have written to a stream since the last time of asking.

    Every commit writes to the write-ahead log. Only its dates are read: SQLite's locks would not survive that this
    process opens and closes one of its files.
    """

    def __init__(self, file: Path) -> None:
        self._log = file.with_name(file.name + "-wal")
        self._seen: tuple[int, int] | None = None
        self._distrust_at = 0.0
        self.pause_s = QUICK_LOOK_S  # grows while nothing comes

    def may_have_changed(self) -> bool:
        state = self._state()
        settled = state is not None and time.time_ns() - state[0] > COARSE_NS
        if settled and state == self._seen and time.monotonic() < self._distrust_at:
            return False
        self._seen = state
        self._distrust_at = time.monotonic() + DISTRUST_S
        return True

    def _state(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._log)
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size


async def look(watch: Watch, ask: Callable[[], Awaitable[list[Found]]], wait_s: float) -> list[Found]:
    """Ask, and again when the stream may have changed, for at most `wait_s` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    found = await ask()
    if found:
        watch.pause_s = QUICK_LOOK_S
    while not found and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(watch.pause_s, left))
        watch.pause_s = min(watch.pause_s * 1.3, SLOW_LOOK_S)
        if watch.may_have_changed():
            found = await ask()
    return found
