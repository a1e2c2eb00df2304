"""What of the collector's settings is refused at the start, since no request would survive it."""

from typing import Any

import pytest
from pydantic import ValidationError

from collector.settings import Settings


@pytest.mark.parametrize(
    "section",
    [
        {"cookie": {"name": ""}},
        {"cookie": {"name": "a;b"}},
        {"cookie": {"name": "a\n"}},
        {"cookie": {"client_cookie_name": "a b"}},
        {"cookie": {"expiration_seconds": 10**12}},
        {"cookie_bounce": {"name": "a&b"}},
        {"cookie_bounce": {"fallback_network_userid": "nobody"}},
        {"cookie_bounce": {"fallback_network_userid": "a\nb"}, "validate_network_userid": False},
        {"p3p": {"policy_ref": "a\nb"}},
        {"extra_headers": {"X A": "b"}},
        {"extra_headers": {"X-A": "b\r\nX-B: c"}},
        {"root_response": {"headers": {"X-A": "b\n"}}},
        {"cors": {"extra_allowed_headers": ["X-A\n"]}},
        {"cors": {"max_age_seconds": -2}},
        {"timeouts": {"headers_seconds": 0}},
        {"timeouts": {"response_seconds": 0}},
        {"limits": {"max_headers": 0}},
        {"limits": {"drop_payload_bytes": -1}},
        {"raw": {"in_flight_max_bytes": 0}},
        {"spool": {"max_bytes": 0}},
        {"hsts": {"max_age_seconds": -1}},
    ],
)
def test_what_would_fail_every_request_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"collector": section})


def test_any_text_stands_for_who_keeps_no_cookie_where_any_is_an_id() -> None:
    section = {"validate_network_userid": False, "cookie_bounce": {"fallback_network_userid": "nobody"}}
    assert Settings.model_validate({"collector": section}).collector.cookie_bounce.fallback_network_userid == "nobody"


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


@pytest.mark.parametrize(
    "host", ["https://shop.example.com", "shop.example.com:8000", "shop.example.com/", "*shop", ""]
)
def test_a_host_that_no_request_can_name_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="expected hosts without scheme and port"):
        Settings.model_validate({"security": {"trusted_hosts": [host]}})


def test_hosts_that_requests_can_name_are_taken() -> None:
    hosts = ("*", "*.example.com", "localhost", "192.0.2.1", "[::1]", "b\u00fccher.example")
    assert Settings.model_validate({"security": {"trusted_hosts": hosts}}).security.trusted_hosts == hosts


@pytest.mark.parametrize("domain", ["https://cdn.example.com", "cdn.example.com:8080", "cdn.example.com/gtag"])
def test_a_proxied_host_that_is_a_url_is_refused(domain: str) -> None:
    with pytest.raises(ValidationError, match="expected a host's name or address alone"):
        Settings.model_validate({"proxy": {"domains": [domain]}})
