"""The pure functions that unit vectors name: (input, expected, config) → asserts."""

import base64
import json
import re
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pydantic import ValidationError

from collector import cookies, queries, splitting
from collector.address import ClientAddress
from collector.bridges import amplitude, analytics_js
from collector.hit import Hit, split_target
from collector.record import Recorder
from collector.redirects import bounce_location, own_address
from collector.routes import Routes
from collector.settings import ClientIpSettings, Settings
from collector.tracking import Outcome, Tracking
from collector.visitor import Visitors, do_not_track
from collector.visitor_sections import DoNotTrackCookieSettings
from shared.badrow import Processor
from shared.identity import uuid4
from shared.payload import CollectorPayload, Encoder
from shared.payload_reader import decode
from tests.collector.processes import process
from tests.collector.snowplow_config import settings

PROCESSOR = Processor("app", "version")
TP2 = b"/com.snowplowanalytics.snowplow/tp2"

#: How vectors write an id that nobody can know beforehand.
ANY_UUID = "<uuid>"

#: What the Scala frameworks add to a request for themselves.
SYNTHETIC = ("Raw-Request-URI", "Remote-Address", "Timeout-Access")


def _hit(headers: list[tuple[str, str]], method: str = "POST", query: bytes | None = None, **more: Any) -> Hit:
    sent = [(name.encode(), value.encode()) for name, value in headers if name not in SYNTHETIC]
    target = "/a/b" + (f"?{query.decode()}" if query is not None else "")
    return Hit(method, target, query, sent, more.pop("peer", b"192.0.2.1"), **more)


def _tracking(rules: Settings) -> Tracking:
    return Tracking(rules, "app-1.0.0-rabbitmq", PROCESSOR, uuid4)


def raw_querystring(given: str | None, expected: str | None, _config: Any) -> None:
    found = split_target(given.encode())[1] if given is not None else None
    assert found == (expected.encode() if expected is not None else None)


def read_cookie(given: dict[str, str | None], expected: str | None, _config: Any) -> None:
    """Without a name no cookie is wanted."""
    header, name = given.get("Cookie"), given["cookie_name"]
    rules = {"cookie": {"name": name, "enabled": True} if name is not None else {"enabled": False}}
    visitor = Visitors(settings(rules).collector, lambda: "new").recognise(
        _hit([("Cookie", header)] if header else []), 0
    )
    assert visitor.network_userid == (expected or "new")


def opted_out(given: dict[str, Any], expected: bool, _config: Any) -> None:
    rules = DoNotTrackCookieSettings(**{"enabled": True} | given["config"]) if given["config"] else None
    header = given.get("Cookie")
    found = rules is not None and rules.enabled and do_not_track(rules, header.encode() if header is not None else None)
    assert found is expected


def client_ip(given: dict[str, str | None], expected: str, _config: Any) -> None:
    headers = [(name, value) for name, value in given.items() if name != "peer" and value is not None]
    peer = given.get("peer")
    hit = _hit(headers, peer=(peer or "").encode())
    assert _recorder().address(hit).decode() == expected


def _recorder() -> Recorder:
    """It trusts what the Scala collectors trust, of which ours needs to be told."""
    rules = ClientIpSettings(headers=("X-Forwarded-For", "X-Real-Ip"))
    return Recorder(Encoder("app-version-kinesis"), ClientAddress(rules))


def query_params(given: str, expected: dict[str, str] | None, _config: Any) -> None:
    """Where nothing is expected, the query is one that can't be read."""
    if expected is None or "error" in expected:
        assert queries.complaint(given.encode())
        return
    assert queries.complaint(given.encode()) is None
    assert queries.parameters(given.encode()) == expected


def build_event(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    """The specs pass in beside the headers what a recorder finds in them."""
    named = {"User-Agent": "user_agent", "Referer": "referer", "Content-Type": "content_type", "Host": "hostname"}
    added = [(name, given[key]) for name, key in named.items() if given[key] is not None]
    added += [("SP-Anonymous", "*")] if given.get("anonymous") else []
    query, body = given["querystring"], given["body"]
    hit = _hit(
        [*_header_lines(given["headers"]), *added],
        query=query.encode() if query is not None else None,
        body=body.encode() if body is not None else None,
    )
    record = _recorder().record(hit, given["path"].encode(), given["nuid"], 0)
    (payload,) = decode(record)
    assert isinstance(payload, CollectorPayload)
    lines = [": ".join(header) for header in added]
    payload.headers = [line.removesuffix(": ") for line in payload.headers or [] if line not in lines]
    _compare(payload, expected | {"ipAddress": payload.ip_address})


def _header_lines(given: list[Any]) -> list[tuple[str, str]]:
    """Headers as pairs; the newer spec writes nothing but names."""
    return [(one, "") if isinstance(one, str) else (one[0], one[1]) for one in given]


def _compare(payload: CollectorPayload, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        ours = "network_userid" if name == "networkUserId" else re.sub("([A-Z])", r"_\1", name).lower()
        assert getattr(payload, ours) == value, name


def sink_event(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    good, bad = _split({"payload": given["payload"], "maxBytes": 2**31 - 1})
    assert (len(good), len(bad)) == (expected["good"], expected["bad"])
    _compare(good[0], given["payload"])


def sink_bad(_given: Any, expected: dict[str, Any], _config: Any) -> None:
    row = _tracking(settings({})).generic_error("IllegalQueryString", "", 0)
    assert expected["bad"] == 1
    assert json.dumps(json.loads(row), separators=(",", ":")).encode() == row


#: What the answers of the response builders are compared in.
_IN_ANSWERS = {"status", "headers", "body", "body_base64"}


def http_response(given: dict[str, Any], expected: dict[str, Any], config: Any) -> None:
    rules = settings(config | {"cookieBounce": {"enabled": given["bounce"], "name": "bounce"}})
    query = "&".join(f"{name}={value}" for name, value in given["params"].items()).encode()
    hit = _hit([], "GET" if given["pixel"] else "POST", query, body=None if given["pixel"] else b"")
    outcome = _tracking(rules).serve(hit, b"/r/tp2" if given["redirect"] else TP2, 0)
    _check_answer(outcome, expected)


def usual_response(given: dict[str, Any], expected: dict[str, Any], config: Any) -> None:
    if "analyticsjs" in given:
        assert expected["body"] == '{"success":true}'  # the route answers it: see the http vectors
        assert given["analyticsjs"] in [name for name, _ in analytics_js.CALLS.values()]
        return
    http_response({**given, "redirect": False, "params": {}}, expected, config)


def _check_answer(outcome: Outcome, expected: dict[str, Any]) -> None:
    answer = outcome.answer
    assert expected.keys() <= _IN_ANSWERS
    assert answer.status == expected["status"]
    headers = dict(answer.headers)
    for name, value in expected.get("headers", {}).items():
        assert headers[name] == value
    if "Location" in expected.get("headers", {}):
        assert answer.headers[0][0] == "Location"
    if "body_base64" in expected:
        assert answer.body == base64.b64decode(expected["body_base64"])
    if "body" in expected:
        assert answer.body.decode() == expected["body"]


def bounce(given: dict[str, Any], expected: str | None, config: Any) -> None:
    """Without a word of a proxy the older collector says the scheme of the request; the newer one and evnt say none."""
    query = "&".join(f"{name}={value}" for name, value in given.get("params", {}).items())
    header = given.get("forwardedProtocolHeader") or config.get("cookieBounce", {}).get("forwardedProtocolHeader")
    sent = [
        *dict(given.get("headers", {})).items(),
        *((name, value) for name, value in given.items() if name == header),
    ]
    assert given.keys() <= {"uri", "params", "name", "bounce", "forwardedProtocolHeader", "headers", header}
    hit = _hit([(name, value) for name, value in sent], "GET")
    # a request's own address has a scheme only together with a host
    hit.target = re.sub("^https?:(?!//)", "", given["uri"]) + (f"?{query}" if query else "")
    found = bounce_location(own_address(hit, header), given["name"]) if given["bounce"] else None
    assert found in {expected, expected and re.sub("^https?:", "", expected)}
    assert found == expected or header is None


def payload_headers(given: dict[str, Any], expected: list[str], _config: Any) -> None:
    anonymous = [("SP-Anonymous", "*")] if given["anonymous"] else []
    hit = _hit([*((name, value) for name, value in given["headers"]), *anonymous], "GET")
    lines = [line.decode() for line in _recorder().header_lines(hit, None)]
    assert [line for line in lines if line != "SP-Anonymous: *"] == expected


def network_user_id(given: dict[str, Any], expected: str | None, config: Any) -> None:
    rules = settings(config)
    headers = [("Cookie", f"sp={given['cookie']}")] if given.get("cookie") is not None else []
    if given.get("SP-Anonymous") is not None:
        headers.append(("SP-Anonymous", given["SP-Anonymous"]))
    query = given.get("query")
    hit = _hit(headers, query=query.encode() if query is not None else None)
    visitor = Visitors(rules.collector, lambda: "new").recognise(hit, 0)
    assert visitor.network_userid == (expected if expected not in (None, ANY_UUID) else "new")


def cookie_domain(given: dict[str, Any], expected: str | None, _config: Any) -> None:
    assert cookies.domain(given["domains"] or [], given["fallbackDomain"], given["Origin"]) == expected


def origin_hosts(given: str | None, expected: list[str], _config: Any) -> None:
    assert cookies.origin_hosts(given) == expected


def domain_match(given: Any, expected: bool, _config: Any) -> None:
    host, domain = _pair(given)
    assert cookies.domain_matches(host, domain) is expected


def _pair(given: Any) -> tuple[str, str]:
    if isinstance(given, dict):
        host = given.get("host") or given.get("origin")
        domain = given.get("domain") or given.get("cookie_domain")
        assert isinstance(host, str)
        assert isinstance(domain, str)
        return host, domain
    host, domain = given
    return host, domain


def determine_path(given: str, expected: str, config: Any) -> None:
    found = Routes(settings(config)).recorded_path("POST", given.encode())
    assert found == expected.encode()


def split(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    """As sets: nobody depends on the order, which is reversed upstream."""
    texts = [json.dumps(event, ensure_ascii=False) for event in given["events"]]
    batches, failed = splitting.split(texts, given["maximum"], given["join"])
    assert sorted(len(batch) for batch in batches) == sorted(len(batch) for batch in expected["good"])
    assert sorted(json.loads(event) for batch in batches for event in batch) == sorted(
        event for batch in expected["good"] for event in batch
    )
    assert sorted(json.loads(event) for event in failed) == sorted(expected["failed"])


def split_and_serialize(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    good, rows = _split(given)
    unread = {key for key in expected if key not in ("good", "bad", "size_violation") and not key.startswith("good[")}
    assert not unread, f"nothing reads {unread}"
    assert len(good) == expected.get("good", len(good))
    assert len(rows) == expected.get("bad", len(rows))
    if "size_violation" in expected:
        _check_violation(json.loads(rows[0])["data"], expected["size_violation"])
    for text in (value for key, value in expected.items() if key.startswith("good[")):
        assert text == "decodes to an empty payload"
        assert good[0] == CollectorPayload()


def _split(given: dict[str, Any]) -> tuple[list[CollectorPayload], list[bytes]]:
    names = {"networkUserId": "network_userid"}
    fields = {names.get(key, re.sub("([A-Z])", r"_\1", key).lower()): value for key, value in given["payload"].items()}
    sizes = splitting.Sizes(given["maxBytes"], given.get("maxPayloadSize", 2**31 - 1))
    good, bad = splitting.split_and_serialize(CollectorPayload(**fields), sizes, PROCESSOR, 0)
    payloads = [payload for record in good for payload in decode(record)]
    return [payload for payload in payloads if isinstance(payload, CollectorPayload)], bad


def _check_violation(data: dict[str, Any], expected: dict[str, Any]) -> None:
    found = data["failure"] | {"payload": data["payload"], "processor": data["processor"]}
    for name, value in expected.items():
        assert found[name] == value, name


def clean_cookie_header(given: str, expected: str | None, _config: Any) -> None:
    found = cookies.clean(given.encode())
    assert (found.decode() if found is not None else None) == expected


def load_config(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    assert expected.keys() <= {"ok", "effective", "error_starts_with"}
    ours = {key: value for key, value in given.items() if key != "streams"}
    if expected["ok"]:
        effective = expected.get("effective", {})
        said = {} if effective == "as given" else {key: effective[key] for key in effective if "." not in key}
        assert settings(ours) == settings(ours | said)
        return
    with pytest.raises(ValidationError) as raised:
        settings(ours)
    (error,) = raised.value.errors()
    words = error["msg"].removeprefix("Value error, ")
    first, *more = str(error["loc"][-1]).split("_")
    assert f"{first}{''.join(map(str.title, more))} {words}".startswith(expected.get("error_starts_with", ""))


def bridge(rules: Settings, vector: dict[str, Any], hit: Hit) -> None:
    """Service vectors of the bridges."""
    sent, name = vector["request"]["body"], vector["request"]["path"].rpartition("/")[2]

    def bodies(network_userid: str) -> Iterable[bytes]:
        if name in analytics_js.CALLS:
            return analytics_js.bodies(name, sent, None, network_userid)
        return amplitude.bodies(amplitude.events(sent, "192.0.2.1", 100), network_userid)

    outcome = _tracking(rules).serve(hit, TP2, 0, bodies)
    assert outcome.answer.status == 200
    assert len(outcome.good) == vector["emitted"]["good"]
    assert len(outcome.bad) == vector["emitted"]["bad"]
    (payload,) = decode(outcome.good[0])
    assert isinstance(payload, CollectorPayload)
    assert payload.body


def shutdown(given: dict[str, Any], expected: dict[str, Any], _config: Any) -> None:
    """A real process; the word it says last is ours."""
    began = time.monotonic()
    with process() as running:
        running.send_signal(getattr(signal, given["signal"]))
        _, log = running.communicate(timeout=expected["exits_within_s"])
    assert running.returncode == 0
    assert time.monotonic() - began < expected["exits_within_s"]
    assert "collector.stopped" in log


FUNCTIONS: dict[str, Callable[[Any, Any, Any], None]] = {
    "raw_querystring": raw_querystring,
    "read_cookie": read_cookie,
    "do_not_track": opted_out,
    "client_ip": client_ip,
    "query_params": query_params,
    "build_event": build_event,
    "sink_event": sink_event,
    "sink_bad": sink_bad,
    "http_response": http_response,
    "usual_response": usual_response,
    "bounce_location": bounce,
    "payload_headers": payload_headers,
    "network_user_id": network_user_id,
    "cookie_domain": cookie_domain,
    "origin_hosts": origin_hosts,
    "domain_match": domain_match,
    "determine_path": determine_path,
    "split": split,
    "split_and_serialize": split_and_serialize,
    "clean_cookie_header": clean_cookie_header,
    "load_config": load_config,
    "shutdown": shutdown,
}
