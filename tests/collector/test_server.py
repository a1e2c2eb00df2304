"""The server over a socket: limits, slow clients, refusals, shutdown, and what every answer carries."""

import asyncio
import gc
import json

import pytest
from aiohttp.test_utils import make_mocked_request

from collector.pages import Pages
from collector.settings import Settings
from collector.state import State
from tests.collector.raw_http import exchange, post, read_answer
from tests.collector.running import collector, get, plain


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


async def test_a_client_of_http_1_0_is_not_told_to_go_on() -> None:
    async with collector(plain()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /a/b HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"{}")
        answer = await read_answer(reader)
        writer.close()
        assert answer
        assert answer.status == 200


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


async def test_an_address_that_the_parser_trips_over_ends_its_connection_only() -> None:
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    async with collector(plain()) as running:
        for before in (b"", post(b"x")):  # as the first request of a connection, and as a later one
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            if before:
                writer.write(before)
                assert await read_answer(reader)
            writer.write(b"GET http://[]@ HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
        assert running.metrics.cut_off == 2
    assert not unhandled


async def test_a_long_get_of_a_tracker_fits() -> None:
    async with collector(plain()) as running:
        answer = await exchange(running.port, b"GET /i?e=pv&x=" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer
        assert answer.status == 200
        assert len(running.publisher.payloads()[0].querystring or "") == 60_007


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
    state = State(lambda: None, lambda: True, starting=True)
    assert state.unready == "starting"
    state.starting = False
    assert state.unready is None


@pytest.mark.parametrize(("flows", "trouble"), [(True, None), (False, None), (False, "the spool is full")])
async def test_the_summary_tells_the_broker_from_the_collector_that_spools(flows: bool, trouble: str | None) -> None:
    settings = Settings.model_validate({"ingest": {"mode": "rabbitmq"}})
    pages = Pages(settings, State(lambda: trouble, lambda: flows), lambda: 0.0)
    answer = await pages.root(make_mocked_request("GET", "/"))
    assert isinstance(answer.body, bytes)
    summary = json.loads(answer.body)
    assert (answer.status, summary["healthy"]) == ((502, False) if trouble else (200, True))
    assert summary["status"] == {"rabbitmq": flows}
