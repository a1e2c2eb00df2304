"""Requests that HTTP's grammar refuses, and which are kept all the same."""

import asyncio

import pytest

from collector.mending import mended
from tests.collector.raw_http import exchange, post, read_answer
from tests.collector.running import collector, plain


def get(target: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", *headers, b"", b""])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/i?page=Café".encode(), "/i", "page=Caf%C3%A9"),
        (b"/i?page=Caf\xe9", "/i", "page=Caf%E9"),
        (b"/i?page=two words&e=pv", "/i", "page=two%20words&e=pv"),
        (b"/i?page=a\tb\x7f%zz", "/i", "page=a%09b%7F%zz"),
        ("/com.acme/é?e=pv".encode(), "/com.acme/é", "e=pv"),
    ],
)
@pytest.mark.parametrize("short", [True, False])
async def test_a_target_with_what_no_target_holds_is_recorded(
    target: bytes, path: str, query: str, short: bool
) -> None:
    async with collector(plain(), short=short) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for _ in range(2):  # as the first request of a connection, and as a later one
            writer.write(get(target))
            answer = await read_answer(reader)
            assert answer
            assert answer.status == 200
        writer.close()
        found = [(payload.path, payload.querystring) for payload in running.publisher.payloads()]
        assert found == [(path, query)] * 2


async def test_a_bounce_of_such_a_target_leads_where_it_should() -> None:
    async with collector(plain(cookie_bounce={"enabled": True})) as running:
        answer = await exchange(running.port, get("/i?page=é".encode()))
        assert answer
        assert (answer.status, answer.headers["location"]) == (302, "/i?page=%C3%A9&n3pc=true")


async def test_of_headers_that_came_twice_the_first_counts() -> None:
    async with collector(plain()) as running:
        sent = post(b"{}", "User-Agent: one", "Content-Type: text/plain", "user-agent: two", "content-type: a/b")
        answer = await exchange(running.port, sent)
        assert answer
        assert answer.status == 200
        (payload,) = running.publisher.payloads()
        assert (payload.user_agent, payload.content_type, payload.body) == ("one", "text/plain", "{}")


async def test_a_body_may_come_later() -> None:
    async with collector(plain()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        sent = post(b"0123456789", path="/com.acme/é")
        writer.write(sent[:-5])
        await asyncio.sleep(0.05)
        writer.write(sent[-5:])
        answer = await read_answer(reader)
        writer.close()
        assert answer
        assert answer.status == 200
        assert [payload.body for payload in running.publisher.payloads()] == ["0123456789"]


async def test_it_does_not_matter_whether_the_one_before_was_answered() -> None:
    async with collector(plain()) as running:
        running.publisher.may_finish.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for sent in (post(b"{}"), get("/i?page=é".encode()), get(b"/i?e=pv")):
            writer.write(sent)
            await asyncio.sleep(0.05)
        running.publisher.may_finish.set()
        for _ in range(3):
            answer = await read_answer(reader)
            assert answer
            assert answer.status == 200
        writer.close()
        assert [payload.querystring for payload in running.publisher.payloads()] == [None, "page=%C3%A9", "e=pv"]


@pytest.mark.parametrize(
    "begun", [b"POST /com.acme/v1 HTTP/1.1\r\nHost: x\r\n", post(b"")[:-4] + b"9\r\n\r\nx", b"GET /i?page=\xc3\xa9"]
)
async def test_what_is_in_the_middle_of_a_request_is_none(begun: bytes) -> None:
    async with collector(plain()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(begun)
        await asyncio.sleep(0.05)
        writer.write(get("/i?page=é".encode()) + b"no request\r\n\r\n")
        while await read_answer(reader):
            pass
        writer.close()
        assert "page" not in str([payload.querystring for payload in running.publisher.payloads()])


@pytest.mark.parametrize(
    "data",
    [
        get(b"/i?e=pv"),
        get(b"/i?page=\n"),
        get(b"/i?page=\r"),
        get(b"/i?page=\0"),
        get("http://x/i?page=é".encode()),
        get(b"/i", b"No colon"),
        get(b"/i", b"Content-Length: 1", b"Content-Length: 2"),
        get(b"/i", b"Host: y"),
        b"GET /i?page=\xc3\xa9",
        b"GET /i?page=\xc3\xa9 HTTP/2.0\r\n\r\n",
        b"no request\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n",
        b"",
    ],
)
def test_nothing_else_is_mended(data: bytes) -> None:
    assert mended(data) is None
