"""api_request against a real HTTP server: one flight a question, bounds of rate and time, errors as answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from enricher.enrichments import api_request, currency_conversion
from enricher.enrichments.contract import Answer, Resources
from enricher.enrichments.parts.questions import HttpQuestion, Limits, Remembering
from enricher.lookups.http import LARGEST
from enricher.lookups.lookups import Lookups
from tests.enricher.enrichments.drafts import documents, draft

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """Counts its requests, and the most that it had at once."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.at_once = self.most = 0
        self.pause_s = 0.0
        self.answer: Callable[[web.Request], web.Response] = lambda _: web.json_response({"ok": True})

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.pause_s)
        self.at_once -= 1
        return self.answer(request)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def url(service: Service) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def question(url: str, **options: Any) -> HttpQuestion:
    return HttpQuestion(**{"key": url, "url": url, "remember": Remembering("test", 100, 60), **options})


async def test_the_whole_way(lookups: Lookups, service: Service, url: str) -> None:
    service.answer = lambda request: web.json_response({"record": {"path": request.path_qs}})
    basic = {"httpBasic": {"username": "x"}}
    parameters = {
        "inputs": [{"key": "user", "pojo": {"field": "user_id"}}],
        "api": {"http": {"method": "POST", "uri": url + "u/{{user}}", "authentication": basic}},
        "outputs": [{"schema": "iglu:com.acme/u/jsonschema/1-0-0", "json": {"jsonPath": "$.record"}}],
        "cache": {"size": 10, "ttl": 60},
    }
    state = api_request.prepare(api_request.Config.model_validate(parameters), Resources(Path(), Path()))
    before = draft({"user_id": "a b"})
    query = api_request.ask(before, state)
    assert query is not None
    patch = api_request.enrich(before, state, await lookups.ask(query.question))
    assert patch is not None
    assert documents(patch.contexts)[0]["data"] == {"path": "/u/a+b"}
    (request,) = service.requests
    assert (request.method, json.loads(service.bodies[0])) == ("POST", {"user": "a b"})
    assert request.headers["Authorization"] == "Basic eDo="
    assert request.headers["Content-Type"] == "application/json"


async def test_the_same_question_flies_once_and_is_remembered(lookups: Lookups, service: Service, url: str) -> None:
    service.pause_s = 0.02
    answers = await asyncio.gather(*(lookups.ask(question(url)) for _ in range(20)))
    assert answers == [Answer({"ok": True})] * 20
    assert len(service.requests) == 1
    assert lookups.cached(question(url)) == Answer({"ok": True})
    await lookups.ask(question(url))
    assert len(service.requests) == 1


async def test_not_more_than_so_many_at_once(lookups: Lookups, service: Service, url: str) -> None:
    service.pause_s = 0.01
    limits = Limits(at_once=3)
    await asyncio.gather(*(lookups.ask(question(f"{url}{n}", limits=limits)) for n in range(12)))
    assert (len(service.requests), service.most) == (12, 3)


async def test_not_more_than_so_many_a_second(lookups: Lookups, service: Service, url: str) -> None:
    """Eleven requests at fifty a second take a fifth of a second at least."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    limits = Limits(per_second=50, at_once=50)
    await asyncio.gather(*(lookups.ask(question(f"{url}{n}", limits=limits)) for n in range(11)))
    assert len(service.requests) == 11
    assert loop.time() - started >= 0.2


async def test_waiting_for_a_turn_counts(lookups: Lookups, service: Service, url: str) -> None:
    service.pause_s = 0.3
    options = {"limits": Limits(at_once=1), "timeout_ms": 100}
    answers = await asyncio.gather(*(lookups.ask(question(f"{url}{n}", **options)) for n in range(3)))
    assert all(answer.error and "within 100 ms" in answer.error for answer in answers)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (web.json_response({"message": "no"}, status=404), Answer({"message": "no"}, "Request failed with status 404")),
        (web.Response(text="no", status=500), Answer(error="Request failed with status 500")),
        (web.Response(text="no json"), Answer(error="the answer is not JSON")),
        (web.Response(text="[" * 200_000), Answer(error="the answer is not JSON")),
        (web.Response(text='{"a": NaN}'), Answer(error="the answer is not JSON")),
        (web.Response(body=b"1" * (LARGEST + 1)), Answer(error=f"the answer is larger than {LARGEST} bytes")),
    ],
)
async def test_what_goes_wrong_is_an_answer(
    lookups: Lookups, service: Service, url: str, response: web.Response, expected: Answer
) -> None:
    service.answer = lambda _: response
    assert await lookups.ask(question(url)) == expected


async def test_nobody_there_is_an_answer(lookups: Lookups) -> None:
    answer = await lookups.ask(question("http://127.0.0.1:1/"))
    assert answer.error is not None
    assert "Connect" in answer.error


async def test_no_address_is_an_answer(lookups: Lookups) -> None:
    answer = await lookups.ask(question("nonsense"))
    assert answer.error is not None
    assert answer.error.startswith("uri [nonsense] is not valid: ")


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (302, {"Location": "/k3y?app_id=k3y"}, "TooManyRedirects: "),
        (302, {"Location": "http://[::1/?app_id=k3y"}, "Server attempted redirecting"),
        (302, {"Location": "ftp://files.example/?app_id=k3y"}, "NonHttpUrlRedirectClientError: ftp://files.example"),
        (200, {}, "no answer from http://127.0.0.1"),
    ],
)
async def test_no_answer_tells_the_key_in_the_address(
    lookups: Lookups, service: Service, url: str, status: int, headers: dict[str, str], said: str
) -> None:
    """Answers end in bad rows."""
    service.pause_s = 0 if headers else 1
    service.answer = lambda _: web.Response(status=status, headers=headers)
    answer = await lookups.ask(question(f"{url}k3y/?app_id=k3y", timeout_ms=300))
    assert answer.error is not None
    assert said in answer.error
    assert "k3y" not in answer.error


@pytest.mark.parametrize(
    "address", ["nowhere?app_id=k3y", "http://u:k3y@[bad/", "ftp://h/?app_id=k3y", "http:///k3y", "http://[]@/k3y"]
)
async def test_no_address_tells_its_key(lookups: Lookups, address: str) -> None:
    answer = await lookups.ask(question(address))
    assert answer.error is not None
    assert "k3y" not in answer.error


async def test_an_old_good_answer_beats_a_new_error(service: Service, url: str) -> None:
    now = [0.0]
    lookups = Lookups(lambda: now[0])
    remember = Remembering("test", 10, 10)
    assert await lookups.ask(question(url, remember=remember)) == Answer({"ok": True})
    service.answer = lambda _: web.Response(status=500)
    now[0] = 11
    assert await lookups.ask(question(url, remember=remember)) == Answer({"ok": True})
    assert len(service.requests) == 2
    await lookups.close()


async def test_a_hiccup_of_a_service_with_long_lived_answers_is_no_outage(service: Service, url: str) -> None:
    config = {"apiKey": "k", "baseCurrency": "EUR", "accountType": "DEVELOPER", "rateAt": "EOD_PRIOR"}
    state = currency_conversion.prepare(currency_conversion.Config.model_validate(config), Resources(Path(), Path()))
    sale = draft({"tr_currency": "USD", "tr_total": "1", "collector_tstamp": "2026-01-02 03:04:05.000"})
    query = currency_conversion.ask(sale, state)
    assert query is not None
    asked = query.question._replace(url=url)
    now = [0.0]
    lookups = Lookups(lambda: now[0])
    service.answer = lambda _: web.Response(status=500)
    assert (await lookups.ask(asked)).error is not None
    service.answer = lambda _: web.json_response({"rates": {}})
    for now[0], good in ((59, False), (61, True), (86_400, True)):
        assert ((await lookups.ask(asked)).error is None) == good
    assert len(service.requests) == 2
    await lookups.close()


async def test_closing_ends_what_is_in_flight(service: Service, url: str) -> None:
    service.pause_s = 0.5
    lookups = Lookups()
    asking = asyncio.create_task(lookups.ask(question(url)))
    await asyncio.sleep(0.05)
    await lookups.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
