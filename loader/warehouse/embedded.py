"""The embedded ClickHouse: `python -m loader.warehouse.embedded`, a server over the engine in this process.

Everything that speaks ClickHouse's HTTP interface can use it. One process has one data folder, and one folder one
process. It trusts whoever knows its user: as in any ClickHouse, SQL reaches files (`file()`) and the network
(`url()`), hence the loopback address by default.
"""

import asyncio
import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web

from loader.settings import LoaderSettings
from loader.warehouse.embedded_access import Access
from loader.warehouse.embedded_disk import Room, watch
from loader.warehouse.embedded_engine import Engine, EngineError
from loader.warehouse.embedded_http import ClickHouseHttp
from loader.warehouse.embedded_memory import release_clean_pages
from loader.warehouse.embedded_request import BLOCK_BYTES
from loader.warehouse.settings import EmbeddedSettings
from shared.process import Misconfigured, cannot_listen, run
from shared.settings import load
from shared.telemetry import configure, logger

#: Files that the engine may need at once; wide tables fail halfway below that.
FEWEST_FILES = 4096

#: Seconds after which a stop cancels the statements that still run, and after which it waits for none any longer.
CANCEL_S, SHUTDOWN_S = 3.0, 15.0

#: Longest request line in bytes, as in a server: statements may stand in it.
MOST_URL_BYTES = 1 << 20

_PORT_OPTION = "clickhouse.connection.port"


async def main(stopping: asyncio.Event) -> None:
    settings = load(LoaderSettings)
    configure(settings.logging, "clickhouse")
    connection, embedded = settings.clickhouse.connection, settings.clickhouse.embedded
    raise_file_limit()
    with locked(settings.data_dir / "clickhouse") as folder:
        engine = await asyncio.to_thread(open_engine, folder, embedded)
        release_clean_pages("/site-packages/")  # the engine, and what it loads besides: Arrow, NumPy
        access = Access(connection.username, connection.password.get_secret_value(), embedded.cors_allowed_origins)
        room = Room(folder, embedded.min_free_mb)
        server = ClickHouseHttp(engine, access, room)
        watching = asyncio.create_task(watch(room, engine))
        try:
            await serve(server, embedded.host, connection.port, stopping)
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            await server.close()
            await asyncio.to_thread(engine.close)


async def serve(server: ClickHouseHttp, host: str, port: int, stopping: asyncio.Event) -> None:
    """Answer requests until `stopping`, then finish those that have begun. Raises Misconfigured."""
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
        auto_decompress=False,  # aiohttp takes gzip that breaks off for whole: half an insert would be stored
        read_bufsize=BLOCK_BYTES,
        max_line_size=MOST_URL_BYTES,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise cannot_listen(error, host, port, _PORT_OPTION) from error
        log = logger("clickhouse")
        log.info("clickhouse.started", host=host, port=runner.addresses[0][1])
        await stopping.wait()
        log.info("clickhouse.stopping")
    finally:
        overdue = asyncio.create_task(server.cancel_after(CANCEL_S))
        await runner.cleanup()
        overdue.cancel()


def open_engine(folder: Path, settings: EmbeddedSettings) -> Engine:
    """Raises Misconfigured where the folder holds no data that this engine can read."""
    config = folder / "config.xml"
    try:
        config.write_text(_config(settings))
        return Engine(folder / "data", folder / "spool", {"config-file": str(config), "implicit_select": "0"})
    except EngineError as error:
        raise Misconfigured(f"the embedded ClickHouse can't open {folder}: {error.text}") from error
    except OSError as error:
        raise Misconfigured(f"the embedded ClickHouse can't write to {folder}: {error.strerror}") from error


def _config(settings: EmbeddedSettings) -> str:
    """Small caches, and compact parts: a table of hundreds of columns would open hundreds of files per part."""
    cache = settings.cache_mb << 20
    options = {
        "timezone": "UTC",
        "max_server_memory_usage_to_ram_ratio": settings.max_memory_ratio,
        "mark_cache_size": cache,
        "index_mark_cache_size": cache,
        "primary_index_cache_size": cache,
        "default_database": "default",
    }
    lines = [f"  <{name}>{escape(str(value))}</{name}>" for name, value in options.items()]
    kept = f"<keep_free_space_bytes>{settings.min_free_mb << 20}</keep_free_space_bytes>"
    lines.append(f"  <storage_configuration><disks><default>{kept}</default></disks></storage_configuration>")
    lines.append("  <merge_tree><min_bytes_for_wide_part>1073741824</min_bytes_for_wide_part></merge_tree>")
    return "\n".join(["<clickhouse>", *lines, "</clickhouse>", ""])


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The data folder, for this process alone. Raises Misconfigured when another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise Misconfigured(f"can't use the data folder {folder} (data_dir): {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise Misconfigured(
                f"the data folder {folder} is in use by process {lock.read().strip()}: stop it, or set data_dir"
            ) from error
        with suppress(OSError):  # whose it is only helps to read a refusal: no reason not to start on a full disk
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield folder


def raise_file_limit() -> None:
    """Raises Misconfigured where the system allows too few open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FEWEST_FILES:
        raise Misconfigured(
            f"the embedded ClickHouse needs {FEWEST_FILES} open files, the system allows {hard}: raise `ulimit -Hn`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    run(main)
