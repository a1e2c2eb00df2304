"""The first evnt's ways to fill columns, each off unless asked for."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from enricher.enrichments import seed_compat
from enricher.enrichments.contract import Draft, Resources
from tests.enricher.enrichments.drafts import draft

U2S = "dev.snowplow.simple/u2s_data"
ALL = {**dict.fromkeys(seed_compat.Config.model_fields, True), "u2s_data": U2S}


def context(name: str, data: Any) -> dict[str, Any]:
    return {"schema": f"iglu:{name}", "data": data}


AMP_ID = context("dev.amp.snowplow/amp_id/jsonschema/1-0-0", {"ampClientId": "amp-1", "userId": "u"})
MOBILE = context(
    "com.snowplowanalytics.snowplow/mobile_context/jsonschema/1-0-3",
    {"osType": "ios", "osVersion": "17.1", "deviceManufacturer": "Apple"},
)
SESSION = context(
    "com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
    {"userId": "d-1", "sessionId": "s-1", "sessionIndex": 3},
)
HINTS = context("org.ietf/http_client_hints/jsonschema/1-0-0", {"isMobile": False})
SCREEN = context(
    "com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0", {"name": "Cart", "previousName": "Unknown"}
)
ON_SCREEN = context("com.snowplowanalytics.mobile/screen/jsonschema/1-0-0", {"name": "Cart", "id": "7"})
PAGE_VIEW = {
    "event": "page_view",
    "event_vendor": "com.snowplowanalytics.snowplow",
    "event_name": "page_view",
    "event_format": "jsonschema",
    "event_version": "1-0-0",
}
PING = context("dev.amp.snowplow/amp_page_ping/jsonschema/1-0-0", {})
LINKER = "1*abc*amp_id*" + base64.urlsafe_b64encode("ünique".encode()).decode().replace("=", ".")

CASES = [
    ("amp_linker", draft(query={"sp_amp_linker": LINKER}), {"domain_userid": "ünique"}),
    ("amp_linker", draft(query={"sp_amp_linker": "2*x*amp_id*eA"}), {}),
    ("amp_linker", draft(query={"sp_amp_linker": "1"}), {}),
    ("amp_linker", draft(contexts=[AMP_ID]), {"domain_userid": "amp-1", "user_id": "u"}),
    ("amp_linker", draft({"domain_userid": "kept"}, contexts=[AMP_ID]), {"user_id": "u"}),
    (
        "amp_page_ping",
        draft({"event": "unstruct"}, unstruct=PING),
        {
            "event": "page_ping",
            "event_vendor": "com.snowplowanalytics.snowplow",
            "event_name": "page_ping",
            "event_format": "jsonschema",
            "event_version": "1-0-0",
        },
    ),
    (
        "sp_id_cookie",
        draft(headers=["cookie: a=b; _sp_id.1fff=d-1.1700000000.2.1700000001.1700000000.s-1"]),
        {"domain_userid": "d-1", "domain_sessionidx": "2", "domain_sessionid": "s-1"},
    ),
    ("sp_id_cookie", draft(headers=["Cookie: _sp_id.1fff=d-1"]), {"domain_userid": "d-1"}),
    ("sp_id_cookie", draft(headers=["Cookie: sp=x"]), {}),
    ("sp_id_cookie", draft(headers=["Cookie: _sp_id.1fff=d-1.1.2147483648"]), {"domain_userid": "d-1"}),
    (
        "screen_view",
        draft({"event": "unstruct", "page_url": "app://x"}, unstruct=SCREEN),
        {**PAGE_VIEW, "page_url": "Cart", "page_title": "Cart", "page_referrer": ""},
    ),
    (
        "screen_view",
        draft(unstruct=context("com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0", {"previousName": "Home"})),
        {**PAGE_VIEW, "page_url": "", "page_referrer": "Home"},
    ),
    ("screen_view", draft(contexts=[ON_SCREEN]), {"page_url": "Cart"}),
    ("screen_view", draft({"page_url": "kept"}, contexts=[ON_SCREEN]), {}),
    (
        "mobile_context",
        draft(contexts=[MOBILE]),
        {
            "os_name": "ios 17.1",
            "os_family": "ios",
            "os_manufacturer": "Apple Inc.",
            "dvce_type": "Mobile",
            "dvce_ismobile": "1",
        },
    ),
    (
        "client_session",
        draft(contexts=[SESSION]),
        {"domain_userid": "d-1", "domain_sessionid": "s-1", "domain_sessionidx": "3"},
    ),
    ("client_hints", draft(contexts=[HINTS]), {"dvce_ismobile": "0", "dvce_type": "Computer"}),
    ("client_hints", draft(headers=["Sec-CH-UA-Mobile: ?1"]), {"dvce_ismobile": "1", "dvce_type": "Mobile"}),
    ("undefined_app_id", draft({"app_id": "undefined"}), {"app_id": "other"}),
    ("undefined_app_id", draft({"app_id": "shop"}), {}),
    (
        "decoded_urls",
        draft(parameters={"url": "https://a.example/%D1%82%20x?q=%09", "refr": "https://b.example/a%2Fb"}),
        {"page_url": "https://a.example/т x?q=    ", "page_referrer": "https://b.example/a/b"},
    ),
    ("decoded_urls", draft(parameters={"url": "https://a.example/", "refr": None}), {}),
    ("json_property", draft({"event": "struct", "se_property": "red"}), {"se_property": '{"ex-property":"red"}'}),
    ("json_property", draft({"event": "struct", "se_property": "7"}), {"se_property": '{"ex-property":7}'}),
    ("json_property", draft({"event": "struct", "se_property": '{"a": 1}'}), {"se_property": '{"a":1}'}),
    ("json_property", draft({"event": "struct"}), {}),
    ("json_property", draft({"event": "unstruct", "se_property": "red"}), {}),
]


STRUCTURED = [
    (
        {"category": "shop", "action": "add", "label": "hats", "property": "red", "value": "2.5"},
        {"se_category": "shop", "se_action": "add", "se_label": "hats", "se_value": "2.5"},
        {"ex-property": "red"},
    ),
    ({"se_ca": "a", "se_ac": "b", "se_pr": {"c": 1}, "se_va": 3}, {"se_value": "3"}, {"c": 1}),
    ({"action": "b", "value": "many"}, {"se_value": None}, {"ex-value": "many"}),
    ({"action": "b", "property": "p", "value": True}, {}, {"ex-property": "p", "ex-value": True}),
    ({"action": "b"}, {"se_value": ""}, None),
    ({"action": "b", "value": 0}, {"se_value": "0"}, None),
]


@pytest.mark.parametrize(("data", "fields", "inside"), STRUCTURED)
def test_a_self_describing_event_counts_as_a_structured_one(
    data: dict[str, Any], fields: dict[str, str | None], inside: dict[str, Any] | None
) -> None:
    before = draft({"event": "unstruct"}, unstruct=context(f"{U2S}/jsonschema/1-0-0", data))
    made = filled(before, {"u2s_data": U2S})
    assert (made["event"], made["event_vendor"], made["event_name"]) == ("struct", "com.google.analytics", "event")
    assert {column: made.get(column) for column in fields} == fields
    assert (json.loads(made["se_property"]) if made["se_property"] else None) == inside
    assert filled(before, {}) == filled(before, {"u2s_data": "com.acme/other"}) == {}


@pytest.mark.parametrize(("option", "before", "fields"), CASES)
def test_each_option_fills_its_columns(option: str, before: Draft, fields: dict[str, str]) -> None:
    assert filled(before, {option: True}) == fields


@pytest.mark.parametrize(("option", "before", "fields"), CASES)
def test_nothing_is_on_by_default(option: str, before: Draft, fields: dict[str, str]) -> None:
    assert filled(before, {}) == {}
    assert filled(before, {**ALL, option: False}) != fields or not fields


def filled(before: Draft, options: dict[str, Any]) -> dict[str, str]:
    state = seed_compat.prepare(seed_compat.Config(**options), Resources(Path(), Path()))
    patch = seed_compat.enrich(before, state)
    return dict(patch.fields) if patch else {}
