"""The embedded server as its clients see it: aiochclient, clickhouse-connect, and bare requests."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import aiohttp
import clickhouse_connect
import pytest
from aiochclient import ChClient, ChClientError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.clickhouse import PASSWORD, USERNAME, Server, launch, running, start
from tests.ports import free_port
from tests.vectors import ROOT

HEADERS = {"X-ClickHouse-User": USERNAME, "X-ClickHouse-Key": PASSWORD}


@pytest.fixture
async def http(clickhouse: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(clickhouse.url, headers=HEADERS) as session:
        yield session


@pytest.fixture
def table(clickhouse: Server, database: str) -> str:
    clickhouse.query(f"CREATE DATABASE {database}")
    clickhouse.query(f"CREATE TABLE {database}.t (a UInt32, b Nullable(String)) ENGINE = MergeTree ORDER BY a")
    return f"{database}.t"


@pytest.fixture
def connect(clickhouse: Server) -> Iterator[Client]:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.port, username=USERNAME, password=PASSWORD)
    yield client
    client.close()


async def test_aiochclient_creates_fills_and_reads_a_table(clickhouse: Server, table: str) -> None:
    async with aiohttp.ClientSession() as session:
        client = ChClient(session, url=clickhouse.url, user=USERNAME, password=PASSWORD)
        assert await client.is_alive()
        await client.execute(f"INSERT INTO {table} VALUES", (1, "it's"), (2, None))
        await client.execute(f"INSERT INTO {table} FORMAT JSONEachRow", {"a": 3, "b": "ü\t\n"})
        await client.insert_file(f"INSERT INTO {table} FORMAT TSVWithNames", b"b\ta\nx\t4\n")
        rows = await client.fetch(f"SELECT a, b FROM {table} ORDER BY a")
        assert [tuple(row.values()) for row in rows] == [(1, "it's"), (2, None), (3, "ü\t\n"), (4, "x")]
        with pytest.raises(ChClientError, match=r"^Code: 47\. DB::Exception: "):
            await client.fetch(f"SELECT nothing FROM {table}")


def test_clickhouse_connect_creates_fills_and_reads_a_table(connect: Client, table: str) -> None:
    connect.insert(table, [[1, "x"], [2, None]], column_names=["a", "b"])
    found = connect.query(f"SELECT a, b FROM {table} WHERE a >= {{least:UInt32}} ORDER BY a", parameters={"least": 2})
    assert found.result_rows == [(2, None)]
    assert connect.query("SELECT getSetting('max_threads')", settings={"max_threads": 1}).result_rows == [(1,)]
    assert connect.raw_query("SELECT 1", fmt="CSV") == b"1\n"
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        connect.query("SELECT * FROM nothing_here")
    assert connect.command("SELECT 7") == 7


@pytest.mark.parametrize("compress", ["lz4", "gzip", "zstd", False])
def test_clickhouse_connect_may_compress(clickhouse: Server, table: str, compress: str | bool) -> None:
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, username=USERNAME, password=PASSWORD, compress=compress
    )
    client.insert(table, [[n, f"value {n}"] for n in range(5000)], column_names=["a", "b"])
    assert client.query(f"SELECT count(), max(b) FROM {table}").result_rows == [(5000, "value 999")]
    client.close()


async def test_a_statement_may_stand_in_the_url_or_in_the_body(http: aiohttp.ClientSession, table: str) -> None:
    for query, body in [
        (f"INSERT INTO {table} FORMAT TSV", "1\tx\n"),
        ("", f"INSERT INTO {table} FORMAT TSV\n2\tx\n"),
        (f"INSERT INTO {table} (a, b)", "VALUES (3, 'x')"),
        ("", f"INSERT INTO {table} SELECT number + 4, 'x' FROM numbers(2)"),
    ]:
        async with http.post("/", params={"query": query} if query else {}, data=body) as answer:
            assert (answer.status, await answer.text()) == (200, "")
    async with http.get("/", params={"query": f"SELECT arraySort(groupArray(a)) FROM {table}"}) as answer:
        assert await answer.text() == "[1,2,3,4,5]\n"


async def test_parameters_settings_formats_and_database(http: aiohttp.ClientSession, table: str) -> None:
    parameters = {
        "query": "SELECT {text:String} AS text, {list:Array(UInt8)} AS list, getSetting('max_block_size') AS size",
        "param_text": "it's\\ta",
        "param_list": "[1,2]",
        "max_block_size": "17",
        "default_format": "JSONEachRow",
    }
    async with http.get("/", params=parameters) as answer:
        assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
        assert json.loads(await answer.text()) == {"text": "it's\ta", "list": [1, 2], "size": 17}
    async with http.get("/", params={"query": "SELECT count() FROM t", "database": table[:-2]}) as answer:
        assert await answer.text() == "0\n"
    async with http.post("/", data=b"SELECT getSetting('max_block_size') = 17") as answer:
        assert await answer.text() == "0\n", "a setting must not outlive its request"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELECT nothing", 404, 47),
        ("SELECT * FROM nothing", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 SETTINGS nothing = 1", 404, 115),
        ("INSERT INTO {table} FORMAT Nothing\n1", 404, 73),
        ("INSERT INTO {table} FORMAT TSV\nx\t1\n", 400, 27),
        ("INSERT INTO {table} SELECT * FROM input('a UInt32, b String') FORMAT TSV\n1\tx\n", 501, 48),
    ],
)
async def test_errors_are_a_servers(
    http: aiohttp.ClientSession, table: str, query: str, status: int, code: int
) -> None:
    async with http.post("/", data=query.format(table=table).encode()) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
        assert text.startswith(f"Code: {code}. DB::Exception: ")
        assert text.endswith(")\n")
    async with http.post("/", data=b"SELECT 7") as answer:
        assert await answer.text() == "7\n", "what a failed query left behind must not be the next one's answer"


async def test_a_get_changes_nothing(http: aiohttp.ClientSession, table: str) -> None:
    for query in [f"DROP TABLE {table}", f"INSERT INTO {table} VALUES (1, 'x')"]:
        async with http.get("/", params={"query": query}) as answer:
            assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    async with http.get("/", params={"query": f"SELECT count() FROM {table}"}) as answer:
        assert await answer.text() == "0\n"


@pytest.mark.parametrize(
    ("headers", "parameters", "status"),
    [
        (HEADERS, {}, 200),
        ({"Authorization": aiohttp.encode_basic_auth(USERNAME, PASSWORD)}, {}, 200),
        ({}, {"user": USERNAME, "password": PASSWORD}, 200),
        ({}, {}, 401),
        ({**HEADERS, "X-ClickHouse-Key": "wrong"}, {}, 403),
        ({"Authorization": aiohttp.encode_basic_auth("somebody", PASSWORD)}, {}, 403),
        ({"Authorization": "Basic !"}, {}, 403),
    ],
)
async def test_three_ways_to_say_who_one_is(
    clickhouse: Server, headers: dict[str, str], parameters: dict[str, str], status: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(clickhouse.url, params={"query": "SELECT 1", **parameters}, headers=headers) as answer,
    ):
        assert answer.status == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_bodies_may_be_compressed_both_ways(http: aiohttp.ClientSession, table: str) -> None:
    statement = {"query": f"INSERT INTO {table} FORMAT TSV"}
    rows = "".join(f"{n}\tvalue\n" for n in range(1000)).encode()
    for name, data in [("gzip", gzip.compress(rows)), ("deflate", zlib.compress(rows))]:
        async with http.post("/", params=statement, data=data, headers={"Content-Encoding": name}) as answer:
            assert answer.status == 200
            assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "1000"
    query = {"query": f"SELECT a FROM {table} ORDER BY a", "enable_http_compression": "1"}
    async with http.get("/", params=query, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len((await answer.text()).splitlines()) == 2000


async def test_a_body_that_is_not_what_it_says_is_refused(http: aiohttp.ClientSession, table: str) -> None:
    statement, header = {"query": f"INSERT INTO {table} FORMAT TSV"}, {"Content-Encoding": "gzip"}
    async with http.post("/", params=statement, data=b"1\tx\n", headers=header) as answer:
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "354")


@pytest.mark.parametrize("name", ["gzip", "deflate"])
async def test_a_compressed_body_that_breaks_off_stores_nothing(
    http: aiohttp.ClientSession, table: str, name: str
) -> None:
    pack: Callable[[bytes], bytes] = gzip.compress if name == "gzip" else zlib.compress
    data = pack("".join(f"{n}\tvalue {n}\n" for n in range(100_000)).encode())
    statement, header = {"query": f"INSERT INTO {table} FORMAT TSV"}, {"Content-Encoding": name}
    async with http.post("/", params=statement, data=data[: len(data) // 2], headers=header) as answer:
        assert answer.status >= 400
    async with http.post("/", data=f"SELECT count() FROM {table}".encode()) as answer:
        assert await answer.text() == "0\n"
    async with http.post("/", params=statement, data=data, headers=header) as answer:
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "100000"


async def test_gzip_may_have_several_members(http: aiohttp.ClientSession, table: str) -> None:
    statement, header = {"query": f"INSERT INTO {table} FORMAT TSV"}, {"Content-Encoding": "gzip"}
    data = b"".join(map(gzip.compress, (b"", b"1\tx\n", b"2\ty\n" * 1_000_000)))
    async with http.post("/", params=statement, data=data, headers=header) as answer:
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "1000001"


async def test_long_statements_fit_into_the_url(http: aiohttp.ClientSession) -> None:
    async with http.get("/", params={"query": f"SELECT length('{'x' * 50_000}')", "query_id": "a\r\nb"}) as answer:
        assert await answer.text() == "50000\n"
        assert "\n" not in answer.headers["X-ClickHouse-Query-Id"]


async def test_every_answer_says_what_it_cost(http: aiohttp.ClientSession, table: str) -> None:
    parameters = {"query": f"INSERT INTO {table} FORMAT TSV", "query_id": "mine"}
    async with http.post("/", params=parameters, data=b"1\tx\n2\ty\n") as answer:
        assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"


async def test_a_large_insert_streams(http: aiohttp.ClientSession, table: str) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for first in range(0, 200_000, 1000):
            yield "".join(f"{n}\t{'x' * 50}\n" for n in range(first, first + 1000)).encode()

    async with http.post("/", params={"query": f"INSERT INTO {table} FORMAT TSV"}, data=blocks()) as answer:
        assert answer.status == 200
    async with http.post("/", data=f"SELECT count(), uniqExact(a) FROM {table}".encode()) as answer:
        assert await answer.text() == "200000\t200000\n"


async def test_a_client_that_goes_away_leaves_no_rows(http: aiohttp.ClientSession, table: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1\tx\n" * 100_000
        raise ConnectionAbortedError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await http.post("/", params={"query": f"INSERT INTO {table} FORMAT TSV"}, data=broken())
    await asyncio.sleep(0.2)
    async with http.post("/", data=f"SELECT count() FROM {table}".encode()) as answer:
        assert await answer.text() == "0\n"


async def test_a_session_keeps_its_temporary_tables(http: aiohttp.ClientSession) -> None:
    session = {"session_id": "one"}
    for query, expected in [
        ("CREATE TEMPORARY TABLE mine (a UInt8)", ""),
        ("INSERT INTO mine FORMAT TSV\n7\n", ""),
        ("SELECT nothing", None),
        ("SELECT a FROM mine", "7\n"),
    ]:
        async with http.post("/", params={**session, "max_threads": "1"}, data=query.encode()) as answer:
            assert expected is None or await answer.text() == expected
    async with http.post("/", params=session, data=b"SELECT getSetting('max_threads') = 1") as answer:
        assert await answer.text() == "0\n"
    async with http.post("/", data=b"SELECT a FROM mine") as answer:
        assert answer.status == 404


async def test_one_session_serves_one_call_at_a_time(http: aiohttp.ClientSession) -> None:
    slow, session = b"SELECT sleep(1)", {"session_id": "busy"}

    async def ask() -> str:
        async with http.post("/", params=session, data=slow) as answer:
            return answer.headers.get("X-ClickHouse-Exception-Code", "fine")

    assert sorted(await asyncio.gather(ask(), ask())) == ["373", "fine"]


async def test_queries_run_side_by_side(http: aiohttp.ClientSession) -> None:
    async def ask(query: bytes) -> str:
        async with http.post("/", data=query) as answer:
            return await answer.text()

    slow = asyncio.create_task(ask(b"SELECT sleep(2)"))
    await asyncio.sleep(0.1)
    assert await ask(b"SELECT 1") == "1\n"
    assert not slow.done()
    await slow


async def test_pages_of_this_machine_may_query_and_others_may_not(http: aiohttp.ClientSession, table: str) -> None:
    ours, theirs = {"Origin": "http://localhost:8080"}, {"Origin": "https://evil.example"}
    async with http.options("/", headers={**ours, "Access-Control-Request-Method": "POST"}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "http://localhost:8080")
        assert "X-ClickHouse-User" in answer.headers["Access-Control-Allow-Headers"]
    async with http.post("/", data=b"SELECT 1", headers=ours) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
    async with http.post("/", data=f"DROP TABLE {table}".encode(), headers=theirs) as answer:
        assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (403, None)
    async with http.post("/", data=f"EXISTS TABLE {table}".encode()) as answer:
        assert await answer.text() == "1\n"


async def test_ping_needs_no_password_and_nothing_else_is_there(clickhouse: Server) -> None:
    async with aiohttp.ClientSession(clickhouse.url) as session:
        for path, status, text in [
            ("/ping", 200, "Ok.\n"),
            ("/replicas_status", 200, "Ok.\n"),
            ("/nothing", 404, None),
        ]:
            async with session.get(path) as answer:
                assert answer.status == status
                assert text is None or await answer.text() == text


def test_data_survives_a_kill(tmp_path: Path) -> None:
    server = start(tmp_path)
    server.query("CREATE DATABASE evnt")
    server.query("CREATE TABLE evnt.t (a UInt32) ENGINE = MergeTree ORDER BY a")
    server.query("INSERT INTO evnt.t SELECT number FROM numbers(1000)")
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with running(tmp_path) as again:
        assert again.query("SELECT count() FROM evnt.t") == "1000\n"
        assert again.stop() == 0


def test_a_query_without_end_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    server = start(tmp_path)
    with ThreadPoolExecutor(1) as elsewhere:
        endless = elsewhere.submit(server.query, "SELECT count() FROM numbers(10000000000000) WHERE rand() = 1")
        while "rand()" not in server.query("SELECT query FROM system.processes WHERE query NOT LIKE '%processes%'"):
            pass
        assert server.stop() == 0
        with pytest.raises(HTTPError) as refused:
            endless.result()
    with refused.value as answer:
        assert answer.headers["X-ClickHouse-Exception-Code"] == "394"


def test_too_few_open_files_are_said(tmp_path: Path) -> None:
    command = f"ulimit -n 1000 && exec {sys.executable} -m loader.warehouse.embedded"
    variables = {**os.environ, "EVNT_DATA_DIR": str(tmp_path), "EVNT_CLICKHOUSE__CONNECTION__PORT": str(free_port())}
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 78
    assert "needs 4096 open files, the system allows 1000" in ended.stderr


def test_a_data_folder_serves_one_process(clickhouse: Server) -> None:
    second = launch(clickhouse.folder, free_port())
    _, trouble = second.communicate(timeout=60)
    assert second.returncode == 78
    assert f"{clickhouse.folder / 'clickhouse'} is in use by process {clickhouse.process.pid}" in trouble
    assert "Traceback" not in trouble


def test_a_taken_port_is_named(clickhouse: Server, tmp_path: Path) -> None:
    second = launch(tmp_path, clickhouse.port)
    _, trouble = second.communicate(timeout=60)
    assert second.returncode == 78
    assert f"port {clickhouse.port} on 127.0.0.1 is taken" in trouble
    assert "clickhouse.connection.port" in trouble
