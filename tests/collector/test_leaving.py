"""Clients that leave in the middle of a conversation: nobody's bug, no 5xx, nothing in the log."""

import asyncio
import gc
from itertools import product
from typing import cast

import pytest

from tests.collector.raw_http import post
from tests.collector.running import collector, plain
from tests.collector.test_shortcut import Wire, head

GET = head("GET", "/i", [])
HALF = post(b"0123456789")[:-5]


def unhandled() -> list[object]:
    """What asyncio has to say of tasks and protocols that failed, from now on."""
    found: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: found.append(context))
    return found


async def leave(protocol: asyncio.Protocol, before: bytes, sent: bytes, turns: int, way: str) -> None:
    """A conversation that ends these turns of the loop after the last that was sent."""
    wire = Wire(protocol)
    if before:
        await asyncio.sleep(0)
        protocol.data_received(before)
        await asyncio.sleep(0.01)
        assert wire.written
    protocol.data_received(sent)
    for _ in range(turns):
        await asyncio.sleep(0)
    if way == "lost":
        wire.closed.set()
        protocol.connection_lost(None)
    elif way == "close" or not protocol.eof_received():
        wire.close()
    await asyncio.sleep(0.01)
    wire.close()


@pytest.mark.parametrize(
    "sent",
    [HALF, HALF.replace(b"/com.acme/v1", b"/com.segment/v1/p"), head("GET", "/health", []), GET + HALF, b"x\r\n\r\n"],
    ids=["half", "bridge", "page", "second", "nonsense"],
)
async def test_a_client_that_leaves_at_once_is_no_error(sent: bytes) -> None:
    errors, reports = unhandled(), []
    async with collector(plain(bridges={"analytics_js": True})) as running:
        running.server.report = lambda *report: reports.append(report)
        for before, way, turns in product((b"", GET), ("lost", "close", "eof"), range(4)):
            await leave(cast("asyncio.Protocol", running.server()), before, sent, turns, way)
            assert running.metrics.in_flight == 0, (before, way, turns)
        assert not [status for _, status in running.metrics.requests if status >= 500]
    gc.collect()  # what a task died of is told when that goes
    assert not errors + reports
