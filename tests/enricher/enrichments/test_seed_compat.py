"""The first evnt's ways to fill columns, each off unless asked for."""

import base64
from pathlib import Path
from typing import Any

import pytest

from enricher.enrichments import seed_compat
from enricher.enrichments.contract import Draft, Resources
from tests.enricher.enrichments.drafts import draft

ALL = dict.fromkeys(seed_compat.Config.model_fields, True)


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
    ("screen_view", draft(unstruct=SCREEN), {"page_url": "Cart", "page_title": "Cart"}),
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
]


@pytest.mark.parametrize(("option", "before", "fields"), CASES)
def test_each_option_fills_its_columns(option: str, before: Draft, fields: dict[str, str]) -> None:
    assert filled(before, {option: True}) == fields


@pytest.mark.parametrize(("option", "before", "fields"), CASES)
def test_nothing_is_on_by_default(option: str, before: Draft, fields: dict[str, str]) -> None:
    assert filled(before, {}) == {}
    assert filled(before, {**ALL, option: False}) != fields or not fields


def filled(before: Draft, options: dict[str, bool]) -> dict[str, str]:
    state = seed_compat.prepare(seed_compat.Config(**options), Resources(Path(), Path()))
    patch = seed_compat.enrich(before, state)
    return dict(patch.fields) if patch else {}
