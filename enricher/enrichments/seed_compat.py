"""Fills columns the way the first evnt did, for dashboards that were built on it. Everything is off by default.

Nothing that the tracker sent is replaced: a column is filled only where it is empty, unless an option says so. The
self-describing event and the entities stay as they came in any case.
"""

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

from enricher import jsontext
from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.columns import written
from enricher.enrichments.parts.parameters import Parameters
from enricher.values import tsv_safe
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("io.evnt.enrichments", "seed_compat", "jsonschema", 1, 0)

_APP_ID, _EVENT, _PROPERTY = INDEX["app_id"], INDEX["event"], INDEX["se_property"]
_SCREEN_VIEWS = (
    "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/",
    "iglu:com.snowplowanalytics.snowplow/screen_view/jsonschema/",
)
_AMP_PING = "iglu:dev.amp.snowplow/amp_page_ping/jsonschema/"
_AMP_ID = "iglu:dev.amp.snowplow/amp_id/jsonschema/"
_AMP_SESSION = "iglu:dev.amp.snowplow/amp_session/jsonschema/"
_MOBILE = "iglu:com.snowplowanalytics.snowplow/mobile_context/jsonschema/"
_SESSION = "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/"
_HINTS = "iglu:org.ietf/http_client_hints/jsonschema/"
_SCREEN = "iglu:com.snowplowanalytics.mobile/screen/jsonschema/"
#: Column → what the self-describing form of a structured event may call it.
_STRUCTURED = {
    "se_category": ("se_ca", "category"),
    "se_action": ("se_ac", "action"),
    "se_label": ("se_la", "label"),
}
_MAKERS = {"ios": "Apple Inc.", "tvos": "Apple Inc.", "android": "Google Inc."}


class Config(Parameters):
    amp_linker: bool = False
    """domain_userid from the `sp_amp_linker` parameter that AMP pages add to links, and from AMP's own entities."""
    amp_page_ping: bool = False
    """An AMP page ping counts as page_ping: `event` and the event_ columns say so."""
    sp_id_cookie: bool = False
    """domain_userid, domain_sessionidx and domain_sessionid from the tracker's `_sp_id` cookie."""
    screen_view: bool = False
    """A screen view counts as page_view: `event` and the event_ columns say so, page_url is its name, page_referrer
    the previous one's. page_title, and page_url of other events, are filled with the screen's name."""
    mobile_context: bool = False
    """os_ and dvce_ columns from the mobile_context entity."""
    client_session: bool = False
    """domain_userid, domain_sessionid and domain_sessionidx from the client_session entity."""
    client_hints: bool = False
    """dvce_type and dvce_ismobile from client hints, of the entity or of the headers."""
    undefined_app_id: bool = False
    """The app_id `undefined` becomes `other`."""
    decoded_urls: bool = False
    """page_url and page_referrer without percent-encoding. Their parts, such as page_urlpath, stay as they are."""
    json_property: bool = False
    """se_property is always a JSON object: what is none stands in one, under `ex-property`."""
    u2s_data: str = ""
    """Vendor and name of a self-describing event that counts as a structured one: `dev.snowplow.simple/u2s_data`.
    Its property is a JSON object as with `json_property`; a value that is no number stands there, under `ex-value`."""


Fill = Callable[[Draft], Mapping[str, Any]]


class State(NamedTuple):
    fills: tuple[Fill, ...]
    replace: tuple[Fill, ...]


def prepare(config: Config, _: Resources) -> State:
    fills = (
        (config.amp_linker, _amp_linker),
        (config.amp_linker, _amp_entities),
        (config.sp_id_cookie, _sp_id_cookie),
        (config.screen_view, _screen_name),
        (config.mobile_context, _mobile_context),
        (config.client_session, _client_session),
        (config.client_hints, _client_hints),
    )
    replace = (
        (config.undefined_app_id, _undefined_app_id),
        (config.amp_page_ping, _amp_page_ping),
        (config.decoded_urls, _decoded_urls),
        (config.screen_view, _screen_view),
        (config.json_property, _json_property),
        (config.u2s_data, partial(_structured, schema=f"iglu:{config.u2s_data}/")),
    )
    return State(tuple(fill for on, fill in fills if on), tuple(fill for on, fill in replace if on))


def enrich(draft: Draft, state: State) -> Patch | None:
    """The first to fill an empty column wins."""
    fields: dict[str, str] = {}
    for fill in state.fills:
        for column, value in fill(draft).items():
            if value not in (None, "") and not draft.values[INDEX[column]] and column not in fields:
                fields |= _fitting(column, value)
    for replace in state.replace:
        fields.update(replace(draft))
    return Patch(fields) if fields else None


def _fitting(column: str, value: Any) -> dict[str, str]:
    """Cookies and links say anything: what the column can't hold fills none, or no warehouse would take the event."""
    try:
        return {column: written(column, value)}
    except ValueError:
        return {}


def _datas(draft: Draft, schema: str) -> Iterator[Mapping[str, Any]]:
    return (one.data for one in draft.contexts if one.schema.startswith(schema) and isinstance(one.data, dict))


def _first(draft: Draft, schema: str) -> Mapping[str, Any]:
    return next(_datas(draft, schema), {})


def _amp_linker(draft: Draft) -> Mapping[str, Any]:
    linked = linker((draft.page_query or {}).get("sp_amp_linker") or "")
    return {"domain_userid": linked.get("amp_id") or linked.get("domain_userid"), "user_id": linked.get("user_id")}


def linker(text: str) -> dict[str, str]:
    """`1*checksum*key*value*…` with values in base64 that pads with dots; the checksum is not judged."""
    version, *rest = text.split("*")
    if version != "1":
        return {}
    pairs = rest[1:]
    return {key: _base64(value) for key, value in zip(pairs[::2], pairs[1::2], strict=False)}


def _base64(text: str) -> str:
    packed = text.rstrip(".=")
    try:
        return urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _amp_entities(draft: Draft) -> Mapping[str, Any]:
    user, session = _first(draft, _AMP_ID), _first(draft, _AMP_SESSION)
    return {
        "domain_userid": user.get("domainUserid") or user.get("ampClientId"),
        "user_id": user.get("userId"),
        "domain_sessionidx": session.get("ampSessionIndex"),
    }


def _amp_page_ping(draft: Draft) -> Mapping[str, str]:
    return {} if _event(draft, _AMP_PING) is None else _kind("page_ping")


def _kind(event: str, vendor: str = "com.snowplowanalytics.snowplow", name: str = "") -> dict[str, str]:
    """What the columns say of an event that no schema describes."""
    return {
        "event": event,
        "event_vendor": vendor,
        "event_name": name or event,
        "event_format": "jsonschema",
        "event_version": "1-0-0",
    }


def _event(draft: Draft, schemas: str | tuple[str, ...]) -> Mapping[str, Any] | None:
    """Data of the self-describing event, if it is one of these."""
    event = draft.event
    return event.data if event and event.schema.startswith(schemas) and isinstance(event.data, dict) else None


def _sp_id_cookie(draft: Draft) -> Mapping[str, Any]:
    """`_sp_id.<hash>=<user>.<created>.<visits>.<now>.<last visit>.<session>`."""
    for line in draft.payload.headers or ():
        if line[:7].lower() != "cookie:":
            continue
        for cookie in line[7:].split(";"):
            name, _, value = cookie.strip().partition("=")
            parts = value.split(".")
            if name.startswith("_sp_id") and parts[0]:
                parts += [""] * (6 - len(parts))
                index = parts[2] if parts[2].isascii() and parts[2].isdecimal() else ""
                return {"domain_userid": parts[0], "domain_sessionidx": index, "domain_sessionid": parts[5]}
    return {}


def _screen_name(draft: Draft) -> Mapping[str, Any]:
    """For events on a screen; a view of one says its name itself."""
    viewed = _event(draft, _SCREEN_VIEWS)
    if viewed is not None:
        return {"page_title": _known(viewed.get("name"))}
    return {"page_url": _known(_first(draft, _SCREEN).get("name"))}


def _screen_view(draft: Draft) -> Mapping[str, str]:
    viewed = _event(draft, _SCREEN_VIEWS)
    if viewed is None:
        return {}
    name, previous = (tsv_safe(_known(viewed.get(key))) for key in ("name", "previousName"))
    return {**_kind("page_view"), "page_url": name, "page_referrer": previous}


def _known(name: Any) -> str:
    return name if isinstance(name, str) and name != "Unknown" else ""


def _mobile_context(draft: Draft) -> Mapping[str, Any]:
    data = _first(draft, _MOBILE)
    if not data:
        return {}
    system = str(data.get("osType") or "")
    return {
        "os_name": f"{system} {data.get('osVersion') or ''}".strip(),
        "os_family": system,
        "os_manufacturer": _MAKERS.get(system.lower(), data.get("deviceManufacturer")),
        "dvce_type": "Mobile",
        "dvce_ismobile": "1",
    }


def _client_session(draft: Draft) -> Mapping[str, Any]:
    data = _first(draft, _SESSION)
    return {
        "domain_userid": data.get("userId"),
        "domain_sessionid": data.get("sessionId"),
        "domain_sessionidx": data.get("sessionIndex"),
    }


def _client_hints(draft: Draft) -> Mapping[str, Any]:
    said = _first(draft, _HINTS).get("isMobile")
    if said is None:
        headers = {name.lower(): value.strip() for name, value in draft.headers}
        said = {"?1": True, "?0": False}.get(headers.get("sec-ch-ua-mobile", ""))
    if said is None:
        return {}
    return {"dvce_ismobile": "1" if said else "0", "dvce_type": "Mobile" if said else "Computer"}


def _undefined_app_id(draft: Draft) -> Mapping[str, str]:
    return {"app_id": "other"} if draft.values[_APP_ID] == "undefined" else {}


def _decoded_urls(draft: Draft) -> Mapping[str, str]:
    """What the tracker sent, decoded: page_url is rewritten otherwise."""
    sent = (("page_url", draft.parameters.get("url")), ("page_referrer", draft.parameters.get("refr")))
    return {column: tsv_safe(unquote(text)) for column, text in sent if text and "%" in text}


def _json_property(draft: Draft) -> Mapping[str, str]:
    text = draft.values[_PROPERTY]
    return {"se_property": jsontext.render(_object(text))} if text and draft.values[_EVENT] == "struct" else {}


def _object(said: Any) -> dict[str, Any]:
    """An object, or a text that holds one; anything else, and what a text holds, under `ex-property`."""
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return {"ex-property": said}
    return said if isinstance(said, dict) else {"ex-property": said}


def _structured(draft: Draft, schema: str) -> Mapping[str, str]:
    data = _event(draft, schema)
    if data is None:
        return {}
    fields = {column: tsv_safe(str(_said(data, names))) for column, names in _STRUCTURED.items()}
    said, value = _said(data, ("se_pr", "property")), _said(data, ("se_va", "value"))
    inside = _object(said) if said else {}
    try:
        fields["se_value"] = written("se_value", None if value == "" else value)
    except ValueError:
        inside = {**inside, "ex-value": value}
    fields["se_property"] = jsontext.render(inside) if inside else ""
    return {**_kind("struct", "com.google.analytics", "event"), **fields}


def _said(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Under the first of the names that is there."""
    return next((data[name] for name in names if data.get(name) is not None), "")
