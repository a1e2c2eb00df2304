"""The loader: chunks of a typical web event with four contexts, into a server that only swallows bytes and into the
embedded ClickHouse. `python -m benchmarks.loader [events]`"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.enriched import CHUNK_ROWS, make_chunk
from benchmarks.loader_servers import Embedded, busy_s, embedded_server, swallowing_server
from benchmarks.measured import cpu_s
from benchmarks.result import Result, unit_s
from loader import body, cells, chunk, dedupe
from loader.__main__ import Lanes
from loader.columns import TableColumns
from loader.liveness import Liveness
from loader.metrics import LoaderMetrics
from loader.outlet import BadRowOutlet
from loader.patience import Patience
from loader.settings import LoaderSection, LoaderSettings
from loader.warehouse import ddl
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import Column, TableName
from loader.warehouse.settings import ConfigurationSettings
from shared.event import WIDTH
from shared.identity import now_ms
from shared.process import collect_garbage_seldom
from shared.schema import SchemaKey
from shared.stream.contract import Delivery, Message, StreamName

#: Least events a second on one core, and least share of the engine's own rate.
TARGET, ENGINE_TARGET = 22_000, 0.8

#: Turns of engine and loader; the fastest of each counts, since what disturbs one is not its fault.
ROUNDS = 3


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 240_000
    chunks = [make_chunk(number) for number in range(max(50, events // ROUNDS // CHUNK_ROWS))]
    print(f"{len(chunks)} chunks of {CHUNK_ROWS} lines, {len(chunks[0]) // CHUNK_ROWS:,} bytes a line")
    collect_garbage_seldom()
    steps(chunks[:20])
    uvloop.run(swallowed(chunks))
    uvloop.run(embedded(len(chunks)))


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
    async with Swallower.running(1) as warehouse:  # nothing is sent there
        columns = TableColumns(warehouse, "events", no_documents, 300)
        contexts = set[bytes]().union(*(one.context_keys for one in taken))
        return await columns.layout(contexts, set())


async def no_documents(_key: SchemaKey) -> Sequence[Mapping[str, object]]:
    return []


# --- A whole lane ---


class Stored(NamedTuple):
    """When an insert was answered, in seconds, and its rows."""

    at: float
    rows: int


class Turn(NamedTuple):
    """What a run over all chunks took. inserts: in the order of their answers. server_s: CPU of the server."""

    wall_s: float
    cpu_s: float
    inserts: Sequence[Stored]
    server_s: float = 0.0

    @property
    def rows(self) -> int:
        return sum(insert.rows for insert in self.inserts)

    @property
    def cpu_us(self) -> float:
        """CPU of client and server, microseconds an event."""
        return (self.cpu_s + self.server_s) / self.rows * 1e6

    @property
    def per_second(self) -> float:
        """From the first byte to the last answer."""
        return self.rows / self.wall_s

    @property
    def steady_per_second(self) -> float:
        """From the first answer until inserts run out: without the first batch and the last ones, which run alone."""
        first, *middle = self.inserts[: -LoaderSection().inserts_in_flight]
        return sum(insert.rows for insert in middle) / (middle[-1].at - first.at)


class Memory:
    """A subscriber whose chunks are there already, and a publisher of what must not happen here."""

    ready = True

    def __init__(self, chunks: Sequence[bytes]) -> None:
        kind = ("enriched-tsv", "text/tab-separated-values", {"events": CHUNK_ROWS})
        self._waiting = deque(Delivery(Message(one, str(uuid4()), 0, *kind), False, 1, None) for one in chunks)
        self._left = len(chunks)
        self.loaded = asyncio.Event()
        self.stored: list[Stored] = []

    async def receive(self, limit: int, wait_s: float) -> list[Delivery]:
        if not self._waiting:
            await asyncio.sleep(min(wait_s, 0.01))
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._left -= len(deliveries)
        self.stored.append(Stored(time.perf_counter(), len(deliveries) * CHUNK_ROWS))
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


async def load(warehouse: ClickHouse, chunks: Sequence[bytes]) -> Turn:
    """Run a lane until it has acked all chunks."""
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
    turn = Turn(time.perf_counter() - wall, time.process_time() - cpu, memory.stored)
    stopping.set()
    await running
    stored = registry.get_sample_value("evnt_loader_rows_total", {"table": "events"})
    assert stored == turn.rows == len(chunks) * CHUNK_ROWS, f"{stored} rows were stored"
    return turn


async def swallowed(chunks: Sequence[bytes]) -> None:
    unit = unit_s()
    bodies = await _bodies(chunks)
    async with swallowing_server() as port, Swallower.running(port) as warehouse:
        start = time.process_time()
        for place, one in enumerate(bodies):
            await warehouse.insert("events", one, str(place))
        limit = len(chunks) * CHUNK_ROWS / (time.process_time() - start)
        await load(warehouse, chunks[:8])
        turn = await load(warehouse, chunks)
    reached, an_event = turn.rows / turn.cpu_s, turn.cpu_s / turn.rows
    print(f"into a server that swallows bytes: {reached:,.0f} events per CPU second, {turn.per_second:,.0f}/s wall")
    print(f"  {an_event * 1e6:.1f} µs = {an_event / unit:.2f} json.loads an event, {_rows(turn)} rows an INSERT")
    print(f"  sending the same bytes ready-made: {limit:,.0f} events per CPU second")
    print(Result("loader", "page view, four contexts", reached, target=TARGET).line())


async def embedded(chunks: int) -> None:
    """The whole loader beside the engine's own rate for the same bytes: the same server, in turns, each into an empty
    table, as many inserts in flight."""
    alone, whole = [], []
    async with embedded_server() as server:
        await load(server.warehouse, [make_chunk(number) for number in range(8)])
        for _ in range(ROUNDS):
            fresh = [make_chunk(number) for number in range(chunks)]
            alone.append(await _turn(server, "engine", _insert_all(server.warehouse, await _bodies(fresh))))
            fresh = [make_chunk(number) for number in range(chunks)]
            whole.append(await _turn(server, "loader", load(server.warehouse, fresh)))
    bare, turn = (max(turns, key=lambda turn: turn.steady_per_second) for turns in (alone, whole))
    total = max(turn.per_second for turn in whole) / max(turn.per_second for turn in alone)
    print(f"  {_rows(turn)} rows an INSERT, {LoaderSection().inserts_in_flight} in flight")
    print(f"  from first byte to last answer: {total:.2f} of the engine's own rate")
    by_cpu = min(turn.cpu_us for turn in alone) / min(turn.cpu_us for turn in whole)
    print(f"  by the CPU of both, which other programs disturb least: {by_cpu:.2f}")
    limit, name = bare.steady_per_second, "engine alone, same bytes"
    print(Result("loader", "embedded ClickHouse", turn.steady_per_second, limit, name, ENGINE_TARGET).line())


def _rows(turn: Turn) -> str:
    return f"{turn.rows / len(turn.inserts):,.0f}"


async def _turn(server: Embedded, name: str, run: Awaitable[Turn]) -> Turn:
    """One turn, printed with what every process had of the machine, and an empty table after it."""
    engine, all_ = cpu_s(server.pid), busy_s()
    turn = (await run)._replace(server_s=cpu_s(server.pid) - engine)
    ours = turn.cpu_s + turn.server_s
    others = max(0.0, busy_s() - all_ - ours)
    print(
        f"into the embedded ClickHouse, {name}: {turn.steady_per_second:,.0f} events/s; µs of CPU an event: server "
        f"{turn.server_s / turn.rows * 1e6:.1f}, client {turn.cpu_s / turn.rows * 1e6:.1f}; "
        f"cores busy {ours / turn.wall_s:.2f}, with other programs {others / turn.wall_s:.2f}"
    )
    target = ddl.place(ConfigurationSettings(), "events").target
    await server.warehouse.execute([f"TRUNCATE TABLE {target}"])
    return turn


async def _insert_all(warehouse: ClickHouse, bodies: Sequence[bytes]) -> Turn:
    gate = asyncio.Semaphore(LoaderSection().inserts_in_flight)
    stored: list[Stored] = []

    async def insert(one: bytes) -> None:
        async with gate:
            rows = await warehouse.insert("events", one, uuid4().hex)
            stored.append(Stored(time.perf_counter(), rows))

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(insert, bodies))
    return Turn(time.perf_counter() - wall, time.process_time() - cpu, stored)


async def _bodies(chunks: Sequence[bytes]) -> list[bytes]:
    """Inserts ready-made, of as many chunks as the loader merges."""
    taken = [chunk.read(one) for one in chunks]
    layout = await layout_of(taken)
    merged = max(1, LoaderSection().batch.rows // CHUNK_ROWS)
    groups = [taken[first : first + merged] for first in range(0, len(taken), merged)]
    return [body.header(layout) + b"".join(body.rows(one, layout) for one in group) for group in groups]


if __name__ == "__main__":
    main()
