"""The embedded ClickHouse: rows a second into the engine itself, and through the HTTP interface that we put before it.
`python -m benchmarks.warehouse [rows]`"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from benchmarks.enriched import CHUNK_ROWS, make_chunk
from benchmarks.loader import layout_of
from benchmarks.loader_servers import embedded_server
from benchmarks.result import Result, unit_s
from loader import body, chunk
from loader.warehouse import ddl
from loader.warehouse.clickhouse import INSERT_SETTINGS, ClickHouse
from loader.warehouse.contract import Column
from loader.warehouse.embedded import open_engine, raise_file_limit
from loader.warehouse.embedded_engine import Engine
from loader.warehouse.embedded_statement import Insert
from loader.warehouse.settings import ConfigurationSettings, EmbeddedSettings

#: Rows of one INSERT.
SIZES = (500, 2_000, 10_000)

#: Turns of engine and server; the fastest of each counts, since what disturbs one is not its fault.
ROUNDS = 3

#: Least share of the engine's own rate that is left behind HTTP.
TARGET = 0.8


async def main(rows: int) -> None:
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="evnt-bench-") as folder:
        engine = open_engine(Path(folder), EmbeddedSettings())
        try:
            async with embedded_server() as server:
                for size in SIZES:
                    await compare(engine, server.warehouse, await bodies(size, rows), size)
        finally:
            engine.close()


async def compare(engine: Engine, warehouse: ClickHouse, inserts: list[bytes], size: int) -> None:
    """Both take the same bytes, one insert after the other, in turns."""
    await _prepare(engine, warehouse, inserts[0])
    direct, served = [], []
    for _ in range(ROUNDS):
        direct.append(_timed(engine, inserts))
        start = time.perf_counter()
        for insert in inserts:
            assert await warehouse.insert("events", insert, uuid4().hex) == size
        served.append(time.perf_counter() - start)
    total = size * len(inserts)
    bare, behind, unit = total / min(direct), total / min(served), unit_s()
    print(f"{size:,} rows an INSERT: {bare:,.0f} rows/s into the engine, {behind:,.0f} rows/s through HTTP")
    print(f"  {1e6 / behind:.1f} µs = {1 / behind / unit:.1f} json.loads a row, all threads of the machine together")
    print(Result("warehouse", f"{size:,} rows an INSERT", behind, bare, "the engine in our own process", TARGET).line())


async def bodies(size: int, rows: int) -> list[bytes]:
    """Inserts of page views with four contexts, ready-made."""
    chunks = [chunk.read(make_chunk(number)) for number in range(max(1, rows // CHUNK_ROWS))]
    layout = await layout_of(chunks)
    merged = size // CHUNK_ROWS
    groups = [chunks[first : first + merged] for first in range(0, len(chunks) // merged * merged, merged)]
    return [body.header(layout) + b"".join(body.rows(one, layout) for one in group) for group in groups]


async def _prepare(engine: Engine, warehouse: ClickHouse, insert: bytes) -> None:
    """The same empty table on both sides."""
    configuration = ConfigurationSettings()
    await warehouse.prepare()
    known = await warehouse.columns("events")
    names = insert.partition(b"\n")[0].decode().split("\t")
    columns = [Column(name, "Array(JSON(max_dynamic_paths=0))") for name in names if name not in known]
    if columns:
        await warehouse.add_columns("events", columns)
    statements = [ddl.create_database(configuration), *ddl.create_tables(configuration, "events")]
    statements += ddl.add_columns(configuration, "events", columns) if columns else []
    truncate = f"TRUNCATE TABLE {ddl.place(configuration, 'events').target}"
    await warehouse.execute([truncate])
    with engine.connect() as connection:
        for statement in [*statements, truncate]:
            connection.run(statement, "Null")


def _timed(engine: Engine, inserts: list[bytes]) -> float:
    target = ddl.place(ConfigurationSettings(), "events").target
    start = time.perf_counter()
    for insert in inserts:
        with engine.connect() as connection:
            connection.set([(name, str(value)) for name, value in INSERT_SETTINGS.items()])
            token = f"SETTINGS insert_deduplication_token = '{uuid4().hex}'"
            insertion = connection.insert(Insert(f"INSERT INTO {target}", token, "TSVWithNames", 0))
            insertion.append(insert)
            insertion.finish()
            insertion.close()
    return time.perf_counter() - start


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
