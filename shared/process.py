"""How every process starts, is watched and stops: signals, exit codes, the admin port."""

import asyncio
import errno
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared.compiled import refusal
from shared.settings import AdminSettings, SettingsError, process_number
from shared.version import VERSION

#: New containers, less those that are gone, between two searches for cycles, and how many of these are short.
_GC_THRESHOLDS = (50_000, 20, 100)

#: Exit code of a process that must not be restarted before somebody changed something (sysexits EX_CONFIG).
EXIT_MISCONFIGURED = 78


class Misconfigured(Exception):
    """The process can't do its work until an operator changes something: stop, loudly."""


Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

#: Name → None when it is fine, else what is wrong, in words.
Checks = Mapping[str, Callable[[], str | None]]


def run(main: Main) -> None:
    """Run a composition root until SIGTERM or SIGINT sets the event it was given; then it drains and returns.

    Further signals change nothing: a supervisor that loses patience sends SIGKILL, which loses nothing either.
    Exits 0 after a clean stop, 78 on a configuration that can't be used or a source that changed since it was
    compiled; any other exception is a bug and leaves as a traceback, with 1, for the supervisor to restart.
    """
    if reason := refusal():
        _leave(reason)
    collect_garbage_seldom()
    try:
        uvloop.run(_until_stopped(main))
    except SettingsError as error:
        _leave("\n".join(f"configuration: {problem}" for problem in error.problems))
    except Misconfigured as error:
        _leave(str(error))
    except BaseExceptionGroup as group:
        _leave_or_raise(group)


def collect_garbage_seldom() -> None:
    """Messages make many containers and hardly a cycle: the interpreter's own thresholds cost a twentieth of the
    enricher's and the loader's time. What is there already is never looked at again."""
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _leave_or_raise(group: BaseExceptionGroup[BaseException]) -> None:
    """What tasks of a group met that only an operator can change; anything else in it is a bug."""
    refused, others = group.split(Misconfigured)
    if refused is None or others is not None:
        raise group
    _leave("\n".join(dict.fromkeys(str(error) for error in _leaves(refused))))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@asynccontextmanager
async def admin(
    process: str, settings: AdminSettings, registry: CollectorRegistry, *, ready: Checks, alive: Checks | None = None
) -> AsyncIterator[int]:
    """Serve `/health`, `/ready` and `/metrics` while the context lasts; gives the port that was bound.

    `/health` answers 503 when a check of `alive` complains (restart me), `/ready` when one of `ready` does (send
    me nothing yet). The port is the configured one plus the number of this process under honcho minus one.
    Raises Misconfigured when it is taken.
    """
    app = web.Application()
    app.router.add_get("/health", _checked(process, alive or {}))
    app.router.add_get("/ready", _checked(process, ready))
    app.router.add_get("/metrics", _measured(registry))
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        port = settings.port + process_number() - 1 if settings.port else 0
        await _listen(runner, settings.host, port, f"{process}.admin.port")
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def cannot_listen(error: OSError, host: str, port: int, option: str) -> Misconfigured:
    """What to raise when an address can't be bound: somebody else listens there, or it is none of this machine's."""
    if error.errno == errno.EADDRINUSE:
        return Misconfigured(f"port {port} on {host} is taken: stop what listens there, or set {option}")
    return Misconfigured(f"can't listen on {host}:{port} ({option}): {error.strerror}")


async def _listen(runner: web.AppRunner, host: str, port: int, option: str) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise cannot_listen(error, host, port, option) from error


Handler = Callable[[web.Request], Coroutine[Any, Any, web.Response]]


def _checked(process: str, checks: Checks) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        found = {name: check() for name, check in checks.items()}
        healthy = not any(found.values())
        body = {
            "process": process,
            "version": VERSION,
            "healthy": healthy,
            "checks": {name: trouble or "ok" for name, trouble in found.items()},
        }
        return web.json_response(body, status=200 if healthy else 503)

    return handle


def _measured(registry: CollectorRegistry) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handle


async def _until_stopped(main: Main) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await main(stopping)


def _leave(message: str) -> None:
    sys.stderr.write(message + "\n")
    raise SystemExit(EXIT_MISCONFIGURED)
