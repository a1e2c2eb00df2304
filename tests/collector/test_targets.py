"""Where a click may lead, and where a browser is sent to show whether it keeps cookies."""

from typing import Any

import pytest

from tests.collector.served import serve


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
        ("HTTPS://c.example.com/i", "gopher", "https://c.example.com/i?n3pc=true"),
        ("https://c.example.com/i", "http", "http://c.example.com/i?n3pc=true"),
        ("/i?a=1&a=2&b=%20+c&n3pcx=true", None, "/i?a=1&a=2&b=%20+c&n3pcx=true&n3pc=true"),
    ],
)
def test_a_browser_is_bounced_to_the_address_it_asked(target: str, forwarded: str | None, expected: str) -> None:
    headers = [("Host", "host.example.com:80"), *([("X-Forwarded-Proto", forwarded)] if forwarded else [])]
    header = "X-Forwarded-Proto" if forwarded else None
    outcome = serve(headers, target, "GET", cookie_bounce={"enabled": True, "forwarded_protocol_header": header})
    assert (outcome.answer.status, outcome.answer.headers[0]) == (302, ("Location", expected))
    assert not outcome.good


def test_a_host_without_end_is_no_target() -> None:
    """Characters that combine are put in order one by one."""
    rules: dict[str, Any] = {"enable_default_redirect": True, "redirect_domains": ["*"]}
    target = "/r/tp2?u=http://" + "\u0301" * 2_000 + "\u0323" * 2_000
    for more in ("", "?", "/x"):
        assert serve(target=target + more, method="GET", **rules).answer.status == 400
    path = "/r/tp2?u=http://example.com/" + "\u0301\u0323" * 2_000
    assert serve(target=path, method="GET", **rules).answer.status == 302
