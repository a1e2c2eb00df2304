"""The comparison of recorded requests with rows knows the rules by which a text, an address and an amount change."""

from typing import Any

import pytest

from tests.e2e.expectation import differences, too_long


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
