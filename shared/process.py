"""How every process starts, is watched and stops: signals, exit codes, the admin port."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from shared.settings import SettingsError

#: Exit code of a process that must not be restarted before somebody changed something (sysexits EX_CONFIG).
EXIT_MISCONFIGURED = 78


class Misconfigured(Exception):
    """The process can't do its work until an operator changes something: stop, loudly."""


Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def run(main: Main) -> None:
    """Run a composition root until SIGTERM or SIGINT sets the event it was given; then it drains and returns.

    Exits 0 after a clean stop, 78 on a configuration that can't be used; any other exception is a bug and leaves
    as a traceback for the supervisor to restart.
    """
    try:
        uvloop.run(_until_stopped(main))
    except SettingsError as error:
        _leave("\n".join(f"configuration: {problem}" for problem in error.problems))
    except Misconfigured as error:
        _leave(str(error))


async def _until_stopped(main: Main) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await main(stopping)


def _leave(message: str) -> None:
    sys.stderr.write(message + "\n")
    raise SystemExit(EXIT_MISCONFIGURED)
