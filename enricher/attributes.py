"""What every event gets without being configured: defaults, page and referrer URL, times, the event's schema name."""

from collections.abc import Callable
from typing import Final

from enricher import querystring, url, values
from enricher.enrichments.contract import Draft, Failure
from enricher.request import Request
from shared.event import INDEX, WIDTH

_PAGE_URL: Final = INDEX["page_url"]
_REFERRER: Final = INDEX["page_referrer"]
_PAGE_PARTS: Final = INDEX["page_urlscheme"]
_REFERRER_PARTS: Final = INDEX["refr_urlscheme"]
_COLLECTOR_TSTAMP: Final = INDEX["collector_tstamp"]
_CREATED: Final = INDEX["dvce_created_tstamp"]
_SENT: Final = INDEX["dvce_sent_tstamp"]
_TRUE: Final = INDEX["true_tstamp"]
_DERIVED: Final = INDEX["derived_tstamp"]
_V_COLLECTOR: Final = INDEX["v_collector"]
_EVENT: Final = INDEX["event"]
_EVENT_VENDOR: Final = INDEX["event_vendor"]

_SNOWPLOW: Final = "com.snowplowanalytics.snowplow"
_EVENT_SCHEMAS: Final = {
    "page_view": (_SNOWPLOW, "page_view", "jsonschema", "1-0-0"),
    "page_ping": (_SNOWPLOW, "page_ping", "jsonschema", "1-0-0"),
    "transaction": (_SNOWPLOW, "transaction", "jsonschema", "1-0-0"),
    "transaction_item": (_SNOWPLOW, "transaction_item", "jsonschema", "1-0-0"),
    "struct": ("com.google.analytics", "event", "jsonschema", "1-0-0"),
}


def defaults(request: Request, etl_tstamp: str, v_etl: str) -> list[str]:
    """The columns that the request itself fills, the same for each of its events; parameters override them."""
    columns = [""] * WIDTH
    payload = request.payload
    columns[INDEX["etl_tstamp"]] = etl_tstamp
    columns[INDEX["v_etl"]] = v_etl
    columns[_V_COLLECTOR] = payload.collector or ""
    columns[INDEX["network_userid"]] = request.network_userid or ""
    columns[INDEX["user_ipaddress"]] = values.ip_address(request.ip_address or "")
    columns[INDEX["useragent"]] = values.user_agent(payload.user_agent or "")
    columns[_COLLECTOR_TSTAMP] = values.format_timestamp(payload.timestamp)
    return columns


def collector_version(draft: Draft) -> Failure | None:
    return None if draft.values[_V_COLLECTOR] else Failure("should be set", "v_collector")


def page(draft: Draft) -> Failure | None:
    """page_url is rewritten as the parsed URI's text; without one the Referer header is the page."""
    text = draft.values[_PAGE_URL] or draft.payload.referer_uri
    if text is None:
        return None
    exploded = url.explode(text)
    if isinstance(exploded, values.Refused):
        return Failure(exploded.message)
    uri, parts = exploded
    draft.values[_PAGE_URL] = uri.text
    draft.values[_PAGE_PARTS : _PAGE_PARTS + 6] = parts
    draft.page_query = dict(querystring.split(uri.query, draft.payload.encoding or "utf-8")) if uri.query else {}
    return None


def referrer(draft: Draft) -> Failure | None:
    """page_referrer stays as sent, only its parts come from the parsed form."""
    text = draft.values[_REFERRER]
    if not text:
        return None
    exploded = url.explode(text)
    if isinstance(exploded, values.Refused):
        return Failure(exploded.message)
    draft.values[_REFERRER_PARTS : _REFERRER_PARTS + 6] = exploded[1]
    return None


def derived_tstamp(draft: Draft) -> Failure | None:
    """The true time, else the collector's less the delay that the device's own two times show."""
    columns = draft.values
    try:
        columns[_DERIVED] = derive_tstamp(columns[_CREATED], columns[_SENT], columns[_COLLECTOR_TSTAMP], columns[_TRUE])
    except ValueError as error:
        return Failure(f"Exception calculating derived timestamp: {error}")
    return None


def derive_tstamp(created: str, sent: str, collector: str, true: str) -> str:
    if true or not (created and sent and collector) or created >= sent:
        return true or collector
    if created[:20] == sent[:20]:  # nearly always, and nothing but milliseconds to reckon with
        milliseconds = int(collector[20:]) - (int(sent[20:]) - int(created[20:]))
        if milliseconds >= 0:
            return f"{collector[:19]}{values.MILLISECONDS[milliseconds]}"
    delay = values.parse_timestamp(sent) - values.parse_timestamp(created)
    return values.format_timestamp(values.parse_timestamp(collector) - delay)


def schema_fields(draft: Draft) -> Failure | None:
    """event_vendor, event_name, event_format, event_version; empty without error where the event itself is invalid."""
    kind = draft.values[_EVENT]
    if kind == "unstruct":
        if draft.event is not None:
            vendor, name, format_, version = draft.event.schema.removeprefix("iglu:").split("/")
            draft.values[_EVENT_VENDOR : _EVENT_VENDOR + 4] = (vendor, name, format_, version)
        return None
    if kind not in _EVENT_SCHEMAS:
        return Failure(_no_schema(kind or "null"), "event", kind or None)
    draft.values[_EVENT_VENDOR : _EVENT_VENDOR + 4] = _EVENT_SCHEMAS[kind]
    return None


def _no_schema(kind: str) -> str:
    indent = "\n" + " " * 10
    return (
        "trying to extract the schema of the enriched event but event type "
        f"[{kind}] doesn't match{indent}"
        f"any of page_view, page_ping, struct, transaction, transaction_item and unstruct{indent}"
    )


#: Fills its columns, or says why it can't.
Fill = Callable[[Draft], Failure | None]

#: In the order in which their failures are reported.
BUILT_IN: Final = (collector_version, page, derived_tstamp, referrer, schema_fields)
