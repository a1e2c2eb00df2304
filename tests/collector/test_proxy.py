"""The proxy for scripts: what it fetches, and all that it must not."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from collector.proxied import NotProxied, Targets, is_public
from collector.sections import ProxySettings
from collector.settings import Settings
from tests.collector.running import Running, collector
from tests.growth import grows_with_size


@dataclass
class Upstream:
    """A host that is listed, on this machine."""

    port: int = 0
    seen: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.path_qs} {request.headers.get('Cookie')}")
        match request.path:
            case "/redirect":
                raise web.HTTPFound("http://169.254.169.254/latest")
            case "/large":
                return web.Response(body=b"x" * 2_000)
            case "/slow":
                await asyncio.sleep(5)
        return web.Response(text="script", content_type="application/javascript", headers={"Set-Cookie": "a=b"})


@asynccontextmanager
async def proxied(
    *, local: bool = True, host: str = "localhost", **settings: object
) -> AsyncIterator[tuple[Running, Upstream]]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", upstream.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.port = runner.addresses[0][1]
    rules = {"domains": [host], "ports": [upstream.port], "max_bytes": 1_000, "timeout_seconds": 0.5, **settings}
    merged = Settings.model_validate({"collector": {"port": 0}, "proxy": rules})
    try:
        async with collector(merged, may_connect=(lambda _address: True) if local else is_public) as running:
            yield running, upstream
    finally:
        await runner.cleanup()


def route(host: str, path: str, scheme: str = "http") -> str:
    encoded = (urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (host, path))
    return f"/proxy/route/{scheme}/{'/'.join(encoded)}"


async def fetch(running: Running, path: str) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession(headers={"Cookie": "secret=1"}) as session,
        session.get(running.url + path, allow_redirects=False) as response,
    ):
        return response.status, dict(response.headers), await response.read()


async def test_a_listed_script_is_passed_on_without_cookies() -> None:
    async with proxied() as (running, upstream):
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{running.url}/proxy/hash", json={"url": f"http://localhost:{upstream.port}/a.js?v=1"}
            ) as hashed,
        ):
            address = await hashed.json()
        assert address == running.url + route(f"localhost:{upstream.port}", "a.js?v=1")
        status, headers, body = await fetch(running, address.removeprefix(running.url))
        assert (status, body) == (200, b"script")
        assert headers["Content-Type"].startswith("application/javascript")
        assert "Set-Cookie" not in headers
        assert upstream.seen == ["/a.js?v=1 None"]


@pytest.mark.parametrize(
    ("said", "scheme"), [("https, http", "https"), ("HTTPS", "https"), ("ftp", "http"), ("", "http")]
)
async def test_the_address_has_the_scheme_by_which_the_client_came(said: str, scheme: str) -> None:
    async with proxied() as (running, upstream), aiohttp.ClientSession() as session:
        document = {"url": f"http://localhost:{upstream.port}/a.js"}
        async with session.post(
            f"{running.url}/proxy/hash", json=document, headers={"X-Forwarded-Proto": said}
        ) as hashed:
            assert (await hashed.json()).startswith(f"{scheme}://127.0.0.1")


async def test_redirects_are_not_followed_and_large_or_slow_answers_not_waited_for() -> None:
    async with proxied() as (running, upstream):
        host = f"localhost:{upstream.port}"
        assert (await fetch(running, route(host, "redirect")))[0] == 302
        assert (await fetch(running, route(host, "large")))[0] == 502
        assert (await fetch(running, route(host, "slow")))[0] == 504
        assert len(upstream.seen) == 3


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_private_addresses_are_refused_though_their_host_is_listed(host: str) -> None:
    async with proxied(local=False, host=host) as (running, upstream):
        assert (await fetch(running, route(f"{host}:{upstream.port}", "a.js")))[0] == 403
        assert not upstream.seen


async def test_without_listed_hosts_there_is_no_proxy() -> None:
    async with collector(Settings.model_validate({"collector": {"port": 0}})) as running:
        assert (await fetch(running, route("example.com", "a.js")))[0] == 404


TARGETS = Targets(ProxySettings(domains=("example.com",), paths=("analytics.js", "gtag/js")))


@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("https://example.com/analytics.js", True),
        ("https://EXAMPLE.com/a/analytics.js?v=1", True),
        ("https://example.com/gtag/js?id=1", True),
        ("https://example.com:443/analytics.js", True),
        ("https://example.com:8443/analytics.js", False),
        ("https://example.com/other.js", False),
        ("https://www.example.com/analytics.js", False),
        ("https://example.com.evil.test/analytics.js", False),
        ("https://example.com@evil.test/analytics.js", False),
        ("https://evil.test/analytics.js", False),
        ("ftp://example.com/analytics.js", False),
        ("https://example.com\\@evil.test/analytics.js", False),
        ("https://example.com:x/analytics.js", False),
        ("analytics.js", False),
        ("", False),
    ],
)
def test_what_is_proxied(url: str, proxied: bool) -> None:
    found = TARGETS.route(url)
    assert (found is not None) is proxied
    if found is not None:
        assert TARGETS.target(*found.split("/")).lower() == url.lower()


@pytest.mark.parametrize(
    ("scheme", "host", "path", "status"),
    [
        ("ftp", "ZXhhbXBsZS5jb20", "YQ", 400),
        ("http", "%%%", "YQ", 400),
        ("http", "w6k", "YQ", 400),
        ("http", "YWxsb3dlZC5jb206ODBAMTY5LjI1NC4xNjkuMjU0", "bGF0ZXN0L21ldGEtZGF0YQ==", 403),
        ("http", "MTY5LjI1NC4xNjkuMjU0", "bGF0ZXN0", 403),
    ],
)
def test_what_a_route_may_not_lead_to(scheme: str, host: str, path: str, status: int) -> None:
    with pytest.raises(NotProxied) as raised:
        TARGETS.target(scheme, host, path)
    assert raised.value.status == status


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "nonsense",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("body", [b'{"url":' + b"[" * 100_000, b"\xff", b'{"url":"http://\\ud800"}', b"null"])
async def test_what_can_not_be_read_is_no_url(body: bytes) -> None:
    async with proxied() as (running, _), aiohttp.ClientSession() as session:
        for kind in ("application/json", "text/plain; charset=none", "text/plain; charset=punycode"):
            sent = session.post(f"{running.url}/proxy/hash", data=body, headers={"Content-Type": kind})
            async with sent as answer:
                assert answer.status == (200 if b"ud800" in body else 422)


def test_a_host_beyond_ascii_is_refused_as_it_is() -> None:
    """Python would normalise it, and older ones put its combining characters in order one by one."""
    beyond = Targets(ProxySettings(domains=("b\u00fccher.example",), paths=("analytics.js",)))
    assert beyond.route("http://b\u00fccher.example/analytics.js") is None
    assert grows_with_size(TARGETS.route, lambda size: "http://" + "\u0301" * size + "\u0323" * size, 2_000)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nETag: a\x01b\r\nExpires: 0", 200),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a\x01/\r\nExpires: 0", 302),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket", 502),
        (b"HTTP/1.1 000 Nothing", 502),
        (b"HTTP/1.1 600 More", 502),
    ],
)
async def test_what_is_no_answer_of_http_is_not_passed_on(head: bytes, status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        async with proxied(ports=[port]) as (running, _):
            found, headers, _ = await fetch(running, route(f"localhost:{port}", "a.js"))
    assert (found, headers.get("Expires")) == (status, "0" if status < 500 else None)
    assert not {"ETag", "Location"} & set(headers)
