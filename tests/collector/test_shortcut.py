"""The short way of requests: nobody can tell from the answers, the records or the counters which way a request went."""

import asyncio
import gzip
import re
from collections import Counter
from dataclasses import dataclass
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.settings import Settings
from shared.payload import CollectorPayload
from tests.collector.raw_http import PATIENCE_S, post, read_answer
from tests.collector.running import Running, collector, plain
from tests.collector.stream import MemoryPublisher

NOW = 1_700_000_000_000

RULES = plain(
    enable_default_redirect=True,
    redirect_domains=["example.com"],
    cookie_bounce={"enabled": True},
    do_not_track_cookie={"enabled": True, "name": "dnt", "value": "1+"},
    limits={"max_payload_bytes": 3_000, "max_record_bytes": 2_000, "drop_payload_bytes": 5_000},
    timeouts={"headers_seconds": 5, "body_seconds": 5},
)

LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

TARGETS = """
/i /i?e=pv&nuid=00000000-0000-4000-8000-00000000000a /i?n3pc=true /i?%zz /i?page=é /ice.png /tracker
/com.acme/v1 /com.acme/v1?a=b#c /r/tp2?u=http://example.com/x /r/tp2?u=http://other.com /r/tp2 http://x/i?a=b
/health /nothing /a/b/ // /robots.txt /static/x /proxy/hash
"""

targets = st.sampled_from(TARGETS.split())
headers = st.lists(
    st.sampled_from(
        [
            "Cookie: sp=00000000-0000-4000-8000-00000000000b",
            "Cookie: sp=nonsense; a b",
            "cookie: dnt=11; x=y",
            "Origin: https://shop.example.com",
            "SP-Anonymous: *",
            "X-Forwarded-For: 192.0.2.7, 10.0.0.1",
            "X-Request-ID: abc-123",
            "x-request-id: not fit",
            "User-Agent: Mozilla/5.0 \u00e9",
            "Referer: https://example.com/",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "Connection: keep-alive",
            "Access-Control-Request-Method: POST",
        ]
    ),
    max_size=5,
    unique_by=lambda line: line.partition(":")[0].lower(),
)
bodies = st.sampled_from([b"", b"{}", b"x" * 1_900, b"y" * 2_500, b"z" * 3_500, b'{"data":[{"e":"pv"}]}'])


def head(method: str, target: str, lines: list[str], version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: x", *lines, "", ""]).encode()


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request after which the connection stays open."""
    method = draw(st.sampled_from(["GET", "GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT"]))
    lines, body = draw(headers), draw(bodies)
    if method != "POST":
        return head(method, draw(targets), lines)
    kind = draw(st.sampled_from(["length", "length", "chunked", "gzip", "damaged"]))
    if kind == "chunked":
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head("POST", draw(targets), [*lines, "Transfer-Encoding: chunked"]) + chunk + b"0\r\n\r\n"
    if kind in ("gzip", "damaged"):
        body = gzip.compress(body, mtime=0) if kind == "gzip" else b"no gzip"
        lines = [*lines, "Content-Encoding: gzip"]
    types = draw(
        st.sampled_from([[], ["Content-Type: application/json"], ["Content-Type: text/plain; charset=latin1"]])
    )
    return head("POST", draw(targets), [*lines, *types, f"Content-Length: {len(body)}"]) + body


@st.composite
def endings(draw: st.DrawFn) -> bytes:
    """A request after which the server closes."""
    target, lines = draw(targets), draw(headers)
    kind = draw(st.sampled_from(["close", "1.0", "broken", "long", "large"]))
    if kind == "close":
        return head("GET", target, [line for line in lines if "keep-alive" not in line] + ["Connection: close"])
    if kind == "1.0":
        return head("GET", target, [line for line in lines if "keep-alive" not in line], "1.0")
    if kind == "broken":
        return head("GET", target, ["no colon"])
    if kind == "long":
        return head("GET", "/i?" + "x" * 70_000, [])
    return head("POST", "/com.acme/v1", ["Content-Length: 6000"]) + b"x" * 6_000


@dataclass
class Seen:
    """All that an outsider can see of a conversation."""

    answers: bytes
    payloads: list[CollectorPayload]
    bad: list[bytes]
    counted: Counter[tuple[str, int]]
    in_flight: int


class Wire(asyncio.Transport):
    """A connection without a socket: what was written, and whether the server wants more."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234)})
        self.written = b""
        self.closed = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.reads.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    async def send(self, parts: list[bytes]) -> None:
        """One part a turn of the loop, as long as the server reads; then wait for it to close."""
        await asyncio.sleep(0)
        for part in parts:
            await self.reads.wait()
            if not self.closed.is_set():
                self._protocol.data_received(part)
            await asyncio.sleep(0)
        await self.closed.wait()


async def converse(rules: Settings, parts: list[bytes], *, short: bool, away: bool) -> Seen:
    publisher = MemoryPublisher()
    publisher.away = away
    ids = count()
    async with collector(
        rules, publisher, clock=lambda: NOW, new_id=lambda: f"00000000-0000-4000-8000-{next(ids):012}", short=short
    ) as running:
        wire = Wire(running.server())
        async with asyncio.timeout(PATIENCE_S):
            await wire.send(parts)
        metrics = running.metrics
    bad = [message.body for message in publisher.messages("bad")]
    # whether it is needed depends on whether the body has come when the handler begins: either is right
    written = wire.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    answers = re.sub(rb"Date: [^\r]+", b"Date:", written)
    return Seen(answers, publisher.payloads(), bad, metrics.requests, metrics.in_flight)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(ends)]


places = st.lists(st.integers(0, 2**20), max_size=5)


@given(st.lists(requests(), max_size=6), endings() | st.just(LAST), places, st.booleans())
@settings(max_examples=300, deadline=None)
def test_both_ways_give_the_same(sent: list[bytes], last: bytes, places: list[int], away: bool) -> None:
    parts = cut(b"".join(sent) + last, places)
    short, ordinary = (asyncio.run(converse(RULES, parts, short=way, away=away)) for way in (True, False))
    assert short == ordinary


async def test_more_requests_than_are_queued_are_answered_in_order() -> None:
    wanted = [f"/com.acme/v1?number={number}" for number in range(200)]
    parts = [b"".join(head("GET", target, []) for target in wanted) + LAST]
    seen = await converse(plain(), parts, short=True, away=False)
    assert seen.answers.count(b"HTTP/1.1 200 OK") == 201
    assert [payload.querystring for payload in seen.payloads] == [f"number={number}" for number in range(200)]


async def test_many_answers_that_wait_for_nothing_are_given_one_after_the_other() -> None:
    parts = [head("GET", "/i", []) * 500 + LAST]
    seen = await converse(RULES, parts, short=True, away=False)
    assert seen.counted == {("GET", 302): 500, ("GET", 200): 1}
    assert seen.answers.count(b"HTTP/1.1 302 ") == 500


async def test_a_bug_costs_the_request_that_meets_it() -> None:
    def broken() -> str:
        raise RuntimeError("no more ids")

    async with collector(plain(), new_id=broken) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(head("GET", "/i", []))
        answer = await read_answer(reader)
        assert answer is not None
        assert answer.status == 500
        assert await reader.read() == b""
        assert running.metrics.in_flight == 0
        assert running.metrics.requests == {("GET", 500): 1}
        writer.close()


async def begun(running: Running, requests: int) -> None:
    for _ in range(1_000):
        if running.metrics.in_flight == requests:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"{running.metrics.in_flight} requests are being served")


@pytest.mark.parametrize("way", [True, False])
async def test_a_client_that_leaves_before_its_answer_harms_nobody(way: bool) -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    async with collector(plain(), publisher, short=way) as running:
        _, leaving = await asyncio.open_connection("127.0.0.1", running.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        leaving.write(post(b"left"))
        writer.write(post(b"stayed"))
        await begun(running, 2)
        leaving.transport.abort()
        await asyncio.sleep(0.01)
        publisher.may_finish.set()
        answer = await read_answer(reader, "POST")
        assert answer is not None
        assert answer.status == 200
        writer.close()
    assert {payload.body for payload in publisher.payloads()} == {"left", "stayed"}
    assert running.metrics.in_flight == 0
    assert running.metrics.requests == {("POST", 200): 2}


@pytest.mark.parametrize("way", [True, False])
async def test_a_stopping_server_answers_what_it_has_begun(way: bool) -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    async with collector(plain(), publisher, short=way) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(b"{}"))
        await begun(running, 1)
        asyncio.get_running_loop().call_later(0.05, publisher.may_finish.set)
    answer = await read_answer(reader, "POST")
    assert answer is not None
    assert answer.status == 200
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("way", [True, False])
async def test_an_answer_goes_to_a_client_that_has_said_that_it_is_done(way: bool) -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    async with collector(plain(), publisher, short=way) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(b"{}"))
        writer.write_eof()
        await begun(running, 1)
        await asyncio.sleep(0.01)
        publisher.may_finish.set()
        answer = await read_answer(reader, "POST")
        assert answer is not None
        assert answer.status == 200
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("way", [True, False])
async def test_an_idle_connection_is_closed_after_its_time(way: bool) -> None:
    async with collector(plain(timeouts={"idle_seconds": 0.1}), short=way) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(head("GET", "/i", []))
        assert await read_answer(reader) is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("way", [True, False])
async def test_a_client_is_told_when_it_waits_too_long(way: bool) -> None:
    publisher = MemoryPublisher()
    publisher.may_finish.clear()
    async with collector(plain(timeouts={"response_seconds": 0.05}), publisher, short=way) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(b"{}"))
        answer = await read_answer(reader, "POST")
        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await reader.read() == b""
        publisher.may_finish.set()
        writer.close()


async def test_answers_that_nobody_fetches_do_not_pile_up() -> None:
    async with collector(plain()) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        one = head("GET", "/i?" + "x" * 100, [])
        before = -1
        while before != running.metrics.in_flight + sum(running.metrics.requests.values()):
            before = running.metrics.in_flight + sum(running.metrics.requests.values())
            for _ in range(20):
                writer.write(one * 100)
                await asyncio.sleep(0.01)
        (connection,) = running.server.connections
        assert connection.writing_paused
        writer.transport.abort()


async def test_what_looks_at_requests_as_a_whole_sees_all_of_them() -> None:
    for rules, short in (
        ({}, True),
        ({"performance": {"enable_access_log": True}}, False),
        ({"security": {"trusted_hosts": ["x"]}}, False),
    ):
        settings = Settings.model_validate({"collector": {"port": 0}, **rules})
        async with collector(settings) as running:
            assert (running.server.shortcut is not None) == short
