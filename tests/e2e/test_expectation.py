"""The comparison of recorded requests with rows knows the rules by which a text, an address and an amount change."""

from typing import Any

import pytest

from tests.e2e.expectation import concerns, differences, mark_of, mentions, problems_of, too_long
from tests.e2e.replay import Answer, seen_address, takes_cookie_away


@pytest.mark.parametrize(
    ("name", "sent", "stored"),
    [
        ("se_label", "a\tb\nc\x7f", "a    bc"),
        ("se_label", "half \ud83d of one", "half ? of one"),
        ("se_label", {"length": 900, "starts": "a\tb"}, "a    b" + "c" * 897),
        ("user_ipaddress", "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("se_value", 5e-324, 0),
        ("tr_total", 1e21, "1000000000000000000000"),
    ],
)
def test_what_cleaning_changes_is_the_same(name: str, sent: Any, stored: Any) -> None:
    assert differences({name: sent}, {name: stored}) == []


@pytest.mark.parametrize(
    ("name", "sent", "stored"),
    [
        ("se_label", "ab", "a b"),
        ("se_label", {"length": 900, "starts": "ab"}, "ab" + "c" * 897),
        ("user_ipaddress", "203.0.113.9, 10.0.0.1", "10.0.0.1"),
        ("se_value", 0.1, 0),
    ],
)
def test_what_is_lost_is_a_difference(name: str, sent: Any, stored: Any) -> None:
    assert len(differences({name: sent}, {name: stored})) == 1


def test_a_text_may_be_too_long_whether_it_is_recorded_whole_or_not() -> None:
    event = {"domain_userid": "d" * 200, "page_title": {"length": 2_100, "starts": "t"}, "se_label": "x" * 400}
    assert too_long(event) == {"domain_userid", "page_title"}


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "127.77.0.1"),
        ([["x-forwarded-for", "203.0.113.9, 10.0.0.1"]], "203.0.113.9"),
        ([["X-Forwarded-For", "203.0.113.9:4711"]], "203.0.113.9"),
        ([["X-Forwarded-For", "2001:DB8::1"]], "2001:db8::1"),
        ([["X-Forwarded-For", "unknown"]], "127.77.0.1"),
    ],
)
def test_the_visitor_is_who_a_proxy_names(headers: list[list[str]], address: str) -> None:
    assert seen_address(0, {"headers": headers}) == address


def test_an_event_without_id_is_known_by_its_address() -> None:
    assert mark_of({"event_id": "a"}, "127.77.0.1") == "a"
    assert mark_of({"user_ipaddress": "203.0.113.9, 10.0.0.1"}, "127.77.0.1") == "203.0.113.9"
    assert mark_of({}, "127.77.0.1") == "127.77.0.1"


def test_an_address_is_not_taken_for_a_longer_one() -> None:
    assert mentions('{"ipaddress": "127.77.0.1"}', "127.77.0.1")
    assert not mentions('{"ipaddress": "127.77.0.12"}', "127.77.0.1")


@pytest.mark.parametrize(
    ("cookie", "gone"),
    [
        ("sp=; Expires=Sun, 30 Nov 2014 02:26:13 GMT; Path=/; Secure", True),
        ("sp=; Path=/", False),
        ("sp=3f2504e0-4f89-11d3-9a0c-0305e82c3301; Expires=Sun, 30 Nov 2014 02:26:13 GMT", False),
    ],
)
def test_a_cookie_is_taken_away_by_one_that_is_over(cookie: str, gone: bool) -> None:
    assert takes_cookie_away(Answer(200, (("set-cookie", cookie),), b"")) is gone


def test_a_made_up_schema_that_is_absent_is_a_problem_of_the_events_that_use_it() -> None:
    uri = "iglu:com.nowhere/made_up/jsonschema/1-0-0"
    (problem,) = problems_of({"made_up_schemas": [uri]})
    assert concerns({"contexts": [uri]}, problem)
    assert not concerns({"event_name": "page_view"}, problem)
