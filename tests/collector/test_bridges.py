"""Bridged libraries over a socket: the vectors of the bridges, and what they leave open."""

import base64
import json
from typing import Any

import aiohttp
import pytest

from collector.settings import Settings
from shared.payload import CollectorPayload
from tests.collector.raw_http import exchange, post
from tests.collector.running import collector
from tests.vectors import vectors

NUID = "dfdb716e-ecf9-4d00-8b10-44edfbc8a108"

#: Answered 400 with a bad row instead: a request that can't be read is no failure of the server.
NOT_JSON = "segment-12"


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
        assert status == (400 if vector["id"] == NOT_JSON else expected["status"])
        for name, value in expected.get("headers", {}).items():
            assert said[name] == value
        if "json" in expected:
            compare_answer(json.loads(body), expected["json"])
        if "expected_events" in vector or status != 200:
            compare_events(vector, running.publisher.payloads())
        assert len(running.publisher.messages("bad")) == (status == 400 and vector["id"] in BAD_ROWS)


#: Calls that are unreadable: nothing is dropped without a bad row.
BAD_ROWS = {NOT_JSON, "amplitude-06", "amplitude-07", "amplitude-08", "amplitude-09"}


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


def compare_answer(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if value == "<epoch ms>":
            assert isinstance(found[name], int)
        elif name == "error_prefix":
            assert found["error"].startswith(value)
        else:
            assert found[name] == value, name


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
