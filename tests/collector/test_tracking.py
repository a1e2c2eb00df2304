"""Decisions that are evnt's own: where it does better than the collectors that it replaces."""

import codecs
import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from collector.hit import Hit, split_target
from collector.record import CHARSETS
from collector.routes import Routes
from collector.settings import Settings
from collector.tracking import Outcome, Tracking
from shared.badrow import Processor
from shared.identity import uuid4
from shared.payload import CollectorPayload
from shared.payload_reader import decode

KNOWN = "dfdb716e-ecf9-4d00-8b10-44edfbc8a108"


def serve(
    headers: Sequence[tuple[str, str]] = (),
    target: str = "/com.acme/v1",
    method: str = "POST",
    peer: str = "192.0.2.9",
    body: bytes = b"b",
    **rules: Any,
) -> Outcome:
    settings = Settings.model_validate({"collector": rules})
    path, query = split_target(target.encode())
    recorded = Routes(settings).recorded_path(method, path)
    assert recorded is not None
    sent = [(name.encode(), value.encode()) for name, value in headers]
    hit = Hit(method, target, query, sent, peer.encode(), body=body if method == "POST" else None)
    tracking = Tracking(settings, "evnt-collector-1.0.0-embedded", Processor("evnt-collector", "1.0.0"), uuid4)
    return tracking.serve(hit, recorded, 1_700_000_000_000)


def payload(outcome: Outcome) -> CollectorPayload:
    (found,) = decode(outcome.good[0])
    assert isinstance(found, CollectorPayload)
    return found


def cookie_value(outcome: Outcome) -> str:
    return dict(outcome.answer.headers)["Set-Cookie"].partition(";")[0].partition("=")[2]


# ---- ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["12", "not-a-uuid", KNOWN + "x", ""])
def test_an_id_that_is_no_uuid_is_replaced_since_the_enricher_would_refuse_the_payload(bad: str) -> None:
    for outcome in (serve(target=f"/com.acme/v1?nuid={bad}"), serve([("Cookie", f"sp={bad}")])):
        found = payload(outcome).network_userid
        assert found != bad
        assert UUID(found).version == 4
        assert cookie_value(outcome) == found


def test_a_good_id_is_kept_and_the_query_goes_before_the_cookie() -> None:
    other = "11111111-2222-4333-8444-555555555555"
    assert payload(serve([("Cookie", f"a=b; sp={KNOWN}")])).network_userid == KNOWN
    assert payload(serve([("Cookie", f"sp={KNOWN}")], f"/com.acme/v1?nuid={other}")).network_userid == other
    assert payload(serve([("Cookie", f"sp={KNOWN}")], "/com.acme/v1?xnuid=1")).network_userid == KNOWN


def test_a_disabled_cookie_is_neither_read_nor_written() -> None:
    outcome = serve([("Cookie", f"sp={KNOWN}")], cookie={"enabled": False})
    assert payload(outcome).network_userid != KNOWN
    assert "Set-Cookie" not in dict(outcome.answer.headers)


# ---- anonymity --------------------------------------------------------------------------------------------------


def test_nothing_that_tells_who_it_is_is_recorded_of_the_anonymous() -> None:
    telling = ("X-Forwarded-For", "x-real-ip", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "Cookie")
    headers = [(name, "198.51.100.7") for name in telling]
    outcome = serve([*headers, ("SP-Anonymous", ""), ("User-Agent", "agent")])
    found = payload(outcome)
    assert found.headers == ["SP-Anonymous: ", "User-Agent: agent"]
    assert found.ip_address == "unknown"
    assert found.network_userid == "00000000-0000-0000-0000-000000000000"
    assert b"198.51.100.7" not in outcome.good[0]
    assert b"192.0.2.9" not in outcome.good[0]


def test_an_operators_own_address_header_is_not_recorded_of_the_anonymous_either() -> None:
    outcome = serve([("X-Client", "198.51.100.7"), ("SP-Anonymous", "*")], client_ip={"headers": ["X-Client"]})
    assert payload(outcome).headers == ["SP-Anonymous: *"]


# ---- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("unknown, 10.0.0.1", "unknown"),
        ("nonsense", "192.0.2.9"),
        ("", "192.0.2.9"),
    ],
)
def test_the_clients_address(header: str, expected: str) -> None:
    assert payload(serve([("X-Forwarded-For", header)])).ip_address == expected


def test_several_headers_are_one_list() -> None:
    headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "10.0.0.1")]
    assert payload(serve(headers)).ip_address == "198.51.100.7"
    assert payload(serve(headers, client_ip={"trusted_hops": 1})).ip_address == "10.0.0.1"


@pytest.mark.parametrize(
    ("hops", "address", "line"),
    [
        (None, "6.6.6.6", "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1"),
        (0, "192.0.2.9", None),
        (1, "10.0.0.1", "X-Forwarded-For: 10.0.0.1"),
        (2, "198.51.100.7", "X-Forwarded-For: 198.51.100.7, 10.0.0.1"),
        (9, "6.6.6.6", "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1"),
    ],
)
def test_with_a_number_of_hops_what_a_client_made_up_counts_for_nothing(
    hops: int | None, address: str, line: str | None
) -> None:
    headers = [("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.1"), ("Accept", "*/*")]
    found = payload(serve(headers, client_ip={"trusted_hops": hops}))
    assert found.ip_address == address
    assert found.headers == [one for one in (line, "Accept: */*") if one]


@pytest.mark.parametrize(
    ("hops", "address", "line"),
    [
        (1, "10.0.0.1", "x-forwarded-for: 10.0.0.1"),
        (2, "198.51.100.7", "x-forwarded-for: 198.51.100.7, 10.0.0.1"),
    ],
)
def test_hops_are_counted_over_all_headers_of_the_name(hops: int, address: str, line: str) -> None:
    """A proxy may add a header of its own behind the client's instead of adding to it."""
    headers = [("x-forwarded-for", "6.6.6.6, 198.51.100.7"), ("Accept", "*/*"), ("X-Forwarded-For", "10.0.0.1")]
    found = payload(serve(headers, client_ip={"trusted_hops": hops}))
    assert (found.ip_address, found.headers) == (address, [line, "Accept: */*"])
    own = [("X-Client", "6.6.6.6"), ("X-Client", "198.51.100.7")]
    found = payload(serve(own, client_ip={"headers": ["X-Client"], "trusted_hops": 1}))
    assert (found.ip_address, found.headers) == ("198.51.100.7", ["X-Client: 198.51.100.7"])


def test_the_headers_that_tell_the_address_are_the_operators_choice() -> None:
    """Enrichers believe X-Forwarded-For and Forwarded more than the address that was recorded."""
    headers = [("CF-Connecting-IP", "198.51.100.7"), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")]
    rules = {"headers": ["CF-Connecting-IP"]}
    found = payload(serve(headers, client_ip=rules))
    assert (found.ip_address, found.headers) == ("198.51.100.7", ["CF-Connecting-IP: 198.51.100.7"])
    trusted = payload(serve(headers, client_ip={**rules, "trusted_hops": 1}))
    assert trusted.headers == ["CF-Connecting-IP: 198.51.100.7"]


def test_the_seeds_setting_for_the_address_works_too() -> None:
    settings = Settings.model_validate({"common": {"user_ip_header": "X-Client"}})
    tracking = Tracking(settings, "c", Processor("evnt-collector", "1.0.0"), uuid4)
    hit = Hit("GET", "/i", None, [(b"X-Client", b"198.51.100.7"), (b"X-Forwarded-For", b"6.6.6.6")], b"192.0.2.9")
    assert tracking.client_address(hit) == b"198.51.100.7"


# ---- what is recorded -------------------------------------------------------------------------------------------


def test_bodies_in_other_character_sets_are_recorded_in_utf8() -> None:
    headers = [("Content-Type", 'text/plain; charset="ISO-8859-1"')]
    assert payload(serve(headers, body=b"sch\xf6n")).body == "schön"
    assert (
        payload(serve([("Content-Type", "text/plain; charset=Shift_JIS")], body="日本".encode("shift_jis"))).body
        == "日本"
    )
    for name in ("no-such", "punycode", "unicode_escape", "hex"):
        headers = [("Content-Type", f"text/plain; charset={name}")]
        assert payload(serve(headers, body=b"ab-\\u00e9")).body == "ab-\\u00e9"


def test_an_empty_content_type_is_none() -> None:
    found = payload(serve([("Content-Type", "")]))
    assert (found.content_type, found.headers) == (None, ["Content-Type: "])


def test_no_character_set_takes_long_to_read() -> None:
    begin = perf_counter()
    for name in ("punycode", "idna", "utf-16", "iso-2022-jp", "gb18030"):
        serve([("Content-Type", f"text/plain; charset={name}")], body=b"ab9" * 100_000)
    assert perf_counter() - begin < 1


def test_every_character_set_that_is_decoded_is_known_to_python() -> None:
    assert all(codecs.lookup(name) for name in CHARSETS)


def test_paths_are_decoded_and_queries_are_not() -> None:
    found = payload(serve(target="/com.acm%C3%A9/v1?a=%20b&c=|{}%zz#fragment"))
    assert (found.path, found.querystring) == ("/com.acmé/v1", "a=%20b&c=|{}%zz")


def test_a_target_with_scheme_and_host_is_understood() -> None:
    found = payload(serve([("Host", "C.example.com:80")], "http://c.example.com/com.acme/v1?a=b"))
    assert (found.path, found.querystring, found.hostname) == ("/com.acme/v1", "a=b", "c.example.com")


@pytest.mark.parametrize("target", ["/a/b/c", "/a/", "//b", "/a", "/", "/a/b/", "/r/x", "/static/x", "/proxy/hash"])
def test_other_paths_are_no_trackers(target: str) -> None:
    assert Routes(Settings()).recorded_path("POST", target.encode()) is None


def test_the_seeds_path_is_a_tracker_path_of_its_own() -> None:
    assert payload(serve(target="/tracker")).path == "/com.snowplowanalytics.snowplow/tp2"
    assert payload(serve(target="/sendgrid")).path == "/com.sendgrid/v3"


# ---- redirects --------------------------------------------------------------------------------------------------


def location(u: str, **rules: Any) -> str | None:
    outcome = serve(target=f"/r/tp2?u={u}", method="GET", enable_default_redirect=True, **rules)
    assert len(outcome.good) == 1  # the click is recorded either way
    return dict(outcome.answer.headers).get("Location")


def test_there_is_no_open_redirect_by_default() -> None:
    assert location("https%3A%2F%2Fexample.com%2F") is None
    assert location("https%3A%2F%2Fexample.com%2F", redirect_domains=["*"]) == "https://example.com/"


@pytest.mark.parametrize(
    "u",
    [
        "https://evil.test/",
        "https://example.com.evil.test/",
        "https://evil.test%5c@example.com/",
        "https://example.com@evil.test/",
        "//example.com/",
        "/relative",
        "javascript:alert(1)//example.com",
        "https:%5c%5cevil.test/",
        "https://example.com/%0d%0aSet-Cookie:x=y",
        "https://example.com:x/",
        "app://example.com/",
        "http://[::1",
        "",
    ],
)
def test_only_listed_hosts_are_redirected_to(u: str) -> None:
    assert location(u, redirect_domains=["example.com"]) is None


def test_where_any_target_is_allowed_apps_may_be_opened_too() -> None:
    assert location("app%3A%2F%2Fcart%2F1", redirect_domains=["*"]) == "app://cart/1"
    for u in ("javascript:alert(1)", "data:text/html,x", "/relative", "//example.com/", "http:/example.com/"):
        assert location(u, redirect_domains=["*"]) is None


def test_an_id_in_a_target_leads_to_no_other_host() -> None:
    rules = {"redirect_domains": ["example.com"], "redirect_macro": {"enabled": True}, "validate_network_userid": False}
    assert location("https://example.com/?id=${SP_NUID}&nuid=7", **rules) == "https://example.com/?id=7"
    assert location("https://example.com:${SP_NUID}&nuid=x%40evil.test", **rules) is None


def test_targets_go_out_as_they_came() -> None:
    target = location("https%3A%2F%2FExample.com%3A8080%2Fa%253Db%3Fq%3Dschön%20%2B", redirect_domains=["example.com"])
    assert target == "https://Example.com:8080/a%3Db?q=sch%C3%B6n%20+"


# ---- bounces ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "forwarded", "expected"),
    [
        ("/i?e=pv", None, "/i?e=pv&n3pc=true"),
        ("/i", None, "/i?n3pc=true"),
        ("/i?", None, "/i?n3pc=true"),
        ("/i?e=pv#top", None, "/i?e=pv&n3pc=true"),
        ("http://c.example.com:81/i?e=pv", None, "//c.example.com:81/i?e=pv&n3pc=true"),
        ("http://c.example.com/i", "HTTPS", "https://c.example.com/i?n3pc=true"),
        ("/i", "https", "https://host.example.com:80/i?n3pc=true"),
        ("/i", "gopher", "http://host.example.com:80/i?n3pc=true"),
    ],
)
def test_a_browser_is_bounced_to_the_address_it_asked(target: str, forwarded: str | None, expected: str) -> None:
    headers = [("Host", "host.example.com:80"), *([("X-Forwarded-Proto", forwarded)] if forwarded else [])]
    header = "X-Forwarded-Proto" if forwarded else None
    outcome = serve(headers, target, "GET", cookie_bounce={"enabled": True, "forwarded_protocol_header": header})
    assert (outcome.answer.status, outcome.answer.headers[0]) == (302, ("Location", expected))
    assert not outcome.good


# ---- sizes ------------------------------------------------------------------------------------------------------


def test_a_large_batch_is_split_with_every_event_once_and_every_number_as_it_was_written() -> None:
    events = [f'{{"e":"ue","n":{number}.10e2,"big":{"9" * 40},"s":"\\ud83d"}}' for number in range(200)]
    events.append(f'{{"longer than Python reads":-{"9" * 4_400}}}')
    body = '{"schema": "iglu:com.acme/payload/jsonschema/1-0-0", "data": [' + " , ".join(events) + "]}"
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 6_000})
    assert len(outcome.good) > 1
    assert not outcome.bad
    assert all(len(record) <= 6_001 for record in outcome.good)
    bodies = [one.body or "" for record in outcome.good for one in decode(record) if isinstance(one, CollectorPayload)]
    assert all(json.loads(one, parse_int=float)["schema"] == "iglu:com.acme/payload/jsonschema/1-0-0" for one in bodies)
    inner = [one.partition('"data":[')[2].removesuffix("]}") for one in bodies]
    assert ",".join(inner) == ",".join(events)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x" * 3_000, "not json expected json value got 'xxxxxx...' (line 1, column 1)"),
        ('{"data":"' + "x" * 3_000, "not json exhausted input"),
        ("[" + "1," * 20_000 + "x]", "not json Expecting value: line 1 column 40002"),
        ('{"data":[' + "1," * 2_000 + "1]}", "not self-describing schema key is not available"),
        ("[" + "1," * 2_000 + "1]", "not self-describing JsonObject"),
        ('{"schema":5,"data":[' + "1," * 2_000 + "1]}", "not self-describing String"),
        ('{"schema":"iglu:a/b/jsonschema/1-0-0","x":[' + "1," * 2_000 + "1]}", "data key is not available"),
        (
            '{"schema":"iglu:a/b/jsonschema/0-0-0","data":[' + "1," * 2_000 + "1]}",
            "Invalid schema version: iglu:a/b/jsonschema/0-0-0, code: INVALID_SCHEMAVER",
        ),
        ('{"schema":"s","data":[' + "1," * 2_000 + "1]}", "Invalid Iglu URI: s, code: INVALID_IGLUURI"),
        ('{"schema":"iglu:a/b/jsonschema/1-0-0","data":"' + "x" * 3_000 + '"}', "do not contain a data array"),
        ("[" * 200_000, "not json"),
        (
            '{"schema":"iglu:a/b/jsonschema/1-0-0","data":[NaN,' + "1," * 2_000 + "1]}",
            "not json expected json value got 'NaN,1,...' (line 1, column 47)",
        ),
        ("[-Infinity," + "1," * 2_000 + "1]", "not json expected digit got '-Infin...' (line 1, column 2)"),
        ("[" + "1," * 10_000 + "NaN]", "NaN is not JSON"),
    ],
)
def test_what_can_not_be_split_is_one_bad_row_and_still_a_200(body: str, words: str) -> None:
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 2_000})
    assert outcome.answer.status == 200
    assert not outcome.good
    (row,) = map(json.loads, outcome.bad)
    assert words in row["data"]["failure"]["expectation"]
    assert len(row["data"]["failure"]["expectation"]) <= 256
    assert row["data"]["payload"].startswith("CollectorPayload(schema:iglu:")


# ---- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "section",
    [
        {"security": {"cors_allowed_origins": ["*", "https://a.example"]}},
        {"security": {"cors_allowed_origins": ["a.example"]}},
        {"collector": {"do_not_track_cookie": {"value": "("}}},
        {"collector": {"do_not_track_cookie": {"enabled": True, "value": "1"}}},
        {"collector": {"port": 99_999}},
        {"collector": {"ssl": {"port": 99_999}}},
        {"collector": {"admin": {"port": 99_999}}},
        {"common": {"snowplow": {"endpoints": {"post_endpoint": "tracker"}}}},
        {"common": {"snowplow": {"endpoints": {"proxy_endpoint": ""}}}},
        {"collector": {"paths": {"/a": "/b/c"}}},
        {"collector": {"ssl": {"enable": True}}},
        {"collector": {"cookie": {"same_site": "sometimes"}}},
        {"collector": {"workers": 0}},
        {"collector": {"redirect_macro": {"placeholder": ""}}},
    ],
)
def test_settings_that_can_not_work_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(section)


def test_origins_are_normalised() -> None:
    security = Settings.model_validate({"security": {"cors_allowed_origins": [" https://A.example/ ", ""]}}).security
    assert security.cors_allowed_origins == ("https://a.example",)


_ENVELOPE = '{"schema":"iglu:com.acme/payload/jsonschema/1-0-0","data":['


@pytest.mark.parametrize(
    "deep", ["[" * 1_500 + "]" * 1_500, '{"a":' * 1_500 + "1" + "}" * 1_500, '{"]":[1,{"b":' * 800 + "0" + "}]}" * 800]
)
def test_what_is_too_deep_to_read_costs_none_of_its_neighbours(deep: str) -> None:
    events = [f'{{"e":"pv","n":{number},"s":"[[{{"}}' for number in range(1_000)]
    body = _ENVELOPE + ", ".join([*events[:500], deep, *events[500:]]) + "]}"
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 20_000})
    assert not outcome.bad
    bodies = [one.body or "" for record in outcome.good for one in decode(record) if isinstance(one, CollectorPayload)]
    inner = [one.partition('"data":[')[2].removesuffix("]}") for one in bodies]
    assert inner.count(deep) == 1
    inner.remove(deep)
    assert ",".join(inner) == ",".join(events)


@pytest.mark.parametrize("event", ["{}", json.dumps({"a": "b" * 1_000})])
def test_large_headers_are_not_repeated_for_every_few_of_many_events(event: str) -> None:
    headers = [(f"X-{number}", "x" * 33_000) for number in range(30)]
    body = _ENVELOPE + ",".join([event] * 2_000) + "]}"
    outcome = serve([*headers, ("X-Last", "x" * 9_000)], body=body.encode())
    assert not outcome.good
    (row,) = map(json.loads, outcome.bad)
    assert 'event without "data" field is still too big' in row["data"]["failure"]["expectation"]


def test_a_host_without_end_is_no_target() -> None:
    """Characters that combine are put in order one by one."""
    rules: dict[str, Any] = {"enable_default_redirect": True, "redirect_domains": ["*"]}
    target = "/r/tp2?u=http://" + "\u0301" * 2_000 + "\u0323" * 2_000
    for more in ("", "?", "/x"):
        assert serve(target=target + more, method="GET", **rules).answer.status == 400
    path = "/r/tp2?u=http://example.com/" + "\u0301\u0323" * 2_000
    assert serve(target=path, method="GET", **rules).answer.status == 302
