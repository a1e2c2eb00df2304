"""Waiting for what another process writes: a file tells nobody, so it is looked at."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

#: Pause between two looks at a quiet queue, seconds: from, to. A look costs about 50 µs.
QUICK_LOOK_S = 0.001
SLOW_LOOK_S = 0.025

Found = TypeVar("Found")


async def look(ask: Callable[[], Awaitable[list[Found]]], wait_s: float) -> list[Found]:
    """Ask again and again, more slowly while nothing comes, for at most `wait_s` seconds."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + wait_s, QUICK_LOOK_S
    while not (found := await ask()) and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, SLOW_LOOK_S)
    return found
