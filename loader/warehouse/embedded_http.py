"""ClickHouse's HTTP interface over the engine in this process.

Promise: what aiochclient, clickhouse-connect, curl or a dashboard send to a server works here the same, down to
status codes and headers. Answers are buffered whole; the data of an INSERT streams in blocks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from aiohttp import web

from loader.warehouse.embedded_access import Access, Refused
from loader.warehouse.embedded_answers import content_type_of, status_of
from loader.warehouse.embedded_disk import Room
from loader.warehouse.embedded_engine import Answer, Connection, Engine, EngineError, Insertion, Progress
from loader.warehouse.embedded_request import Call, beginning, blocks, call_of, inflated, prepended, rest
from loader.warehouse.embedded_sessions import Sessions
from loader.warehouse.embedded_statement import Insert, insert_in, inspect

#: Largest statement in bytes (the engine's own default); the data of an INSERT does not count.
MOST_STATEMENT_BYTES = 262_144

#: Engine calls at once; further ones wait.
THREADS = 16

#: Content-Encoding that the engine undoes, of a whole body at once.
_ENGINE_ENCODINGS = frozenset({"lz4", "xz", "bz2", "snappy", "zstd", "br"})

_NOT_TEXT = "Code: 36. DB::Exception: The statement is not UTF-8. (BAD_ARGUMENTS)"

T = TypeVar("T")


class ClickHouseHttp:
    """The request handlers; `close` after the last one has answered."""

    def __init__(self, engine: Engine, access: Access, room: Room) -> None:
        self._engine = engine
        self._access = access
        self._room = room
        self._sessions = Sessions(engine)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("OPTIONS", "/{any:.*}", self._preflight)
        app.router.add_get("/ping", self._ok)
        app.router.add_get("/replicas_status", self._ok)
        app.router.add_get("/", self._query)
        app.router.add_post("/", self._query)
        app.router.add_route("*", "/{path:.+}", self._unknown)
        app.on_response_prepare.append(self._cors)
        return app

    async def cancel_after(self, seconds: float) -> None:
        """Cancel what still runs then: a query may take for ever, a stop may not."""
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._engine.cancel_queries)

    async def close(self) -> None:
        await self._in_thread(self._sessions.close)
        self._threads.shutdown()

    async def _ok(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html")

    async def _preflight(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _unknown(self, request: web.Request) -> web.Response:
        return web.Response(status=404, text=f"There is no handle {request.path}\n")

    async def _cors(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(self._access.cors_headers(request.headers.get("Origin")))

    async def _query(self, request: web.Request) -> web.Response:
        call = call_of(request)
        try:
            self._access.check(request)
            return await self._answer(request, call)
        except Refused as refusal:
            return self._failure(call, EngineError(refusal.text), refusal.headers)
        except EngineError as error:
            return self._failure(call, error)

    async def _answer(self, request: web.Request, call: Call) -> web.Response:
        body = self._decoded(request.headers.get("Content-Encoding", "").lower(), blocks(request))
        text = request.query.get("query", "").encode()
        if text:
            text += b"\n"
        elif request.method in {"GET", "HEAD"}:
            return await self._ok(request)
        head = b"" if text and _insert_in(text) else await beginning(body)
        text += head
        insert = _insert_in(text)
        if insert is None:
            return await self._run(request, call, text + await rest(body, MOST_STATEMENT_BYTES - len(text)))
        return await self._insert(request, call, insert, prepended(text[insert.data_at :], body))

    async def _run(self, request: web.Request, call: Call, text: bytes) -> web.Response:
        statement = inspect(text)
        if statement.refused:
            raise EngineError(statement.refused)
        if statement.writes:
            self._room.require()
        read_only = request.method != "POST"

        def run() -> Answer:
            # what is set to read only can't be set back, so a GET never touches a session
            lending = self._sessions.lend("" if read_only else call.session_id, call.session_timeout_s)
            with lending as connection, _configured(connection, call, read_only=read_only):
                return connection.run(_decoded(text), call.default_format)

        answer = await self._in_thread(run)
        used = statement.format or call.default_format
        response = web.Response(body=answer.body, headers=self._headers(call, answer.progress))
        response.headers["X-ClickHouse-Format"] = used
        response.headers["Content-Type"] = content_type_of(used)
        if call.compress:
            response.enable_compression()
        return response

    async def _insert(
        self, request: web.Request, call: Call, insert: Insert, data: AsyncIterator[bytes]
    ) -> web.Response:
        if request.method != "POST":
            raise EngineError("Code: 164. DB::Exception: Cannot insert in readonly mode: use POST. (READONLY)")
        self._room.require()
        with ExitStack() as held:
            insertion = await self._in_thread(self._begin, held, call, insert)
            async for block in data:
                await self._in_thread(insertion.append, block)
            progress = await self._in_thread(insertion.finish)
        return web.Response(body=b"", headers=self._headers(call, progress))

    def _begin(self, held: ExitStack, call: Call, insert: Insert) -> Insertion:
        connection = held.enter_context(self._sessions.lend(call.session_id, call.session_timeout_s))
        held.enter_context(_configured(connection, call, read_only=False))
        insertion = connection.insert(insert)
        held.callback(insertion.close)
        return insertion

    def _decoded(self, encoding: str, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if encoding in _ENGINE_ENCODINGS:
            return self._decompressed(encoding, data)
        return inflated(encoding, data) if encoding in {"gzip", "deflate"} else data

    async def _decompressed(self, encoding: str, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        compressed = b"".join([block async for block in data])
        yield await self._in_thread(self._engine.decompress, compressed, encoding)

    def _headers(self, call: Call, progress: Progress) -> dict[str, str]:
        summary = {
            "read_rows": progress.read_rows,
            "read_bytes": progress.read_bytes,
            "written_rows": progress.written_rows,
            "written_bytes": progress.written_bytes,
            "total_rows_to_read": 0,
            "result_rows": progress.written_rows,
            "result_bytes": progress.written_bytes,
            "elapsed_ns": int(progress.elapsed_s * 1e9),
        }
        return {
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
            "X-ClickHouse-Query-Id": call.query_id,
            "X-ClickHouse-Server-Display-Name": "evnt-embedded",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }

    def _failure(self, call: Call, error: EngineError, extra: Mapping[str, str] | None = None) -> web.Response:
        text = error.text if "(version " in error.text else f"{error.text} (version {self._engine.version})"
        headers = {"X-ClickHouse-Exception-Code": str(error.code), **self._headers(call, Progress()), **(extra or {})}
        return web.Response(status=status_of(error.code), text=text + "\n", headers=headers)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


@contextmanager
def _configured(connection: Connection, call: Call, *, read_only: bool) -> Iterator[None]:
    """The request's database and settings, for this request only where the connection outlives it."""
    if call.database:
        connection.use(call.database)
    connection.set(call.settings)
    if read_only:
        connection.set([("readonly", "2")])
    try:
        yield
    finally:
        if call.session_id and not read_only:
            connection.reset(name for name, _ in call.settings)


def _decoded(statement: bytes) -> str:
    try:
        return statement.decode()
    except UnicodeDecodeError as error:
        raise EngineError(_NOT_TEXT) from error


def _insert_in(text: bytes) -> Insert | None:
    try:
        return insert_in(text)
    except UnicodeDecodeError as error:
        raise EngineError(_NOT_TEXT) from error
