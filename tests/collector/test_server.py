"""The server over a socket: limits, slow clients, refusals, shutdown, and what every answer carries."""

import asyncio
import gc
import gzip
import json
import shutil
import ssl
import subprocess
import time
import zlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from collector import bodies
from collector.listener import tls
from collector.settings import Settings, SslSettings
from collector.state import State
from shared.process import Misconfigured
from tests.collector.raw_http import exchange, post, read_answer
from tests.collector.running import Running, collector, plain


async def get(running: Running, path: str | URL, **options: object) -> tuple[int, dict[str, str], bytes]:
    """A path that is a URL is sent as it is."""
    address = URL(f"{running.url}{path}", encoded=True) if isinstance(path, URL) else running.url + path
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, allow_redirects=False, **options) as response,  # type: ignore[arg-type]
    ):
        return response.status, dict(response.headers), await response.read()


async def test_a_lost_stream_is_a_503_with_a_time_to_come_back_and_no_cookie() -> None:
    async with collector(plain()) as running:
        running.publisher.ready = False
        answer = await exchange(running.port, post(b"x", "Origin: https://shop.example.com"))
        assert answer
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert "set-cookie" not in answer.headers
        assert (await get(running, "/health"))[0] == 200
        for path in ("/ready", "/sink-health"):
            assert (await get(running, path))[0] == 503
        status, _, body = await get(running, "/")
        assert (status, json.loads(body)["healthy"]) == (502, False)


async def test_a_clients_slow_head_is_cut_off_and_others_are_served() -> None:
    async with collector(plain(timeouts={"headers_seconds": 0.2})) as running:
        slow, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /a/b HTTP/1.1\r\nHost: x\r\n")
        served = await exchange(running.port, post(b"x"))
        assert served
        assert served.status == 200
        async with asyncio.timeout(10):
            assert await slow.read() == b""
        writer.close()
        assert running.metrics.cut_off == 1


async def test_a_clients_slow_second_head_is_cut_off_too() -> None:
    async with collector(plain(timeouts={"headers_seconds": 0.2})) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(b"x"))
        assert await read_answer(reader)
        await asyncio.sleep(0.4)  # idle is no offence
        writer.write(post(b"x"))
        assert await read_answer(reader)
        writer.write(b"GET /i HT")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_slow_body_is_a_408() -> None:
    async with collector(plain(timeouts={"body_seconds": 0.2})) as running:
        answer = await exchange(running.port, b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert answer
        assert answer.status == 408


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with collector(plain()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /a/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        first = await read_answer(reader)
        assert first
        assert first.status == 100
        writer.write(b"{}")
        second = await read_answer(reader)
        assert second
        assert second.status == 200
        assert running.publisher.payloads()[0].body == "{}"
        writer.close()


async def test_more_connections_than_allowed_are_closed_at_once() -> None:
    settings = Settings.model_validate({"collector": {"port": 0}, "performance": {"max_concurrent_connections": 1}})
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    async with collector(settings) as running:
        first, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(b"x"))
        assert await read_answer(first)
        assert await exchange(running.port, post(b"x")) is None
        writer.write(post(b"y"))
        assert await read_answer(first)
        writer.close()
        assert running.metrics.cut_off == 1
    gc.collect()  # what a task died of is told when that goes
    assert not unhandled


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /i?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /i HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /i HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["target", "header", "headers", "nonsense"],
)
async def test_what_is_above_the_limits_is_a_400_that_tells_no_version(request_bytes: bytes) -> None:
    async with collector(plain()) as running:
        answer = await exchange(running.port, request_bytes)
        assert answer
        assert answer.status == 400
        assert answer.headers["server"] == "evnt"
        assert "aiohttp" not in answer.body.decode()


async def test_a_long_get_of_a_tracker_fits() -> None:
    async with collector(plain()) as running:
        answer = await exchange(running.port, b"GET /i?e=pv&x=" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer
        assert answer.status == 200
        assert len(running.publisher.payloads()[0].querystring or "") == 60_007


async def test_oversized_bodies_are_answered_200_and_told_of() -> None:
    async with collector(plain(limits={"max_payload_bytes": 5_000, "max_record_bytes": 5_000})) as running:
        answer = await exchange(running.port, post(b"x" * 300_000))
        assert answer
        assert answer.status == 200
        (row,) = running.publisher.messages("bad")
        failure = json.loads(row.body)["data"]["failure"]
        assert failure["actualSizeBytes"] > 300_000
        assert failure["maximumAllowedSizeBytes"] == 5_000
        assert not running.publisher.payloads()


async def test_what_is_a_record_as_it_is_is_recorded_whatever_the_bound_of_what_is_split() -> None:
    async with collector(plain(limits={"max_payload_bytes": 2_000, "max_record_bytes": 10_000})) as running:
        for size, kept in ((3_000, 1), (300_000, 1)):
            answer = await exchange(running.port, post(b"x" * size))
            assert answer
            assert (answer.status, len(running.publisher.payloads())) == (200, kept)
        (row,) = running.publisher.messages("bad")
        assert json.loads(row.body)["data"]["failure"]["maximumAllowedSizeBytes"] == 2_000


async def test_bodies_above_the_limit_for_dropping_are_413() -> None:
    async with collector(plain(limits={"drop_payload_bytes": 1_002})) as running:
        for size, status in ((1_002, 200), (1_003, 413)):
            answer = await exchange(running.port, post(b"x" * size))
            assert answer
            assert answer.status == status


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("GZIP", lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:])),
    ],
    ids=["gzip", "zlib", "raw deflate", "two members"],
)
async def test_compressed_bodies_are_inflated(encoding: str, compress: object) -> None:
    assert callable(compress)
    body = b'{"schema":"x","data":[]}' * 100
    async with collector(plain()) as running:
        answer = await exchange(running.port, post(compress(body), f"Content-Encoding: {encoding}"))
        assert answer
        assert answer.status == 200
        assert running.publisher.payloads()[0].body == body.decode()


async def test_a_bomb_stops_at_the_limit() -> None:
    async with collector(plain(limits={"max_payload_bytes": 100_000})) as running:
        bomb = gzip.compress(b"\0" * 50_000_000)
        answer = await exchange(running.port, post(bomb, "Content-Encoding: gzip"))
        assert answer
        assert answer.status == 200
        assert "size_violation" in json.loads(running.publisher.messages("bad")[0].body)["schema"]


def test_a_body_of_many_tiny_streams_is_inflated_as_quickly_as_one() -> None:
    begin = time.perf_counter()
    inflated = bodies.inflated(bodies.Body(gzip.compress(b"ab") * 100_000), b"gzip", 1_000_000)
    assert (inflated.data, inflated.damage) == (b"ab" * 100_000, None)
    assert time.perf_counter() - begin < 3


async def test_what_can_not_be_inflated_is_kept_in_a_bad_row() -> None:
    async with collector(plain()) as running:
        answer = await exchange(running.port, post(gzip.compress(b"x" * 100)[:-4], "Content-Encoding: gzip"))
        assert answer
        assert answer.status == 200
        row = json.loads(running.publisher.messages("bad")[0].body)
        assert "generic_error" in row["schema"]
        assert "inflated" in row["data"]["failure"]["errors"][0]


async def test_every_answer_carries_the_security_headers() -> None:
    settings = Settings.model_validate(
        {"collector": {"port": 0, "hsts": {"enable": True}, "extra_headers": {"Timing-Allow-Origin": "*"}}}
    )
    async with collector(settings) as running:
        for path in ("/i", "/health", "/nothing", "/static/nothing", "/", "/robots.txt"):
            _, headers, _ = await get(running, path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
            assert headers["Timing-Allow-Origin"] == "*"
            assert headers["Server"] == "evnt"


async def test_an_id_that_came_with_a_request_goes_with_its_answer() -> None:
    async with collector(plain()) as running:
        for path in ("/i", "/health"):
            _, headers, _ = await get(running, path, headers={"X-Request-ID": "abc-1"})
            assert headers["X-Request-ID"] == "abc-1"
            _, headers, _ = await get(running, path, headers={"X-Request-ID": "no <good> id"})
            assert "X-Request-ID" not in headers


async def test_foreign_hosts_and_plain_http_are_turned_away() -> None:
    settings = Settings.model_validate(
        {
            "collector": {"port": 0},
            "security": {"trusted_hosts": ["*.example.com"], "enable_https_redirect": True},
        }
    )
    async with collector(settings) as running:
        wrong = await exchange(running.port, b"GET /i HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        assert wrong
        assert wrong.status == 400
        head = b"GET /i?a=b HTTP/1.1\r\nHost: c.example.com:80\r\nX-Forwarded-Proto: "
        told = await exchange(running.port, head + b"http\r\n\r\n")
        assert told
        assert (told.status, told.headers["location"]) == (301, "https://c.example.com/i?a=b")
        posted = await exchange(running.port, post(b"x"))
        assert posted
        assert posted.status == 308
        for said, status in ((b"https", 200), (b"https, http", 200), (b"wss", 200), (b"http, https", 301)):
            answer = await exchange(running.port, head + said + b"\r\n\r\n")
            assert answer
            assert answer.status == status
        assert len(running.publisher.payloads()) == 3


async def test_methods_that_somebody_makes_up_are_counted_as_one() -> None:
    async with collector(plain()) as running:
        for method in ("BREW", "PROPFIND", "WHATEVER"):
            answer = await exchange(running.port, f"{method} /i HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert answer
            assert answer.status in (400, 404)
        assert {method for method, _ in running.metrics.requests} == {"other"}


async def test_only_listed_origins_may_read_answers() -> None:
    settings = Settings.model_validate(
        {"collector": {"port": 0}, "security": {"cors_allowed_origins": ["https://Shop.example.com/"]}}
    )
    async with collector(settings) as running:
        for method, path in (("GET", "/i"), ("OPTIONS", "/com.acme/v1")):
            for origin, allowed in (("https://shop.example.com", True), ("https://evil.test", False)):
                data = f"{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n"
                answer = await exchange(running.port, data.encode() + b"Access-Control-Request-Method: POST\r\n\r\n")
                assert answer
                assert answer.status == 200
                assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
                assert "Origin" in answer.headers["vary"]


async def test_what_is_nobodys_is_one_404_that_no_page_may_read() -> None:
    async with collector(plain()) as running:
        for method, path in (("GET", "/something"), ("POST", "/i"), ("CONNECT", "x:80"), ("PUT", "/i")):
            data = f"{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example.com\r\n\r\n".encode()
            answer = await exchange(running.port, data)
            assert answer
            assert (answer.status, answer.body) == (404, b"404 not found")
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        anything = await exchange(running.port, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        assert anything
        assert (anything.status, anything.headers["access-control-max-age"]) == (200, "3600")


async def test_the_root_says_what_is_set_as_text() -> None:
    root = {"enabled": True, "status_code": 200, "body": "hello"}
    for headers, kind in (({}, "text/plain; charset=UTF-8"), ({"content-type": "text/html"}, "text/html")):
        async with collector(plain(root_response={**root, "headers": headers})) as running:
            status, said, body = await get(running, "/")
            assert (status, said["Content-Type"], body) == (200, kind, b"hello")


async def test_a_browsers_preflight_is_answered_as_collectors_do() -> None:
    async with collector(plain(cors={"extra_allowed_headers": ["X-Shop"]})) as running:
        for asked in ("content-type", "x-shop, sp-anonymous", "x-unknown"):
            head = "OPTIONS /com.acme/v1 HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example.com\r\n"
            head += f"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {asked}\r\n\r\n"
            answer = await exchange(running.port, head.encode())
            assert answer
            assert (answer.status, answer.body) == (200, b"")
            assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
            assert answer.headers["access-control-allow-headers"] == "Content-Type, SP-Anonymous, X-Shop"
            assert "access-control-allow-methods" not in answer.headers
        assert not running.publisher.published


async def test_old_and_closing_clients_get_the_same_answers() -> None:
    async with collector(plain()) as running:
        old = await exchange(running.port, b"GET /i?e=pv HTTP/1.0\r\n\r\n")
        closing = await exchange(running.port, b"GET /i?e=pv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = await exchange(running.port, b"HEAD /i HTTP/1.1\r\nHost: x\r\n\r\n", method="HEAD")
        assert old
        assert closing
        assert head
        assert old.status == closing.status == head.status == 200
        assert old.body == closing.body
        assert set(old.headers) - {"connection"} == set(head.headers)


async def test_docs_and_static_files_by_setting(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "sp.js").write_text("plain")
    (tmp_path / "static" / "sp.js.gz").write_bytes(gzip.compress(b"plain"))
    (tmp_path / "secret").write_text("secret")
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "collector": {"port": 0}, "security": {"disable_docs": False}}
    )
    async with collector(settings) as running:
        status, headers, body = await get(running, "/static/sp.js")
        assert (status, body, headers["Content-Encoding"]) == (200, b"plain", "gzip")
        assert headers["Vary"] == "Accept-Encoding, Origin"
        answer = await exchange(running.port, b"GET /static/../secret HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer
        assert answer.status == 404
        assert "/com.snowplowanalytics.snowplow/tp2" in json.loads((await get(running, "/openapi.json"))[2])["paths"]
        assert b"openapi.json" in (await get(running, "/docs"))[2]
    bridged = Settings.model_validate(
        {
            "collector": {"port": 0, "bridges": {"analytics_js": True, "amplitude": True}},
            "security": {"disable_docs": False},
        }
    )
    async with collector(bridged) as running:
        paths = json.loads((await get(running, "/openapi.json"))[2])["paths"]
        assert {"/com.segment/v1/{call}", "/com.amplitude/2/httpapi", "/com.amplitude/2/batch"} <= paths.keys()
    async with collector(plain()) as running:
        assert (await get(running, "/docs"))[0] == (await get(running, "/openapi.json"))[0] == 404


@pytest.mark.parametrize("name", ["none.js", "", "folder", "folder/", "a" * 300, "%00", "sp.js/x", "outside.js"])
async def test_what_is_no_file_is_the_404_of_everything_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "static"
    (folder / "folder").mkdir(parents=True)
    (folder / "sp.js").write_text("plain")
    (tmp_path / "secret").write_text("secret")
    (folder / "outside.js").symlink_to(tmp_path / "secret")
    async with collector(plain(static_dir=folder)) as running:
        status, _, body = await get(running, URL(f"/static/{name}", encoded=True))
        assert (status, body) == (404, b"404 not found")
        assert running.metrics.requests == {("GET", 404): 1}


async def test_files_are_counted_as_they_were_answered_and_read_by_every_page(tmp_path: Path) -> None:
    (tmp_path / "sp.js").write_text("plain")
    async with collector(plain(static_dir=tmp_path)) as running:
        status, headers, body = await get(running, "/static/sp.js", headers={"Origin": "https://shop.example.com"})
        assert (status, body, headers["Vary"]) == (200, b"plain", "Accept-Encoding, Origin")
        assert headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
        known = {"If-None-Match": headers["Etag"]}
        assert (await get(running, "/static/sp.js", headers=known))[0] == 304
        assert (await get(running, "/static/sp.js", headers={"Range": "bytes=1-2"}))[2] == b"la"
        assert (await get(running, "/static/sp.js", headers={"Range": "bytes=9-"}))[0] == 416
        assert running.metrics.requests == {("GET", status): 1 for status in (200, 206, 304, 416)}


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0, deflate;q=0.0, br; q=0", None),
        ("deflate", None),
        ("", None),
        ("br, gzip", "br" if find_spec("brotli") else "gzip"),
    ],
)
async def test_larger_texts_are_compressed_as_the_client_wishes(accepts: str, coding: str | None) -> None:
    settings = Settings.model_validate({"collector": {"port": 0}, "security": {"disable_docs": False}})
    async with collector(settings) as running:
        data = f"GET /docs HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accepts}\r\n\r\n".encode()
        answer = await exchange(running.port, data)
        assert answer
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["vary"] == "Accept-Encoding, Origin"
        assert _inflated(answer.body, coding).startswith(b"<!doctype html>")


def _inflated(data: bytes, coding: str | None) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    return bytes(import_module("brotli").decompress(data)) if coding == "br" else data


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"collector.ssl: the certificate .*absent.pem with the key .*key.pem"):
        tls(SslSettings(enable=True, certificate_file=tmp_path / "absent.pem", key_file=tmp_path / "key.pem"))


def test_a_key_with_a_password_is_not_asked_for_at_the_terminal(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "rsa", "-aes128", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    files = {"enable": True, "certificate_file": certificate, "key_file": locked}
    with pytest.raises(Misconfigured, match=r"locked.pem has a password: set collector.ssl.key_password"):
        tls(SslSettings.model_validate(files))
    with pytest.raises(Misconfigured, match="can't be used"):
        tls(SslSettings.model_validate(files | {"key_password": "wrong"}))
    assert tls(SslSettings.model_validate(files | {"key_password": "secret"}))


async def test_https_with_certificate_files(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    https = {"enable": True, "port": 0, "certificate_file": certificate, "key_file": key}
    async with collector(plain(ssl=https)) as running:
        context = ssl.create_default_context(cafile=str(certificate))
        port = running.ports[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://localhost:{port}/i?e=pv", ssl=context) as response,
        ):
            assert response.status == 200
        assert len(running.publisher.payloads()) == 1


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_requests_in_flight_are_answered_at_the_end() -> None:
    running_collector = collector(plain(shutdown={"deadline_seconds": 5}))
    running = await running_collector.__aenter__()
    running.publisher.may_finish.clear()
    asking = asyncio.create_task(exchange(running.port, post(b"x")))
    await asyncio.sleep(0.1)
    asyncio.get_running_loop().call_later(0.2, running.publisher.may_finish.set)
    await running_collector.__aexit__(None, None, None)
    answer = await asking
    assert answer
    assert answer.status == 200
    assert len(running.publisher.payloads()) == 1


def test_no_requests_are_sent_to_a_collector_that_does_not_listen_yet() -> None:
    state = State(lambda: None, starting=True)
    assert state.unready == "starting"
    state.starting = False
    assert state.unready is None
