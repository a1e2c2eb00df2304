"""Sentry, OpenTelemetry and Elastic APM: a real library each, against a server that takes what it sends."""

import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector import reporting
from collector.settings import Settings
from shared.process import Misconfigured
from tests.collector.running import collector

LIBRARIES = {"sentry": "sentry_sdk", "opentelemetry": "opentelemetry.sdk", "elastic_apm": "elasticapm"}


@asynccontextmanager
async def service() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Takes everything; its address, and the bodies."""
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        data = await request.read()
        bodies.append(data)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}", bodies
    finally:
        await runner.cleanup()


def section(name: str, address: str) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {
        "sentry": {"dsn": f"http://key@{address}/1", "traces_sample_rate": 1},
        "opentelemetry": {"endpoint": f"http://{address}/v1/traces", "sample_rate": 1},
        "elastic_apm": {"server_url": f"http://{address}"},
    }
    return sections[name] | {"enabled": True}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", LIBRARIES)
async def test_requests_are_traced_without_their_query(name: str) -> None:
    if find_spec(LIBRARIES[name].partition(".")[0]) is None:
        pytest.skip(f"{LIBRARIES[name]} is an optional extra that is not installed")
    async with service() as (address, bodies):
        settings = Settings.model_validate({"collector": {"port": 0}, name: section(name, address)})
        async with collector(settings) as running, aiohttp.ClientSession() as session:
            async with session.get(f"{running.url}/com.acme/traced?secret=1") as response:
                assert response.status == 200
            assert len(running.publisher.payloads()) == 1
        sent = b"".join(map(plain, bodies))
    assert b"/com.acme/traced" in sent
    assert b"secret" not in sent


def plain(body: bytes) -> bytes:
    for inflate in (gzip.decompress, zlib.decompress):
        try:
            return inflate(body)
        except (OSError, zlib.error):
            continue
    return body


def test_nothing_is_told_by_default() -> None:
    assert reporting.reporters(Settings()) == []


def test_sentry_without_an_address_is_refused() -> None:
    if find_spec("sentry_sdk") is None:
        pytest.skip("sentry_sdk is an optional extra that is not installed")
    with pytest.raises(Misconfigured):
        reporting.reporters(Settings.model_validate({"sentry": {"enabled": True}}))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(find_spec("sentry_sdk") is None, reason="needs the extra sentry")
def test_an_address_of_sentry_that_is_none_is_named_and_not_quoted() -> None:
    settings = Settings.model_validate({"sentry": {"enabled": True, "dsn": "ftp://secret@host"}})
    with pytest.raises(Misconfigured, match=r"^sentry\.dsn: expected (?!.*secret)"):
        reporting.reporters(settings)
