"""Bridged libraries over a socket: the vectors of the bridges, and what they leave open."""

import base64
import json
import re
from typing import Any

import aiohttp
import pytest

from collector.settings import Settings
from shared.payload import CollectorPayload
from tests.collector.json_answers import compare_answer
from tests.collector.raw_http import exchange, post
from tests.collector.running import collector
from tests.vectors import vectors

NUID = "dfdb716e-ecf9-4d00-8b10-44edfbc8a108"


def bridged() -> list[Any]:
    rows = vectors("adapters")
    return [row for row in rows if row.values[0] is None or row.id.startswith(("segment-", "amplitude-"))]


@pytest.mark.vectors
@pytest.mark.parametrize("vector", bridged())
async def test_vector(vector: dict[str, Any]) -> None:
    config = vector["config"]
    section = {
        "port": 0,
        "bridges": {
            "analytics_js": config.get("enableAnalyticsJsBridge", False),
            "amplitude": config.get("enableAmplitudeBridge", False),
        },
        "cross_domain": config.get("crossDomain", {}),
    }
    async with collector(Settings.model_validate({"collector": section})) as running:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                vector["method"],
                f"{running.url}/{vector['path']}",
                params=vector["query"],
                headers=headers(vector),
                data=vector["body"],
            ) as response,
        ):
            status, said, body = response.status, dict(response.headers), await response.read()
        expected = vector["response"]
        if (
            expected["status"] == 500
        ):  # what the other collector fails over is taken, or is a bad row: no failure of ours
            assert status in (200, 400)
        else:
            assert status == expected["status"]
        for name, value in expected.get("headers", {}).items():
            assert said[name] == value
        if "json" in expected:
            compare_answer(json.loads(body), expected["json"])
        if "expected_events" in vector or status != 200:
            compare_events(vector, running.publisher.payloads())
        unreadable = status == 400 and re.fullmatch(CALLS, vector["path"]) is not None
        assert len(running.publisher.messages("bad")) == unreadable


#: Paths of calls; nothing that is sent there is dropped without a bad row.
CALLS = r"com\.segment/v1/[itpsga]|com\.amplitude/2/(httpapi|batch)"


def headers(vector: dict[str, Any]) -> dict[str, str]:
    config, found = vector["config"], {"Content-Type": vector["content_type"] or "text/plain"}
    found |= dict(line.split(": ", 1) for line in vector.get("headers") or [])
    cookies = dict(vector.get("cookies") or {})
    if config.get("networkUserId") == "<nuid>":
        cookies["sp"] = NUID
    if cookies:
        found["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if "clientIp" in config:
        found["X-Forwarded-For"] = config["clientIp"]
    return found


def compare_events(vector: dict[str, Any], payloads: list[CollectorPayload]) -> None:
    expected = vector.get("expected_events") or []
    assert len(payloads) == len(expected)
    for payload, wanted in zip(payloads, expected, strict=True):
        assert payload.path == "/com.snowplowanalytics.snowplow/tp2"
        assert payload.content_type == "application/json"
        document = json.loads(payload.body or "")
        assert document["schema"] == vector["forwarded_as"]["wrapper"]
        (event,) = document["data"]
        inner = json.loads(base64.b64decode(event.pop(vector["forwarded_as"]["event_param"])))
        assert inner["data"] == {"schema": wanted["schema"], "data": wanted["data"]}
        assert event == {name: NUID if value == "<nuid>" else value for name, value in wanted["params"].items()}


async def test_all_events_of_a_call_have_one_visitor() -> None:
    section = {"port": 0, "bridges": {"amplitude": True}}
    async with collector(Settings.model_validate({"collector": section})) as running:
        body = json.dumps({"api_key": "k", "events": [{"event_type": "a"}, {"event_type": "b"}]}).encode()
        answer = await exchange(running.port, post(body, path="/com.amplitude/2/httpapi"))
        assert answer
        first, second = running.publisher.payloads()
        assert first.network_userid == second.network_userid
        assert f"sp={first.network_userid};" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("method", "path", "status", "methods"),
    [
        ("OPTIONS", "/com.segment/v1/t", 200, None),
        ("OPTIONS", "/com.segment/v1/x", 400, None),
        ("GET", "/com.segment/v1/batch", 400, None),
        ("GET", "/com.segment/v1/t", 404, None),
        ("OPTIONS", "/com.amplitude/2/batch", 200, "POST, OPTIONS"),
        ("GET", "/com.amplitude/2/batch", 404, None),
    ],
)
async def test_browsers_may_ask_before_they_call(method: str, path: str, status: int, methods: str | None) -> None:
    section = {"port": 0, "bridges": {"analytics_js": True, "amplitude": True}}
    origin = "https://shop.example.com"
    async with collector(Settings.model_validate({"collector": section})) as running:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        answer = await exchange(running.port, head.encode())
        assert answer
        assert answer.status == status
        assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
        assert answer.headers.get("access-control-allow-methods") == methods
        # Amplitude's own rules: no cookies of other sites
        allowed = "true" if status == 200 and methods is None else None
        assert answer.headers.get("access-control-allow-credentials") == allowed


async def test_what_is_nested_deep_in_a_call_is_no_bug() -> None:
    section = {"port": 0, "bridges": {"analytics_js": True, "amplitude": True}}
    async with collector(Settings.model_validate({"collector": section})) as running:
        cookie = "ajs_user_id=" + "[" * 3_000
        sent = post(b"{}", f"Cookie: {cookie}", path="/com.segment/v1/t")
        answer = await exchange(running.port, sent)
        assert answer
        assert answer.status == 200
        for depth in range(850, 1_010):
            value = "[" * depth + "]" * depth
            call = f'{{"api_key":"k","events":[{{"ip":"$remote","time":{value},"a":{value}}}]}}'.encode()
            answer = await exchange(running.port, post(call, path="/com.amplitude/2/httpapi"))
            assert answer
            assert answer.status in (200, 400)


async def test_events_of_a_call_do_not_repeat_more_than_a_body_may_have() -> None:
    section = {"port": 0, "bridges": {"amplitude": True}}
    async with collector(Settings.model_validate({"collector": section})) as running:
        call = ('{"api_key":"k","events":[' + ",".join(["{}"] * 1_000) + "]}").encode()
        for size, status, recorded in ((10, 200, 1_000), (20_000, 413, 1_000)):
            sent = post(call, "X-Large: " + "x" * size, path="/com.amplitude/2/httpapi")
            answer = await exchange(running.port, sent)
            assert answer
            assert answer.status == status
            assert len(running.publisher.payloads()) == recorded


@pytest.mark.parametrize("path", ["/com.segment/v1/t", "/com.amplitude/2/batch"])
@pytest.mark.parametrize("body", [b"no JSON", b'{"api_key":"k","events":[{"event_type":"a"}]}'])
async def test_a_call_that_nothing_can_be_kept_of_is_told_when_to_come_back(path: str, body: bytes) -> None:
    section = {"port": 0, "bridges": {"analytics_js": True, "amplitude": True}}
    async with collector(Settings.model_validate({"collector": section})) as running:
        running.publisher.away = True
        answer = await exchange(running.port, post(body, path=path))
        assert answer
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert "set-cookie" not in answer.headers
        assert running.metrics.refused == 1
