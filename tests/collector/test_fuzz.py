"""Broken requests over a raw socket: never a 5xx, never a hang, never a lost valid neighbour."""

import asyncio
import gzip
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.settings import StreamLimits
from shared.stream import open_embedded_subscriber
from tests.collector.processes import process
from tests.ports import free_port

#: Longest wait for an answer, seconds; the server's own limits below are shorter.
PATIENCE_S = 10

LIMITS = {
    "EVNT_COLLECTOR__TIMEOUTS__HEADERS_SECONDS": "0.3",
    "EVNT_COLLECTOR__TIMEOUTS__BODY_SECONDS": "0.3",
    "EVNT_COLLECTOR__LIMITS__MAX_PAYLOAD_BYTES": "20000",
    "EVNT_COLLECTOR__LIMITS__MAX_RECORD_BYTES": "5000",
    "EVNT_COLLECTOR__ENABLE_DEFAULT_REDIRECT": "true",
    "EVNT_COLLECTOR__BRIDGES__ANALYTICS_JS": "true",
    "EVNT_COLLECTOR__BRIDGES__AMPLITUDE": "true",
    "EVNT_COLLECTOR__COOKIE_BOUNCE__ENABLED": "true",
    "EVNT_COLLECTOR__DO_NOT_TRACK_COOKIE": "{enabled: true, name: dnt, value: '1+'}",
    "EVNT_PROXY__DOMAINS": "[listed.invalid]",
}


@dataclass
class Target:
    """The collector under fire, and the marks of valid events that it answered 200."""

    port: int
    answered: set[str] = field(default_factory=set)
    sent: int = 0

    def mark(self) -> str:
        self.sent += 1
        return f"mark-{self.sent}"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    found = Target(free_port())
    with process(LIMITS, port=found.port, data_dir=folder) as running:
        yield found
        assert running.poll() is None, "the collector died"
        running.terminate()
        _, log = running.communicate(timeout=20)
        assert running.returncode == 0
        assert "request.failed" not in log
        assert "Traceback" not in log
    assert found.answered
    assert found.answered <= asyncio.run(kept(folder / "stream"))


async def kept(folder: Path) -> set[str]:
    """The marks in the stream."""
    marks: set[str] = set()
    async with open_embedded_subscriber(folder, StreamLimits(), "raw", 100_000) as subscriber:
        while deliveries := await subscriber.receive(1_000, 0):
            for delivery in deliveries:
                payloads = [one for one in decode(delivery.message.body) if isinstance(one, CollectorPayload)]
                marks |= {payload.querystring or "" for payload in payloads}
            await subscriber.ack(deliveries)
    return marks


def attack(target: Target, broken: bytes, *, together: bool = False) -> None:
    """A broken request, behind a valid one on the same connection and before one on another.

    together: both are sent at once.
    """
    before, after = target.mark(), target.mark()
    with socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_S) as connection:
        connection.sendall(valid(before) + broken * together)
        assert answer(connection) == 200
        target.answered.add(before)
        with suppress(ConnectionError):  # the server may have enough of it before all is sent
            connection.sendall(b"" if together else broken)
            connection.shutdown(socket.SHUT_WR)
        while (status := answer(connection)) is not None:
            assert status < 500
    with socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_S) as connection:
        connection.sendall(valid(after))
        assert answer(connection) == 200
        target.answered.add(after)


def answer(connection: socket.socket) -> int | None:
    """The status of the next answer; None when the server closes, or says what is no HTTP/1 any more."""
    with HTTPResponse(connection, method="GET") as response:
        try:
            response.begin()
            response.read()
        except (HTTPException, ConnectionError):
            return None
        return response.status


def valid(mark: str) -> bytes:
    head = f"POST /com.acme/v1?{mark} HTTP/1.1\r\nHost: x\r\nSP-Anonymous: *\r\nContent-Length: 2\r\n"
    return head.encode() + b"\r\n{}"


methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"get", b"", b"X" * 40])
odd = st.binary(max_size=20) | st.sampled_from([b"%", b"%zz", b"%00", b"%2F", b"..", b"\xc3\xa9", b"{|}", b"a" * 300])
paths = st.sampled_from(
    b"/i /com.acme/v1 /tracker /r/tp2 /com.segment/v1/p /com.amplitude/2/httpapi /proxy/hash /static/x / // *".split()
    + b"/proxy/route/http/YQ/YQ x:1 http://x/a/b http://[/a/b".split()
) | st.lists(odd, max_size=4).map(lambda parts: b"/" + b"/".join(parts))
queries = st.sampled_from([b"", b"?", b"?nuid=", b"?u=http://x", b"?n3pc=true", b"?a=b#c?d"]) | odd.map(
    lambda value: b"?nuid=" + value + b"&u=" + value
)
names = st.sampled_from(
    b"Host Cookie Content-Type Content-Length Transfer-Encoding Content-Encoding Expect X-Forwarded-For Origin Range "
    b"Connection SP-Anonymous X-Request-ID Upgrade Access-Control-Request-Method Access-Control-Request-Headers "
    b"Referer User-Agent If-None-Match".split()
) | st.binary(min_size=1, max_size=8)
values = st.sampled_from(
    b"gzip deflate chunked identity close keep-alive,Upgrade websocket 100-continue 0 -1 5 99999999999999999999 1,2 +3 "
    b'0x4 sp=1;dnt=111;=;a sp=" [::1 null text/html;charset=\xff application/json;charset=utf-16 http://['.split()
) | st.one_of(st.binary(max_size=30), st.just(b"a" * 9_000), st.just(b""), st.just(b"http://a b"))
bodies = st.sampled_from(
    (
        b"",
        b"{}",
        b"{",
        b"[" * 6_000,
        b"\0" * 100,
        b"5\r\nabcde\r\n0\r\n\r\n",
        b"zz\r\n",
        b"ffffffffffffffff\r\n",
        b"x" * 30_000,
        gzip.compress(b"x" * 1_000),
        gzip.compress(b"\0" * 100_000),
        gzip.compress(b"x")[:-3],
        b'{"schema":"iglu:a/b/jsonschema/1-0-0","data":[' + b'{"e":"pv"},' * 900 + b"1]}",
        b'{"api_key":"k","events":[1]}',
    )
) | st.binary(max_size=100)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"http/1.1"]))
    body = draw(bodies)
    headers = draw(st.lists(st.tuples(names, values), max_size=6))
    if draw(st.booleans()):
        headers.append((b"Content-Length", str(len(body)).encode()))
    lines = [draw(methods) + b" " + draw(paths) + draw(queries) + b" " + version]
    lines += [name + b": " + value for name, value in headers]
    return draw(st.sampled_from([b"\r\n"] * 5 + [b"\n"])).join(lines) + b"\r\n\r\n" + body


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests(), st.booleans())
def test_broken_requests(target: Target, broken: bytes, together: bool) -> None:
    attack(target, broken, together=together)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400))
def test_any_bytes(target: Target, broken: bytes) -> None:
    attack(target, broken)


CORPUS = {
    "smuggling": b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "two lengths": b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "space before colon": b"GET /i HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded header": b"GET /i HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "null in header": b"GET /i HTTP/1.1\r\nHost: x\r\nCookie: sp=\0\r\n\r\n",
    "no host": b"GET /i HTTP/1.1\r\n\r\n",
    "space in target": b"GET /i?a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "unfinished body": b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc",
    "unfinished chunk": b"POST /a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "endless chunk header": b"POST /a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000,
    "tls": bytes.fromhex("16030100a5010000a10303") + b"\0" * 160,
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "location with a break": b"GET /r/x?u=http://x/%0d%0aA:b HTTP/1.1\r\nHost: x\r\n\r\n",
    "id with a break": b"GET /i?nuid=%0d%0aA:b HTTP/1.1\r\nHost: x\r\n\r\n",
    "websocket": b"GET /a/b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x85",
    "expects": b"POST /a/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "surrogates": b"POST /a/b?\xed\xa0\x80 HTTP/1.1\r\nHost: \xed\xa0\x80\r\nContent-Length: 3\r\n\r\n\xed\xa0\x80",
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("broken", CORPUS.values(), ids=CORPUS.keys())
def test_corpus(target: Target, broken: bytes, together: bool) -> None:
    attack(target, broken, together=together)
