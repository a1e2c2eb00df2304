"""A collector's HTTP server on a socket, its stream in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from collector.__main__ import group_commit, http_server
from collector.listener import listening
from collector.metrics import Metrics
from collector.proxied import is_public
from collector.server import Server
from collector.settings import Settings
from collector.spool import SpoolingPublisher
from collector.state import Fate, State
from shared.identity import Clock, NewId, now_ms, uuid4
from tests.collector.stream import MemoryPublisher


@dataclass
class Running:
    """What a test can look at."""

    server: Server
    ports: list[int]
    publisher: MemoryPublisher
    state: State
    metrics: Metrics

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def collector(
    settings: Settings,
    publisher: MemoryPublisher | None = None,
    may_connect: Callable[[str], bool] = is_public,
    clock: Clock = now_ms,
    new_id: NewId = uuid4,
    *,
    short: bool = True,
) -> AsyncIterator[Running]:
    """Serve until the context ends; port 0 in the settings takes a free one."""
    publisher = publisher or MemoryPublisher()
    metrics = Metrics()
    durable = SpoolingPublisher(publisher, None, 5, lambda _reason: None)
    fate = Fate()
    commit = group_commit(settings, durable, metrics, fate)
    state = State(lambda: durable.trouble, lambda: durable.flows)
    async with (
        http_server(settings, state, commit, metrics, may_connect, clock, new_id, short=short) as server,
        listening(server, settings.collector) as ports,
    ):
        yield Running(server, ports, publisher, state, metrics)
    await commit.close()
    fate.judge()


def plain(**section: object) -> Settings:
    """Default settings on a free port, but for what is given of the collector's section."""
    return Settings.model_validate({"collector": {"port": 0, "admin": {"port": 0}, **section}})


async def get(running: Running, path: str | URL, **options: object) -> tuple[int, dict[str, str], bytes]:
    """A path that is a URL is sent as it is."""
    address = URL(f"{running.url}{path}", encoded=True) if isinstance(path, URL) else running.url + path
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, allow_redirects=False, **options) as response,  # type: ignore[arg-type]
    ):
        return response.status, dict(response.headers), await response.read()
