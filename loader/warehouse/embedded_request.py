"""What a request to the embedded server asks for, and its body in blocks: statement and data in one stream."""

import uuid
import zlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiohttp import web

from loader.warehouse.embedded_engine import EngineError
from loader.warehouse.embedded_sessions import DEFAULT_TIMEOUT_S
from loader.warehouse.embedded_statement import DEFAULT_FORMAT

#: Bytes of an INSERT's data that are handed to the engine at once.
BLOCK_BYTES = 1 << 20

#: Request parameters that are not settings of the engine.
_NOT_SETTINGS = frozenset(
    {
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "role",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "compress",
        "decompress",
        "stacktrace",
        "buffer_size",
        "wait_end_of_query",
        "add_http_cors_header",
        "client_protocol_version",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
    }
)


_NOT_COMPRESSED = "Code: 354. DB::Exception: Can't decompress the body. (ZLIB_INFLATE_FAILED)"


class Call(NamedTuple):
    """What a request asks for beside its statement."""

    query_id: str
    database: str
    default_format: str
    settings: tuple[tuple[str, str], ...]
    session_id: str
    session_timeout_s: float
    compress: bool


def call_of(request: web.Request) -> Call:
    query, headers = request.query, request.headers
    accepted, timeout = headers.get("Accept-Encoding", ""), query.get("session_timeout", "")
    given = query.get("query_id") or headers.get("X-ClickHouse-Query-Id") or ""
    return Call(
        query_id=given if given.isprintable() and given else str(uuid.uuid4()),
        database=query.get("database") or headers.get("X-ClickHouse-Database") or "",
        default_format=query.get("default_format") or headers.get("X-ClickHouse-Format") or DEFAULT_FORMAT,
        settings=tuple((name, value) for name, value in query.items() if name not in _NOT_SETTINGS),
        session_id=query.get("session_id", ""),
        session_timeout_s=float(timeout) if timeout.isdecimal() else DEFAULT_TIMEOUT_S,
        compress=query.get("enable_http_compression") == "1" and ("gzip" in accepted or "deflate" in accepted),
    )


async def blocks(request: web.Request) -> AsyncIterator[bytes]:
    """The body in blocks of about BLOCK_BYTES, so that a thread is asked once a block and not once a packet."""
    parts: list[bytes] = []
    size = 0
    async for part in _received(request):
        parts.append(part)
        size += len(part)
        if size >= BLOCK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


async def inflated(encoding: str, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body of gzip, of one member or several, or deflate. Raises EngineError where it is none or breaks off."""
    stream: Any = None
    async for block in data:
        left, more = block, False
        while left or more:
            stream = stream or zlib.decompressobj(_window(encoding, left))
            try:
                part = stream.decompress(left, BLOCK_BYTES)
            except zlib.error as error:
                raise EngineError(_NOT_COMPRESSED) from error
            if part:
                yield part
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
            more = len(part) == BLOCK_BYTES and not stream.eof
            stream = None if stream.eof else stream
    if stream:
        raise EngineError(_NOT_COMPRESSED)


def _window(encoding: str, start: bytes) -> int:
    """What zlib is to expect; clients disagree whether `deflate` has a header of its own."""
    if encoding == "gzip":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if start[0] & 0xF == zlib.DEFLATED else -zlib.MAX_WBITS


async def _received(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises EngineError where it breaks off."""
    try:
        async for part in request.content.iter_any():
            yield part
    except (web.RequestPayloadError, ConnectionError) as error:
        raise EngineError("Code: 210. DB::Exception: The client went away. (NETWORK_ERROR)") from error


async def beginning(body: AsyncIterator[bytes]) -> bytes:
    return await anext(body, b"")


async def rest(body: AsyncIterator[bytes], most: int) -> bytes:
    """What is left of a statement that takes no data. Refuses one that is too large to be a statement."""
    parts = []
    async for part in body:
        parts.append(part)
        most -= len(part)
        if most < 0:
            raise EngineError("Code: 62. DB::Exception: Max query size exceeded. (SYNTAX_ERROR)")
    return b"".join(parts)


async def prepended(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for block in rest:
        yield block
