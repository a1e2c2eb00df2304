"""Requests that come together: a broken one costs none of those before it, and nobody waits for an answer in vain."""

import asyncio

import pytest

from tests.collector.raw_http import PATIENCE_S, Answer, post, read_answer
from tests.collector.running import collector, plain

HOST = b" HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /i?a" + HOST + b"\r\n"
POST = post(b"{}", path="/com.acme/v1?b")
CHUNKED = b"POST /com.acme/v1?c" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
HEALTH = b"GET /health" + HOST + b"\r\n"
BROKEN = (b"nonsense\r\n\r\n", b"GET /i?x" + HOST + b"no colon\r\n\r\n" + GET, post(b"", "Content-Length: 1"))


async def answers(port: int, data: bytes) -> list[Answer]:
    """All that come before the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    found = []
    async with asyncio.timeout(PATIENCE_S):
        while answer := await read_answer(reader):
            found.append(answer)
    writer.close()
    return found


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("short", [True, False])
async def test_what_comes_before_a_broken_request_is_kept(broken: bytes, short: bool) -> None:
    async with collector(plain(), short=short) as running:
        for begun in (False, True):
            before = GET * begun + POST + CHUNKED + HEALTH + GET
            found = await answers(running.port, before + broken)
            assert [answer.status for answer in found] == [200] * (4 + begun) + [400]
        kept = "".join(payload.querystring or "" for payload in running.publisher.payloads())
        assert kept == "bca" + "abca"


@pytest.mark.parametrize("short", [True, False])
async def test_the_last_request_of_a_connection_is_kept_whatever_follows(short: bool) -> None:
    last = POST.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost", 1)
    async with collector(plain(), short=short) as running:
        for more in (GET, b"}", b"\r\n"):
            assert [answer.status for answer in await answers(running.port, GET + last + more)] == [200, 200]
        assert "".join(payload.querystring or "" for payload in running.publisher.payloads()) == "ab" * 3


async def test_a_request_that_can_be_mended_may_come_with_others() -> None:
    async with collector(plain()) as running:
        found = await answers(running.port, GET + POST + GET.replace(b"?a", "?é".encode()) + GET + b"nonsense\r\n\r\n")
        assert [answer.status for answer in found] == [200, 200, 200, 200, 400]
        assert [payload.querystring for payload in running.publisher.payloads()] == ["a", "b", "%C3%A9", "a"]


async def test_an_address_that_the_parser_trips_over_may_come_behind_a_mended_request() -> None:
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    async with collector(plain()) as running:
        await answers(running.port, GET.replace(b"?a", "?é".encode()) + b"GET http://[]@" + HOST + b"\r\n")
    assert not unhandled


async def test_what_is_within_a_body_is_no_request() -> None:
    inner = b"\r\n0\r\n\r\n" + GET.replace(b"?a", "?é".encode())
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    for chunks in (body, body[:-7]):
        async with collector(plain()) as running:
            sent = GET + CHUNKED.replace(b"3\r\nabc\r\n0\r\n\r\n", chunks) + b"nonsense\r\n\r\n"
            found = await answers(running.port, sent)
            assert [answer.status for answer in found] == [200, 200, 400][-2 - (chunks == body) :]
            kept = [payload.querystring for payload in running.publisher.payloads()]
            assert kept == (["a", "c"] if chunks == body else ["a"])


@pytest.mark.parametrize("method", [b"POST", b"GET"])
@pytest.mark.parametrize("path", [b"/com.acme/v1?c", b"/proxy/hash", b"/nothing"])
async def test_nobody_waits_for_the_rest_of_a_broken_body(method: bytes, path: bytes) -> None:
    first, rest = CHUNKED.replace(b"POST /com.acme/v1?c", method + b" " + path).split(b"c\r\n0")
    async with collector(plain(timeouts={"body_seconds": 3_600})) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(first)
        await asyncio.sleep(0.05)
        writer.write(b"cc" + rest)
        async with asyncio.timeout(PATIENCE_S):
            data = await reader.read()
        writer.close()
        assert b"HTTP/1.0 400 " in data or b"HTTP/1.1 400 " in data
        assert {payload.body for payload in running.publisher.payloads()} <= {None}


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"h2c, websocket"])
@pytest.mark.parametrize("short", [True, False])
async def test_what_follows_the_wish_for_another_protocol_is_answered(protocol: bytes, short: bool) -> None:
    wish = b"\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\nHost"
    wishes = [request.replace(b"\r\nHost", wish, 1) for request in (GET, POST, CHUNKED)]
    async with collector(plain(), short=short) as running:
        found = await answers(
            running.port, GET + b"".join(wishes) + GET + GET.replace(b"\r\nH", b"\r\nConnection: close\r\nH")
        )
        assert [answer.status for answer in found] == [200] * 6
        assert "".join(payload.querystring or "" for payload in running.publisher.payloads()) == "aabcaa"
