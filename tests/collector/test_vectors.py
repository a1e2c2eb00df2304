"""Every vector of the field's collectors: over a socket, against the service, and against the pure functions."""

import base64
import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from collector.answer import Answer
from collector.hit import Hit
from collector.routes import Routes
from collector.sections import UUID
from collector.tracking import Outcome, Tracking
from shared.badrow import Processor
from shared.identity import now_ms, uuid4
from shared.payload import CollectorPayload
from shared.payload_reader import decode
from tests.collector import functions
from tests.collector.json_answers import compare_answer
from tests.collector.running import collector
from tests.collector.snowplow_config import settings
from tests.vectors import vectors

#: The pixels of the two collectors differ in one flag that nothing shows; ours is the older one.
GIFS = {
    "R0lGODlhAQABAPAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==",
    "R0lGODlhAQABAPAAAP///wAAACH5BAUAAAAALAAAAAABAAEAAAICRAEAOw==",
}

#: Our names of what the vectors call by its Thrift name.
NAMES = {
    "ipAddress": "ip_address",
    "userAgent": "user_agent",
    "refererUri": "referer_uri",
    "contentType": "content_type",
    "networkUserId": "network_userid",
}


#: What this file reads of a vector, or knows to be said for people; and the same of its parts.
READ = {"id", "repo", "from", "note", "level", "config", "request", "response", "payload", "unit"} | {
    *("emitted", "bad_row", "standins", "derived", "route", "precondition", "peer")
}
READ_OF_RESPONSES = {"status", "status_class", "headers", "headers_absent", "header_count", "body", "body_json"} | {
    *("body_base64", "set_cookie", "set_cookie_count")
}
READ_OF_COOKIES = {"name", "value", "domain", "path", "secure", "http_only", "same_site"} | {
    *("expires_in_s", "tolerance_s")
}


#: The precondition that a request is never answered; and what is said where nothing can be kept.
NEVER = "handler does not finish in time"
UNHEALTHY = re.compile(
    r"\b(?:stream|sink|topic|queue|broker)s?\b.*"
    r"\b(?:absent|missing|un(?:healthy|available)|away|down|not (?:yet )?(?:exist|healthy|available|created|ready))",
    re.IGNORECASE,
)


def test_a_vector_that_says_what_nothing_reads_fails() -> None:
    with pytest.raises(AssertionError, match="nothing reads"):
        check_all_is_read({"id": "x", "level": "http", "response": {"headers": {}, "trailers": {}}})
    with pytest.raises(AssertionError, match="nothing reads"):
        check_all_is_read({"id": "x", "level": "http", "response": {"set_cookie": [{"partitioned": True}]}})
    with pytest.raises(AssertionError, match="nothing reads"):
        check_all_is_read({"id": "x", "level": "http", "precondition": "it rains"})
    check_all_is_read({"id": "x", "level": "http", "precondition": "the good stream does not exist"})
    with pytest.raises(AttributeError):
        check_payload({"colour": None}, CollectorPayload())


def check_all_is_read(vector: dict[str, Any]) -> None:
    """A vector that says more than is compared would pass whatever happens."""
    response, emitted = vector.get("response") or {}, vector.get("emitted") or {}
    unread = [
        *(vector.keys() - READ),
        *(response.keys() - READ_OF_RESPONSES),
        *(emitted.keys() - {"good", "bad"}),
        *({vector.get("precondition")} - {None, NEVER} if not lacks_stream(vector) else ()),
        *(["peer"] if "peer" in vector and vector["level"] == "http" else []),  # over a socket it is this machine
        *(key for cookie in response.get("set_cookie", []) for key in cookie.keys() - READ_OF_COOKIES),
    ]
    assert not unread, f"nothing reads {unread}"


def lacks_stream(vector: dict[str, Any]) -> bool:
    return bool(UNHEALTHY.search(vector.get("precondition") or ""))


@pytest.mark.vectors
@pytest.mark.parametrize("vector", vectors("collector"))
async def test_vector(vector: dict[str, Any]) -> None:
    check_all_is_read(vector)
    match vector["level"]:
        case "http":
            await over_http(vector)
        case "service":
            against_service(vector)
        case "unit":
            unit = vector["unit"]
            functions.FUNCTIONS[unit["fn"]](unit["input"], unit["expected"], vector["config"])
        case level:
            pytest.fail(f"unknown level {level}")


# ---- over a socket ----------------------------------------------------------------------------------------------


#: Routes that specs add to their servers: what stands for them here.
SYNTHETIC = {"/never": "/i", "/fast": "/i", "/large": "/com.acme/large"}


#: Who must have served a request → whether that is nobody (404), and whether something is recorded.
ROUTES = {
    **dict.fromkeys(("preflight", "robots", "root", "health", "sink-health", "crossdomain"), (False, False)),
    **dict.fromkeys(("tracker", "tracker-pixel", "tracker-post", "redirect"), (False, True)),
    **dict.fromkeys(("bridge-analyticsjs", "bridge-amplitude"), (False, True)),
    **dict.fromkeys(("redirect-guard", "not-found"), (True, False)),
}


async def over_http(vector: dict[str, Any]) -> None:
    request = vector["request"]
    async with collector(settings(vector["config"])) as running, aiohttp.ClientSession() as session:
        if vector.get("precondition") == NEVER:
            running.publisher.may_finish.clear()
        running.publisher.ready = not lacks_stream(vector)
        path = SYNTHETIC.get(request["path"], request["path"])
        url = running.url + path + (f"?{request['query']}" if request["query"] is not None else "")
        async with session.request(
            request["method"],
            URL(url, encoded=True),
            headers=headers_of(vector),
            data=request["body"],
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as response:
            body = await response.read()
            check_response(vector, response.status, CIMultiDict(response.headers), body)
        rows = [message.body for message in running.publisher.messages("bad")]
        check_kept(vector, running.publisher.payloads(), rows)
        if "route" in vector:
            assert (response.status == 404, bool(running.publisher.payloads())) == ROUTES[vector["route"]]
        running.publisher.may_finish.set()


def headers_of(vector: dict[str, Any]) -> list[tuple[str, str]]:
    request = vector["request"]
    headers = [(name, value) for name, value in request["headers"]]
    if request["cookies"]:
        headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in request["cookies"].items())))
    return headers


# ---- against the service ----------------------------------------------------------------------------------------


def against_service(vector: dict[str, Any]) -> None:
    request, rules = vector["request"], settings(vector["config"])
    path, query = request["path"].encode(), request["query"]
    headers = [(name.encode(), value.encode()) for name, value in headers_of(vector)]
    if "hostname" in (vector["payload"] or {}):
        headers.append((b"Host", vector["payload"]["hostname"].encode()))
    hit = Hit(
        request["method"],
        request["path"] + (f"?{query}" if query is not None else ""),
        query.encode() if query is not None else None,
        headers,
        (vector.get("peer") or "192.0.2.1").encode(),
        body=(request["body"] or "").encode() if request["method"] == "POST" else None,
    )
    recorded = Routes(rules).recorded_path(request["method"], path)
    if recorded is None:
        functions.bridge(rules, vector, hit)
        return
    tracking = Tracking(rules, "evnt-collector-1.0.0-rabbitmq", Processor("evnt-collector", "1.0.0"), uuid4)
    outcome = tracking.serve(hit, recorded, now_ms())
    check_outcome(vector, outcome)


def check_outcome(vector: dict[str, Any], outcome: Outcome) -> None:
    answer = outcome.answer
    check_response(vector, answer.status, CIMultiDict(answer.headers), answer.body, collector_headers(answer))
    payloads = [payload for record in outcome.good for payload in decode(record)]
    check_kept(vector, [one for one in payloads if isinstance(one, CollectorPayload)], outcome.bad)


def collector_headers(answer: Answer) -> int:
    return len([name for name, _ in answer.headers if name != "Content-Type"])


# ---- comparing --------------------------------------------------------------------------------------------------


def check_response(
    vector: dict[str, Any], status: int, headers: CIMultiDict[str], body: bytes, count: int | None = None
) -> None:
    expected = vector["response"]
    if expected is None:
        return
    assert status == expected.get("status", vector.get("derived", {}).get("status", status))
    if "status_class" in expected:
        assert {"success": 2, "failure": 4}[expected["status_class"]] == status // 100
    for name, value in expected["headers"].items():
        assert headers.get(name) == (location(vector, value) if name == "Location" else value)
    for name in expected["headers_absent"]:
        assert name not in headers
    if "header_count" in expected and count is not None:
        assert count == expected["header_count"]
    check_body(vector, body)
    check_cookies(expected, headers.getall("Set-Cookie", []))


def location(vector: dict[str, Any], value: str) -> str:
    """Where the spec called the service without an address, the address of the stand-in belongs into the bounce."""
    bounced_from_nowhere = value.startswith("/?") and "path" in vector.get("standins", [])
    return vector["request"]["path"] + value[1:] if bounced_from_nowhere else value


def check_body(vector: dict[str, Any], body: bytes) -> None:
    expected = vector["response"]
    if "body" in expected and vector["request"]["path"] not in SYNTHETIC:
        # collectors differ in the case of this word, and nobody depends on it
        health = vector["request"]["path"] in ("/health", "/sink-health")
        found, wanted = body.decode(), expected["body"]
        assert found.lower() == wanted.lower() if health else found == wanted
    if "body_json" in expected:
        compare_answer(json.loads(body), expected["body_json"])
    if "body_base64" in expected:
        assert {base64.b64encode(body).decode(), expected["body_base64"]} <= GIFS


def check_cookies(expected: dict[str, Any], cookies: list[str]) -> None:
    if "set_cookie_count" in expected:
        assert len(cookies) == expected["set_cookie_count"]
    for wanted, cookie in zip(expected.get("set_cookie", []), cookies, strict=False):
        check_cookie(wanted, cookie)
    assert len(cookies) >= len(expected.get("set_cookie", []))


def check_cookie(wanted: dict[str, Any], cookie: str) -> None:
    pair, *attributes = cookie.split("; ")
    name, _, value = pair.partition("=")
    found = {key.lower(): part for key, _, part in (attribute.partition("=") for attribute in attributes)}
    facts = {
        "name": name,
        "value": value,
        "domain": found.get("domain"),
        "path": found.get("path"),
        "secure": "secure" in found,
        "http_only": "httponly" in found,
        "same_site": found.get("samesite"),
    }
    # the older collector leaves it to the operator; browsers drop such a cookie, and the newer one makes it secure
    forced = {"secure": True} if found.get("samesite") == "None" and "secure" in wanted else {}
    for key, fact in facts.items():
        assert key not in wanted or (wanted | forced)[key] == fact, key
    if "expires_in_s" in wanted:
        left = (parsedate_to_datetime(found["expires"]) - datetime.now(UTC)).total_seconds()
        assert abs(left - wanted["expires_in_s"]) <= wanted["tolerance_s"] + 1


def check_kept(vector: dict[str, Any], payloads: list[CollectorPayload], rows: list[bytes]) -> None:
    emitted = vector.get("emitted", {})
    assert emitted.get("good", len(payloads)) == len(payloads)
    assert emitted.get("bad", len(rows)) == len(rows)
    if vector["payload"] is not None:
        check_payload(vector["payload"], payloads[0])
    if "bad_row" in vector:
        check_bad_row(vector["bad_row"], json.loads(rows[0]))


def check_payload(expected: dict[str, Any], payload: CollectorPayload) -> None:
    spoken_by_route = expected.get("contentType") == "image/gif"  # passed in by the spec beside the header
    for name, value in expected.items():
        match name:
            case "headers_contain":
                assert set(value) <= set(payload.headers or [])
            case "body_not_empty":
                assert payload.body
            case "collector_pattern":
                assert re.fullmatch(r"[a-z-]+-\d+\.\d+\.\d+-[a-z]+", payload.collector or "")
            case "contentType_equivalent":
                assert (payload.content_type or "").replace(" ", "") == value.replace(" ", "")
            case "headers":
                assert [line for line in payload.headers or [] if not line.startswith("Host: ")] == [
                    "application/json" if line == "image/gif" else line for line in value
                ]
            case "contentType" if spoken_by_route:
                assert payload.content_type == "application/json"
            case _ if value == functions.ANY_UUID:
                assert UUID.fullmatch(getattr(payload, NAMES.get(name, name)))
            case _:
                assert getattr(payload, NAMES.get(name, name)) == value, name


def check_bad_row(expected: dict[str, Any], row: dict[str, Any]) -> None:
    for path, value in expected.items():
        found: Any = row
        for part in re.findall(r"[^.\[\]]+", path):
            found = found[int(part)] if isinstance(found, list) else found[part]
        assert found == value, path
