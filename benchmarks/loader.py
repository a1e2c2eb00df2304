"""The loader: chunks of a typical web event with four contexts, into a server that only swallows bytes and into the
embedded ClickHouse. `python -m benchmarks.loader [events]`"""

import asyncio
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from benchmarks.result import Result, unit_s
from loader import body, cells, chunk, dedupe
from loader.__main__ import Lanes
from loader.columns import TableColumns
from loader.liveness import Liveness
from loader.metrics import LoaderMetrics
from loader.outlet import BadRowOutlet
from loader.patience import Patience
from loader.settings import LoaderSection, LoaderSettings
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import Column, TableName
from shared.event import INDEX, WIDTH
from shared.identity import now_ms
from shared.schema import SchemaKey
from shared.settings import environment
from shared.stream.contract import Delivery, Message, StreamName

#: As the enricher makes them.
CHUNK_ROWS = 500

#: Least events a second on one core, and least share of the engine's own rate.
TARGET, ENGINE_TARGET = 22_000, 0.8

#: Turns of engine and loader.
ROUNDS = 2

_WRAPPER = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 240_000
    chunks = [make_chunk(number) for number in range(max(8, events // CHUNK_ROWS))]
    print(f"{len(chunks)} chunks of {CHUNK_ROWS} lines, {len(chunks[0]) // CHUNK_ROWS:,} bytes a line")
    steps(chunks[:20])
    uvloop.run(swallowed(chunks))
    uvloop.run(embedded(events))


# --- The events ---


def make_chunk(number: int) -> bytes:
    return "\n".join(make_line(number * CHUNK_ROWS + row) for row in range(CHUNK_ROWS)).encode()


def make_line(number: int) -> str:
    """A page view with web_page, client_session, client hints, and the user agent's context."""
    moment = f"2026-11-24 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}"
    path = f"/products/shoes/{number}"
    version = f"{110 + number % 20}.0.{number % 7000}.{number % 200}"
    row = [""] * WIDTH
    for name, value in {
        "app_id": "shop",
        "platform": "web",
        "etl_tstamp": "2026-11-24 23:59:59.123",
        "collector_tstamp": moment,
        "dvce_created_tstamp": moment,
        "event": "page_view",
        "event_id": str(uuid4()),
        "name_tracker": "sp",
        "v_tracker": "js-4.6.8",
        "v_collector": "evnt-collector-0.1.0-rabbitmq",
        "v_etl": "evnt-enrich-0.1.0",
        "user_ipaddress": f"203.0.113.{number % 256}",
        "domain_userid": str(uuid4()),
        "domain_sessionidx": str(number % 40),
        "network_userid": str(uuid4()),
        "page_url": f"https://shop.example.com{path}?utm_source=news&utm_medium=mail",
        "page_title": f"Schuhe für alle, Seite {number}",
        "page_referrer": "https://search.example.org/?q=shoes",
        "page_urlscheme": "https",
        "page_urlhost": "shop.example.com",
        "page_urlport": "443",
        "page_urlpath": path,
        "page_urlquery": "utm_source=news&utm_medium=mail",
        "refr_urlscheme": "https",
        "refr_urlhost": "search.example.org",
        "refr_urlport": "443",
        "refr_urlpath": "/",
        "refr_urlquery": "q=shoes",
        "refr_medium": "search",
        "mkt_medium": "mail",
        "mkt_source": "news",
        "contexts": _contexts(
            ("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": str(uuid4())}),
            ("com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", _session(number)),
            ("org.ietf/http_client_hints/jsonschema/1-0-0", _hints(version)),
        ),
        "useragent": f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}",
        "br_lang": "de-DE",
        "br_cookies": "1",
        "br_colordepth": "24",
        "br_viewwidth": "1280",
        "br_viewheight": str(600 + number % 400),
        "os_timezone": "Europe/Berlin",
        "dvce_screenwidth": "1920",
        "dvce_screenheight": "1080",
        "doc_charset": "UTF-8",
        "doc_width": "1280",
        "doc_height": str(number % 9000),
        "dvce_sent_tstamp": moment,
        "derived_contexts": _contexts(
            ("com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0", _agent(version))
        ),
        "domain_sessionid": str(uuid4()),
        "derived_tstamp": moment,
        "event_vendor": "com.snowplowanalytics.snowplow",
        "event_name": "page_view",
        "event_format": "jsonschema",
        "event_version": "1-0-0",
        "event_fingerprint": uuid4().hex,
    }.items():
        row[INDEX[name]] = value
    return "\t".join(row)


def _contexts(*entities: tuple[str, Mapping[str, object]]) -> str:
    data = [{"schema": f"iglu:{schema}", "data": value} for schema, value in entities]
    return json.dumps({"schema": _WRAPPER, "data": data}, separators=(",", ":"), ensure_ascii=False)


def _session(number: int) -> dict[str, object]:
    return {
        "userId": str(uuid4()),
        "sessionId": str(uuid4()),
        "eventIndex": number,
        "sessionIndex": number % 40,
        "previousSessionId": None,
        "storageMechanism": "COOKIE_1",
        "firstEventId": str(uuid4()),
        "firstEventTimestamp": "2026-11-24T10:00:00.000Z",
    }


def _hints(version: str) -> dict[str, object]:
    brands = [{"brand": name, "version": version.partition(".")[0]} for name in ("Chromium", "Google Chrome")]
    return {"isMobile": False, "brands": brands, "platform": "Linux", "uaFullVersion": version}


def _agent(version: str) -> dict[str, object]:
    major, minor, patch, _ = version.split(".")
    return {
        "useragentFamily": "Chrome",
        "useragentMajor": major,
        "useragentMinor": minor,
        "useragentPatch": patch,
        "useragentVersion": f"Chrome {version}",
        "osFamily": "Linux",
        "osMajor": None,
        "osMinor": None,
        "osPatch": None,
        "osPatchMinor": None,
        "osVersion": "Linux",
        "deviceFamily": "Other",
    }


# --- Cost of each step ---


def steps(chunks: Sequence[bytes]) -> None:
    """Print CPU microseconds an event of every step, in this process alone."""
    rows = len(chunks) * CHUNK_ROWS
    taken = [chunk.read(one) for one in chunks]
    layout = asyncio.run(layout_of(taken))

    def cost(what: str, call: Callable[[], object]) -> None:
        start = time.process_time()
        call()
        print(f"  {what:<52}{(time.process_time() - start) / rows * 1e6:6.2f} µs")

    print("CPU an event, step by step:")
    flat = [one.replace(b"\n", b"\t\n\t").split(b"\t") for one in chunks]
    cost("take a chunk apart, all of it", lambda: [chunk.read(one) for one in chunks])
    cost("  of it: split into cells", lambda: [one.replace(b"\n", b"\t\n\t").split(b"\t") for one in chunks])
    cost("  of it: check typed cells", lambda: [cells.sound(one, WIDTH + 1) for one in flat])
    cost("lay rows out over schema columns", lambda: [body.rows(one, layout) for one in taken])
    cost("name the insert (sha256 of ids and fingerprints)", lambda: dedupe.token(taken))
    cost("(were all JSON parsed: taking it apart)", lambda: [chunk.read(one, careful=True) for one in chunks])


async def layout_of(taken: Sequence[chunk.Chunk]) -> body.Layout:
    async with Swallower.running(0) as warehouse:
        columns = TableColumns(warehouse, "events", no_documents, 300)
        contexts = set[bytes]().union(*(one.context_keys for one in taken))
        return await columns.layout(contexts, set())


async def no_documents(_key: SchemaKey) -> Sequence[Mapping[str, object]]:
    return []


# --- A whole lane ---


class Memory:
    """A subscriber whose chunks are there already, and a publisher of what must not happen here."""

    ready = True

    def __init__(self, chunks: Sequence[bytes]) -> None:
        kind = ("enriched-tsv", "text/tab-separated-values", {"events": CHUNK_ROWS})
        self._waiting = deque(Delivery(Message(one, str(uuid4()), 0, *kind), False, 1, None) for one in chunks)
        self._left = len(chunks)
        self.loaded = asyncio.Event()

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        if not self._waiting:
            await asyncio.sleep(min(wait_s, 0.01))
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._left -= len(deliveries)
        if not self._left:
            self.loaded.set()

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        raise AssertionError("nothing is given back here")

    async def bury(self, deliveries: Sequence[Delivery], reason: str) -> None:
        raise AssertionError(reason)

    async def publish(self, stream: StreamName, messages: Sequence[Message]) -> None:
        raise AssertionError(messages[0].body.decode())

    async def close(self) -> None:
        return


class Swallower(ClickHouse):
    """Inserts go to a server that only swallows bytes; the table has whatever column is asked for."""

    known: Mapping[str, str] = {}

    @staticmethod
    @asynccontextmanager
    async def running(port: int) -> AsyncIterator["Swallower"]:
        settings = LoaderSettings.model_validate({"clickhouse": {"connection": {"port": port}}})
        warehouse = Swallower(settings.clickhouse)
        try:
            yield warehouse
        finally:
            await warehouse.close()

    async def columns(self, table: TableName) -> Mapping[str, str]:
        return {"event_id": "UUID", **self.known}

    async def add_columns(self, table: TableName, columns: Sequence[Column]) -> None:
        self.known = {**self.known, **dict(columns)}


async def load(warehouse: ClickHouse, chunks: Sequence[bytes]) -> tuple[float, float, float]:
    """Run a lane until it has acked all chunks: wall seconds, CPU seconds, rows an INSERT."""
    settings = LoaderSection()
    stopping = asyncio.Event()
    memory, registry = Memory(chunks), CollectorRegistry()
    metrics = LoaderMetrics(registry)
    patience = Patience(settings.retry, stopping, metrics.retries.inc)
    outlet = BadRowOutlet(memory, patience, now_ms, metrics, 1 << 24)
    lanes = Lanes(settings, warehouse, outlet, no_documents, patience, metrics, Liveness(time.monotonic))
    lanes.add("events", memory)
    wall, cpu = time.perf_counter(), time.process_time()
    running = asyncio.create_task(lanes.made["events"].run(stopping))
    done = asyncio.create_task(memory.loaded.wait())
    await asyncio.wait([running, done], return_when=asyncio.FIRST_COMPLETED)
    taken = time.perf_counter() - wall, time.process_time() - cpu
    stopping.set()
    await running
    rows = registry.get_sample_value("evnt_loader_rows_total", {"table": "events"}) or 0.0
    inserts = registry.get_sample_value("evnt_loader_inserts_total", {"table": "events"}) or 1.0
    assert rows == len(chunks) * CHUNK_ROWS, f"{rows} rows were stored"
    return *taken, rows / inserts


async def swallowed(chunks: Sequence[bytes]) -> None:
    events, unit = len(chunks) * CHUNK_ROWS, unit_s()
    bodies = await _bodies(chunks)
    async with swallowing_server() as port, Swallower.running(port) as warehouse:
        start = time.process_time()
        for place, one in enumerate(bodies):
            await warehouse.insert("events", one, str(place))
        limit = events / (time.process_time() - start)
        await load(warehouse, chunks[:8])
        wall, cpu, rows = await load(warehouse, chunks)
    print(f"into a server that swallows bytes: {events / cpu:,.0f} events per CPU second, {events / wall:,.0f}/s wall")
    print(f"  {cpu / events * 1e6:.1f} µs = {cpu / events / unit:.2f} json.loads an event, {rows:,.0f} rows an INSERT")
    print(f"  sending the same bytes ready-made: {limit:,.0f} events per CPU second")
    result = Result("loader", "page view, four contexts", events / cpu, target=TARGET)
    print(result.line())


async def embedded(events: int) -> None:
    """The whole loader beside the engine's own rate for the same bytes, in turns, with the same inserts in flight."""
    alone, whole, cpu_s, rows = 0.0, 0.0, 0.0, 0.0
    numbers = range(max(10, events // ROUNDS // CHUNK_ROWS))
    async with embedded_server() as warehouse:
        await load(warehouse, [make_chunk(number) for number in range(8)])
        for _ in range(ROUNDS):
            ready = await _bodies([make_chunk(number) for number in numbers])
            start = time.perf_counter()
            await _insert_all(warehouse, ready)
            alone += time.perf_counter() - start
            wall, cpu, rows = await load(warehouse, [make_chunk(number) for number in numbers])
            whole, cpu_s = whole + wall, cpu_s + cpu
    loaded = len(numbers) * CHUNK_ROWS * ROUNDS
    print(f"into the embedded ClickHouse: {loaded / whole:,.0f} events/s, the engine alone {loaded / alone:,.0f}/s")
    print(f"  {rows:,.0f} rows an INSERT; the loader's own share: {cpu_s / loaded * 1e6:.1f} µs of CPU an event")
    limit = "engine alone, same bytes"
    print(Result("loader", "embedded ClickHouse", loaded / whole, loaded / alone, limit, ENGINE_TARGET).line())


async def _insert_all(warehouse: ClickHouse, bodies: Sequence[bytes]) -> None:
    gate = asyncio.Semaphore(LoaderSection().inserts_in_flight)

    async def insert(one: bytes) -> None:
        async with gate:
            await warehouse.insert("events", one, uuid4().hex)

    await asyncio.gather(*map(insert, bodies))


async def _bodies(chunks: Sequence[bytes]) -> list[bytes]:
    """Inserts ready-made, of as many chunks as the loader merges."""
    taken = [chunk.read(one) for one in chunks]
    layout = await layout_of(taken)
    merged = max(1, LoaderSection().batch.rows // CHUNK_ROWS)
    groups = [taken[first : first + merged] for first in range(0, len(taken), merged)]
    return [body.header(layout) + b"".join(body.rows(one, layout) for one in group) for group in groups]


# --- The servers, each in a process of its own ---


@asynccontextmanager
async def swallowing_server() -> AsyncIterator[int]:
    command = [sys.executable, "-m", "benchmarks.loader", "swallow"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield int(await process.stdout.readline() if process.stdout else b"")
    finally:
        process.terminate()
        await process.wait()


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
async def embedded_server() -> AsyncIterator[ClickHouse]:
    with tempfile.TemporaryDirectory(prefix="evnt-bench-") as folder:
        port = await _free_port()
        options = {"EVNT_DATA_DIR": folder, "EVNT_CLICKHOUSE__CONNECTION__PORT": str(port)}
        command = [sys.executable, "-m", "loader.warehouse.embedded"]
        process = await asyncio.create_subprocess_exec(*command, env={**environment(), **options})
        settings = LoaderSettings.model_validate({"data_dir": folder, "clickhouse": {"connection": {"port": port}}})
        warehouse = ClickHouse(settings.clickhouse)
        try:
            await warehouse.prepare()
            yield warehouse
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


if __name__ == "__main__":
    if sys.argv[1:] == ["swallow"]:
        with suppress(KeyboardInterrupt):
            uvloop.run(swallow())
    else:
        main()
