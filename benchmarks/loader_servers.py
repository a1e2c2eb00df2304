"""The servers that the loader is measured against, each in a process of its own."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import uvloop
from aiohttp import web

from benchmarks.measured import TICKS
from loader.settings import LoaderSettings
from loader.warehouse.clickhouse import ClickHouse
from shared.settings import environment


class Embedded(NamedTuple):
    """The embedded ClickHouse, ready; pid: of its process."""

    warehouse: ClickHouse
    pid: int


@asynccontextmanager
async def swallowing_server() -> AsyncIterator[int]:
    command = [sys.executable, "-c", "from benchmarks import loader_servers as own; own.swallow_for_ever()"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield int(await process.stdout.readline() if process.stdout else b"")
    finally:
        process.terminate()
        await process.wait()


def swallow_for_ever() -> None:
    with suppress(KeyboardInterrupt):
        uvloop.run(swallow())


async def swallow() -> None:
    """Answer every POST as ClickHouse would, having counted its lines."""

    async def answer(request: web.BaseRequest) -> web.Response:
        rows = -1
        async for part in request.content.iter_any():
            rows += part.count(b"\n")
        return web.Response(headers={"X-ClickHouse-Summary": json.dumps({"written_rows": str(rows)})})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def embedded_server() -> AsyncIterator[Embedded]:
    with tempfile.TemporaryDirectory(prefix="evnt-bench-") as folder:
        port = await _free_port()
        options = {"EVNT_DATA_DIR": folder, "EVNT_CLICKHOUSE__CONNECTION__PORT": str(port)}
        command = [sys.executable, "-m", "loader.warehouse.embedded"]
        process = await asyncio.create_subprocess_exec(*command, env={**environment(), **options})
        settings = LoaderSettings.model_validate({"data_dir": folder, "clickhouse": {"connection": {"port": port}}})
        warehouse = ClickHouse(settings.clickhouse)
        try:
            await warehouse.prepare()
            yield Embedded(warehouse, process.pid)
        finally:
            await warehouse.close()
            process.terminate()
            await process.wait()


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port


def busy_s() -> float:
    """Seconds of CPU that all processes of the machine have used."""
    user, nice, system, _idle, _waiting, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + sum(interrupts)) / TICKS
