"""Asynchronous inserts, by what a server is sent and what it answers: the embedded one stores all inserts at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.contract import RowsRefused, Unavailable
from loader.warehouse.settings import ClickhouseSettings

BODY = b"event_id\n1\n2\n"

Answer = Callable[[web.BaseRequest, bytes], web.Response]


@asynccontextmanager
async def answering(answer: Answer, mode: str = "async") -> AsyncIterator[ClickHouse]:
    """A warehouse whose server gives this answer to everything."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return answer(request, await request.read())

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connection, insert = {"port": runner.addresses[0][1]}, {"mode": mode}
    warehouse = ClickHouse(ClickhouseSettings.model_validate({"connection": connection, "insert": insert}))
    try:
        yield warehouse
    finally:
        await warehouse.close()
        await runner.cleanup()


async def test_it_waits_for_the_data_and_has_the_server_forget_no_token() -> None:
    requests: list[tuple[dict[str, str], str]] = []

    def note(request: web.BaseRequest, body: bytes) -> web.Response:
        requests.append((dict(request.query), body.decode()))
        return web.Response()

    async with answering(note) as warehouse:
        assert await warehouse.insert("events", BODY, "one") == 2
        assert await warehouse.insert("events", BODY, "two") == 2
    (first, _), (second, _) = requests
    wanted = {"async_insert": "1", "wait_for_async_insert": "1"}
    wanted |= {"insert_deduplicate": "1", "async_insert_deduplicate": "1", "insert_deduplication_token": "one"}
    assert wanted.items() <= first.items()
    assert second == first | {"insert_deduplication_token": "two"}
    statements = {query.get("query", body.partition("\n")[0]).strip() for query, body in requests}
    assert statements == {"INSERT INTO `evnt`.`events` FORMAT TSVWithNames"}  # the server merges equal ones only


async def test_a_server_that_would_insert_asynchronously_by_itself_is_told_not_to() -> None:
    queries: list[dict[str, str]] = []

    def note(request: web.BaseRequest, _body: bytes) -> web.Response:
        queries.append(dict(request.query))
        return web.Response(headers={"X-ClickHouse-Summary": '{"written_rows":"2"}'})

    async with answering(note, mode="sync") as warehouse:
        assert await warehouse.insert("events", BODY, "one") == 2
    assert queries[0]["async_insert"] == "0"
    assert queries[0]["wait_for_async_insert"] == "1"


@pytest.mark.parametrize(
    ("text", "duty"),
    [
        (
            "Code: 159. DB::Exception: Wait for async insert timeout exceeded). (TIMEOUT_EXCEEDED)",
            Unavailable,
        ),
        ("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)", Unavailable),
        ("Code: 252. DB::Exception: Too many parts (3000). (TOO_MANY_PARTS)", Unavailable),
        ("Code: 27. DB::Exception: Cannot parse input: (at row 2). (CANNOT_PARSE_INPUT_ASSERTION_FAILED)", RowsRefused),
    ],
)
async def test_what_fails_while_it_is_written_is_a_failed_insert(text: str, duty: type[Exception]) -> None:
    async with answering(lambda _request, _body: web.Response(status=500, text=text)) as warehouse:
        with pytest.raises(duty):
            await warehouse.insert("events", BODY, "one")


async def test_a_connection_that_breaks_while_the_server_waits_is_an_outage() -> None:
    def hang_up(request: web.BaseRequest, _body: bytes) -> web.Response:
        assert request.transport
        request.transport.close()
        return web.Response()

    async with answering(hang_up) as warehouse:
        with pytest.raises(Unavailable):
            await warehouse.insert("events", BODY, "one")
