"""Decisions that are evnt's own: where it does better than the collectors that it replaces."""

import codecs
import json
from time import perf_counter
from uuid import UUID

import pytest

from collector.record import CHARSETS
from collector.routes import Routes
from collector.settings import Settings
from collector.tracking import Outcome
from tests.collector.served import KNOWN, payload, serve


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
    telling = ["X-Forwarded-For", "x-real-ip", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "Cookie"]
    telling += ["CloudFront-Viewer-Address", "DO-Connecting-IP", "X-Forwarded", "Forwarded-For", "WL-Proxy-Client-IP"]
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
    for host in ("c.example.com", "C.example.com:80", "user:word@c.example.com:443"):
        found = payload(serve([("Host", "other.example.com:80")], f"http://{host}/com.acme/v1?a=b@c"))
        assert (found.path, found.querystring, found.hostname) == ("/com.acme/v1", "a=b@c", "c.example.com")
    assert payload(serve([("Host", "other.example.com")], "http://[::1]:80/com.acme/v1")).hostname == "::1"


@pytest.mark.parametrize("target", ["/a/b/c", "/a/", "//b", "/a", "/", "/a/b/", "/r/x", "/static/x", "/proxy/hash"])
def test_other_paths_are_no_trackers(target: str) -> None:
    assert Routes(Settings()).recorded_path("POST", target.encode()) is None


def test_the_seeds_path_is_a_tracker_path_of_its_own() -> None:
    assert payload(serve(target="/tracker")).path == "/com.snowplowanalytics.snowplow/tp2"
    assert payload(serve(target="/sendgrid")).path == "/com.sendgrid/v3"


def test_a_query_that_no_uri_can_hold_is_told_of_with_the_query() -> None:
    outcome = serve(target="/com.acme/v1?a=b c&d=e")
    assert (outcome.answer.status, outcome.good) == (200, [])
    data = json.loads(outcome.bad[0])["data"]
    assert data["payload"] == "a=b c&d=e"
    assert data["failure"]["errors"][0].startswith("Illegal query: Invalid input ' '")
