"""What follows the last chunk of a body belongs to nobody, least of all to the next request of the connection.

Behind a proxy that may be somebody else's.
"""

import asyncio

import pytest

from tests.collector.raw_http import read_answer
from tests.collector.running import collector, plain
from tests.collector.served import KNOWN

HOST = b"Host: x\r\n"
CHUNKED = b"POST /com.acme/v1 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /i?e=pv HTTP/1.1\r\n" + HOST + b"\r\n"

#: Bodies in the pieces in which they come.
TRAILED = [
    [CHUNKED + b"3\r\nabc\r\n0\r\nCookie: sp=" + KNOWN.encode() + b"\r\n\r\n"],
    [CHUNKED, b"3\r\nabc\r\n0;x=y\r\n", b"A: b\r\nSP-Anonymous: *\r\n", b"\r", b"\n"],
    [CHUNKED + b"3\r\nabc\r\n", b"0\r\nX: ", b"0\r\n\r\n"],
    [CHUNKED.replace(b"/v1", "/v1?é".encode()) + b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n"],
]

PLAIN = [
    [CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"],
    [CHUNKED, b"3\r\nabc\r\n", b"0\r\n\r\n"],
]


@pytest.mark.parametrize("pieces", [*TRAILED, *PLAIN])
@pytest.mark.parametrize("short", [True, False])
async def test_a_trailer_is_no_header_of_the_next_request(pieces: list[bytes], short: bool) -> None:
    async with collector(plain(), short=short) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for request in (pieces, [GET], pieces, [GET[:30], GET[30:]]):
            for piece in request:
                writer.write(piece)
                await asyncio.sleep(0.01)
            answer = await read_answer(reader)
            assert answer
            assert answer.status == 200
        writer.close()
        posted, got, *more = running.publisher.payloads()
        assert [payload.body for payload in (posted, got, *more)] == ["abc", None, "abc", None]
        for payload in (got, more[1]):
            assert (payload.headers, payload.ip_address) == (["Host: x"], "127.0.0.1")


@pytest.mark.parametrize("short", [True, False])
async def test_what_comes_together_with_the_last_chunk_is_a_request(short: bool) -> None:
    async with collector(plain(), short=short) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for piece in (PLAIN[0][0] + GET[:10], GET[10:] + PLAIN[0][0] + GET):
            writer.write(piece)
            await asyncio.sleep(0.01)
        for _ in range(4):
            answer = await read_answer(reader)
            assert answer
            assert answer.status == 200
        writer.close()
        assert [payload.body for payload in running.publisher.payloads()] == ["abc", None, "abc", None]
