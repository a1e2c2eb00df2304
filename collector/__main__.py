"""Composition root of the collector: `python -m collector`."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from aiohttp import ThreadedResolver, web
from prometheus_client import CollectorRegistry

from collector.access_log import logged
from collector.app import application
from collector.bridging import Bridges
from collector.commit import Durable, GroupCommit
from collector.documentation import Documentation
from collector.gate import Gate
from collector.handlers import Front
from collector.intake import Intake
from collector.listener import listening
from collector.messages import refused_message
from collector.metrics import Metrics
from collector.origins import Origins
from collector.pages import Pages
from collector.proxied import is_public
from collector.proxy import Proxy, proxy_session
from collector.reporting import Reporter, reporters
from collector.routes import Routes
from collector.server import Server, server_headers
from collector.settings import Settings, ShutdownSettings
from collector.shortcut import Shortcut
from collector.spool import Spool, SpoolingPublisher
from collector.spool import limits as spool_limits
from collector.state import Fate, State
from collector.static import Static
from collector.tracking import Tracking
from collector.wire import Renderer
from collector.workers import Workers, check_port
from shared.badrow import Processor
from shared.compiled import compiled
from shared.identity import Clock, NewId, now_ms, uuid4, uuid7
from shared.process import Misconfigured, admin, run
from shared.settings import AdminSettings, SettingsError, load
from shared.stream import open_embedded_publisher, open_embedded_subscriber, open_publisher
from shared.stream.contract import Publisher
from shared.telemetry import configure, logger
from shared.version import VERSION

_PROCESSOR = Processor("evnt-collector", VERSION)

#: Between two looks whether a worker's parent still lives, seconds.
_WATCH_S = 1.0

#: How long a start waits for a broker at most when there is a spool to start with, seconds.
_WAIT_FOR_BROKER_S = 3


async def serve(settings: Settings, stopping: asyncio.Event, worker: int = 0) -> None:
    """Run one worker until it is told to stop; then drain. Raises Misconfigured."""
    log = logger("collector")
    registry = CollectorRegistry()
    metrics = Metrics(registry if settings.prometheus.enabled else None)
    fate = Fate()
    async with AsyncExitStack() as stack:
        durable = await stack.enter_async_context(_durable(settings, metrics, fate))
        state = State(lambda: durable.trouble, lambda: durable.flows, starting=True)
        commit = group_commit(settings, durable, metrics, fate)
        stack.push_async_callback(commit.close)
        ready = {"stream": lambda: state.unready}
        await stack.enter_async_context(admin("collector", _admin_of(settings, worker), registry, ready=ready))
        server = await stack.enter_async_context(http_server(settings, state, commit, metrics))
        ports = await stack.enter_async_context(listening(server, settings.collector))
        state.starting = False
        log.info(
            "collector.started",
            host=settings.collector.host,
            ports=ports,
            mode=settings.ingest.mode,
            compiled=len(compiled()),
        )
        await fate.stopped(stopping)
        await _serve_on(settings.collector.shutdown, state, stopping)
    log.info("collector.stopped")
    fate.judge()


def _admin_of(settings: Settings, worker: int) -> AdminSettings:
    """Each worker has a port of its own, counted up; 0 is any."""
    first = settings.collector.admin
    return first.model_copy(update={"port": first.port and first.port + worker})


async def _serve_on(ending: ShutdownSettings, state: State, stopping: asyncio.Event) -> None:
    """Until load balancers have noticed that the end comes; at once where a bug or an operator's matter ends it."""
    state.terminating = ending.pre_termination_unhealthy
    pause_s = ending.pre_termination_seconds if stopping.is_set() else 0
    logger("collector").info("collector.stopping", pre_termination_s=pause_s)
    await asyncio.sleep(pause_s)
    state.terminating = True


def group_commit(settings: Settings, durable: Durable, metrics: Metrics, fate: Fate) -> GroupCommit:
    """The way from records to messages."""
    rules = settings.collector
    wait_s = rules.timeouts.response_seconds
    return GroupCommit(durable, rules.raw, wait_s, _PROCESSOR, now_ms, uuid7, metrics, fate.watch)


@asynccontextmanager
async def _durable(settings: Settings, metrics: Metrics, fate: Fate) -> AsyncIterator[SpoolingPublisher]:
    """The stream, with the spool in front of it where there is a broker that can be away."""
    log = logger("collector")
    spooled = settings.ingest.mode == "rabbitmq" and settings.collector.spool.enabled

    def notice(reason: str | None) -> None:
        if reason is None:
            log.warning("stream.back")
        else:
            log.warning("stream.away", reason=reason, spool=spooled)

    timeout_s = settings.collector.raw.publish_timeout_ms / 1000
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(open_publisher(_impatient(settings) if spooled else settings))
        spool = None
        if spooled or _spool_folder(settings).exists():  # what is left of a time with a spool goes on too
            spool = await stack.enter_async_context(_spool(settings, metrics, publisher, fate))
        yield SpoolingPublisher(publisher, spool if spooled else None, timeout_s, notice)


def _spool_folder(settings: Settings) -> Path:
    return settings.data_dir / "spool"


def _impatient(settings: Settings) -> Settings:
    wait_s = min(settings.ingest.rabbitmq.startup_timeout_seconds, _WAIT_FOR_BROKER_S)
    rabbitmq = settings.ingest.rabbitmq.model_copy(update={"startup_timeout_seconds": wait_s})
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"rabbitmq": rabbitmq})})


@asynccontextmanager
async def _spool(settings: Settings, metrics: Metrics, target: Publisher, fate: Fate) -> AsyncIterator[Spool]:
    folder = _spool_folder(settings)
    bounds = settings.collector.spool
    limits = spool_limits(bounds, settings.ingest.limits)
    async with (
        open_embedded_publisher(folder, limits) as publisher,
        open_embedded_subscriber(folder, limits, "raw", 100) as subscriber,
    ):
        told_of = partial(refused_message, processor=_PROCESSOR)
        max_age_ms = bounds.max_age_hours * 3_600_000
        spool = Spool(publisher, subscriber, max_age_ms, now_ms, metrics, told_of, _notice_of_spool)
        draining = asyncio.create_task(spool.drain(target))
        draining.add_done_callback(fate.watch)
        try:
            yield spool
        finally:
            draining.cancel()
            await asyncio.wait([draining])


def _notice_of_spool(reason: str | None) -> None:
    log = logger("collector")
    if reason is None:
        log.warning("spool.back")
    else:
        log.warning("spool.away", reason=reason)


@asynccontextmanager
async def http_server(
    settings: Settings,
    state: State,
    commit: GroupCommit,
    metrics: Metrics,
    may_connect: Callable[[str], bool] = is_public,
    clock: Clock = now_ms,
    new_id: NewId = uuid4,
    *,
    short: bool = True,
) -> AsyncIterator[Server]:
    """The HTTP server: trackers' requests in front, the application behind.

    may_connect: for the proxy. short: whether requests may go the short way, which nobody can tell from their answers.
    """
    headers = server_headers(settings)
    transport = "rabbitmq" if settings.ingest.mode == "rabbitmq" else "embedded"
    tracking = Tracking(settings, f"evnt-collector-{VERSION}-{transport}", _PROCESSOR, new_id)
    intake = Intake(settings, tracking, commit, clock, metrics)
    async with proxy_session(settings, ThreadedResolver(), may_connect) as session:
        features = [
            *Proxy(settings, session, may_connect).routes(),
            *Documentation(settings).routes(),
            *Static(_static_folder(settings)).routes(),
        ]
        pages, bridges = Pages(settings, state, time.monotonic), Bridges(settings, intake, clock).routes()
        origins = Origins(settings.security, settings.collector.cors)
        runner = web.AppRunner(application(settings, pages, bridges, features, headers, origins), access_log=None)
        await runner.setup()
        told = reporters(settings)
        try:
            yield _front(settings, intake, metrics, runner, Renderer(headers, clock), told, short=short)
        finally:
            await runner.cleanup()
            for reporter in told:
                await asyncio.to_thread(reporter.close)


def _front(
    settings: Settings,
    intake: Intake,
    metrics: Metrics,
    runner: web.AppRunner,
    renderer: Renderer,
    told: list[Reporter],
    *,
    short: bool,
) -> Server:
    log = logger("collector")

    def report(method: str, target: str, error: BaseException | None) -> None:
        log.error("request.failed", method=method, target=target, exc_info=error)
        for reporter in told:
            reporter.failed(error)

    behind = runner.server
    if behind is None:
        raise RuntimeError("the application did not start")
    gate, routes = Gate(settings), Routes(settings)
    front = Front(routes, None if gate.open else gate, intake, metrics, renderer, behind.request_handler)
    access_log = settings.performance.enable_access_log
    handler = logged(front.serve, settings.performance, log, uuid4) if access_log else front.serve
    for reporter in told:
        handler = reporter.traced(handler)
    # what looks at requests as a whole stands around the handler
    short = short and gate.open and not access_log and not told
    shortcut = Shortcut(routes, intake, metrics, renderer, report) if short else None
    server = Server(handler, settings, metrics, report, shortcut)
    server.request_factory = behind.request_factory
    return server


def _static_folder(settings: Settings) -> Path:
    folder = settings.collector.static_dir or settings.data_dir / "static"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"{folder} (collector.static_dir) can't be made: {error.strerror}") from error
    return folder


def main() -> None:
    """One process, or one for each worker."""
    try:
        settings = load(Settings)
        several = settings.collector.workers > 1
        if several:
            check_port(settings.collector.host, settings.collector.port)
    except (SettingsError, Misconfigured):
        several = False  # told by the process that runs

    if several:
        sys.exit(Workers(settings.collector.workers, lambda number: run(partial(start, number, os.getppid()))).run())
    run(partial(start, 0, None))


async def start(worker: int, parent: int | None, stopping: asyncio.Event) -> None:
    """Read the settings and serve; a worker stops when its parent is gone."""
    settings = load(Settings)
    configure(settings.logging, "collector")
    watching = asyncio.create_task(_watch(parent, stopping)) if parent is not None else None
    try:
        await serve(settings, stopping, worker)
    finally:
        if watching is not None:
            watching.cancel()


async def _watch(parent: int, stopping: asyncio.Event) -> None:
    while True:
        if os.getppid() != parent:
            stopping.set()
            return
        await asyncio.sleep(_WATCH_S)


if __name__ == "__main__":
    main()
