"""Enriched page views, each different, as the enricher writes them: what loader and warehouse are measured with."""

import json
from collections.abc import Mapping
from uuid import uuid4

from shared.event import INDEX, WIDTH

#: As the enricher makes them.
CHUNK_ROWS = 500

_WRAPPER = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"

#: What all of them have in common.
_FIXED = {
    "app_id": "shop",
    "platform": "web",
    "etl_tstamp": "2026-11-24 23:59:59.123",
    "event": "page_view",
    "name_tracker": "sp",
    "v_tracker": "js-4.6.8",
    "v_collector": "evnt-collector-0.1.0-rabbitmq",
    "v_etl": "evnt-enrich-0.1.0",
    "page_referrer": "https://search.example.org/?q=shoes",
    "page_urlscheme": "https",
    "page_urlhost": "shop.example.com",
    "page_urlport": "443",
    "page_urlquery": "utm_source=news&utm_medium=mail",
    "refr_urlscheme": "https",
    "refr_urlhost": "search.example.org",
    "refr_urlport": "443",
    "refr_urlpath": "/",
    "refr_urlquery": "q=shoes",
    "refr_medium": "search",
    "mkt_medium": "mail",
    "mkt_source": "news",
    "br_lang": "de-DE",
    "br_cookies": "1",
    "br_colordepth": "24",
    "br_viewwidth": "1280",
    "os_timezone": "Europe/Berlin",
    "dvce_screenwidth": "1920",
    "dvce_screenheight": "1080",
    "doc_charset": "UTF-8",
    "doc_width": "1280",
    "event_vendor": "com.snowplowanalytics.snowplow",
    "event_name": "page_view",
    "event_format": "jsonschema",
    "event_version": "1-0-0",
}


def make_chunk(number: int) -> bytes:
    return "\n".join(make_line(number * CHUNK_ROWS + row) for row in range(CHUNK_ROWS)).encode()


def make_line(number: int) -> str:
    """A page view with web_page, client_session, client hints, and the user agent's context."""
    row = [""] * WIDTH
    for name, value in {**_FIXED, **_own(number)}.items():
        row[INDEX[name]] = value
    return "\t".join(row)


def _own(number: int) -> dict[str, str]:
    moment = f"2026-11-24 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}"
    path = f"/products/shoes/{number}"
    version = f"{110 + number % 20}.0.{number % 7000}.{number % 200}"
    times = ("collector_tstamp", "dvce_created_tstamp", "dvce_sent_tstamp", "derived_tstamp")
    ids = ("event_id", "domain_userid", "network_userid", "domain_sessionid")
    return {
        **dict.fromkeys(times, moment),
        **{name: str(uuid4()) for name in ids},
        "event_fingerprint": uuid4().hex,
        "user_ipaddress": f"203.0.113.{number % 256}",
        "domain_sessionidx": str(number % 40),
        "page_url": f"https://shop.example.com{path}?utm_source=news&utm_medium=mail",
        "page_title": f"Schuhe für alle, Seite {number}",
        "page_urlpath": path,
        "useragent": f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}",
        "br_viewheight": str(600 + number % 400),
        "doc_height": str(number % 9000),
        "contexts": _contexts(
            ("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": str(uuid4())}),
            ("com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", _session(number)),
            ("org.ietf/http_client_hints/jsonschema/1-0-0", _hints(version)),
        ),
        "derived_contexts": _contexts(
            ("com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0", _agent(version))
        ),
    }


def _contexts(*entities: tuple[str, Mapping[str, object]]) -> str:
    data = [{"schema": f"iglu:{schema}", "data": value} for schema, value in entities]
    return json.dumps({"schema": _WRAPPER, "data": data}, separators=(",", ":"), ensure_ascii=False)


def _session(number: int) -> dict[str, object]:
    return {
        "userId": str(uuid4()),
        "sessionId": str(uuid4()),
        "eventIndex": number,
        "sessionIndex": number % 40,
        "previousSessionId": None,
        "storageMechanism": "COOKIE_1",
        "firstEventId": str(uuid4()),
        "firstEventTimestamp": "2026-11-24T10:00:00.000Z",
    }


def _hints(version: str) -> dict[str, object]:
    brands = [{"brand": name, "version": version.partition(".")[0]} for name in ("Chromium", "Google Chrome")]
    return {"isMobile": False, "brands": brands, "platform": "Linux", "uaFullVersion": version}


def _agent(version: str) -> dict[str, object]:
    major, minor, patch, _ = version.split(".")
    return {
        "useragentFamily": "Chrome",
        "useragentMajor": major,
        "useragentMinor": minor,
        "useragentPatch": patch,
        "useragentVersion": f"Chrome {version}",
        "osFamily": "Linux",
        "osMajor": None,
        "osMinor": None,
        "osPatch": None,
        "osPatchMinor": None,
        "osVersion": "Linux",
        "deviceFamily": "Other",
    }
