"""The table of evnt before 0.1, `evnt.local`, as a SELECT over the canonical events.

Same names, order and meaning; what differs is said in docs/warehouse.md. Schemas that were never seen have no
column yet, so the statement depends on the columns that exist.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

_SNOWPLOW = "com_snowplowanalytics_snowplow"

#: Short name → suffixes of the schema columns that hold it, the preferred one first.
_ENTITIES: dict[str, tuple[str, ...]] = {
    "page": (f"{_SNOWPLOW}_web_page_1",),
    "session": (f"{_SNOWPLOW}_client_session_1",),
    "application": ("com_snowplowanalytics_mobile_application_1", f"{_SNOWPLOW}_application_1"),
    "mobile": (f"{_SNOWPLOW}_mobile_context_1",),
    "screen": ("com_snowplowanalytics_mobile_screen_1",),
    "browser": (f"{_SNOWPLOW}_browser_context_2", f"{_SNOWPLOW}_browser_context_1"),
    "ua": (f"{_SNOWPLOW}_ua_parser_context_1",),
    "hints": ("org_ietf_http_client_hints_1",),
    "robots": ("com_iab_snowplow_spiders_and_robots_1",),
    "geolocation": (f"{_SNOWPLOW}_geolocation_context_1",),
    "amp": ("dev_amp_snowplow_amp_id_1",),
    "amp_page": ("dev_amp_snowplow_amp_web_page_1",),
    "page_data": ("dev_snowplow_simple_page_data_1",),
    "user_data": ("dev_snowplow_simple_user_data_1",),
    "screen_data": ("dev_snowplow_simple_screen_data_1",),
}

_TIME = "DateTime64(3, 'UTC')"

_EVENT_TYPES = {
    "page_view": "pv",
    "page_ping": "pp",
    "unstruct": "ue",
    "struct": "se",
    "transaction": "tr",
    "transaction_item": "ti",
}


def compatibility_select(columns: Mapping[str, str], source: str) -> str:
    """columns: name → type of the events table. source: what to select from."""
    found = _Entities(columns)
    lines = [f"{expression} AS `{name}`" for name, expression in _expressions(found).items()]
    return "SELECT\n    " + ",\n    ".join(lines) + f"\nFROM {source} AS e"


class _Typed(NamedTuple):
    """An expression and its type, as an element of a tuple."""

    sql: str
    type: str = "String"


class _Entities:
    """Expressions for the first entity of a kind, whether or not its column exists."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns

    def text(self, entity: str, path: str) -> _Typed:
        """A property as text, empty where there is none."""
        column = self.column(entity)
        return _Typed(f"ifNull(toString(e.{column}[1].{path}), '')" if column else "''")

    def integer(self, entity: str, path: str) -> _Typed:
        return _Typed(f"toUInt64OrZero({self.text(entity, path).sql})", "UInt64")

    def uuid(self, entity: str, path: str) -> _Typed:
        return _Typed(f"toUUIDOrZero({self.text(entity, path).sql})", "UUID")

    def time(self, entity: str, path: str) -> _Typed:
        text = self.text(entity, path).sql
        return _Typed(f"parseDateTime64BestEffortOrZero({text}, 3, 'UTC')", _TIME)

    def flag(self, entity: str, path: str) -> str:
        """A condition: the property is true."""
        return f"{self.text(entity, path).sql} = 'true'"

    def json(self, *entities: str) -> _Typed:
        """The first of these entities that has a column, as JSON; an empty object where there is none."""
        column = next((found for entity in entities if (found := self.column(entity))), None)
        return _Typed(f"CAST(toJSONString(e.{column}[1]), 'JSON')" if column else "CAST('{}', 'JSON')", "JSON")

    def column(self, entity: str) -> str | None:
        names = (f"contexts_{suffix}" for suffix in _ENTITIES[entity])
        return next((name for name in names if name in self._columns), None)

    def event(self) -> _Typed:
        """The self-describing event, keyed by its schema."""
        return self._keyed("unstruct_event_", "isNotNull", ())

    def rest(self) -> _Typed:
        """Every entity that has no place of its own in this layout, keyed by its schema."""
        used = [f"contexts_{suffix}" for suffixes in _ENTITIES.values() for suffix in suffixes]
        return self._keyed("contexts_", "notEmpty", used)

    def _keyed(self, prefix: str, present: str, without: Collection[str]) -> _Typed:
        names = [name for name in self._columns if name.startswith(prefix) and name not in without]
        if not names:
            return _Typed("CAST('{}', 'JSON')", "JSON")
        parts = ", ".join(_member(f"{present}(e.{name})", name.removeprefix(prefix), f"e.{name}") for name in names)
        members = f"arrayStringConcat(arrayFilter(part -> part != '', [{parts}]), ',')"
        return _Typed(f"CAST(concat('{{', {members}, '}}'), 'JSON')", "JSON")


def _member(condition: str, key: str, value: str) -> str:
    """One member of an object in JSON, or nothing."""
    return f"if({condition}, concat('\"{key}\":', ifNull(toJSONString({value}), '')), '')"


def _expressions(found: _Entities) -> dict[str, str]:
    """Column → expression, in the order of the old table."""
    return {
        "app_id": "e.app_id",
        "platform": _PLATFORM,
        "app_info": _tuple(version=found.text("application", "version"), build=found.text("application", "build")),
        "page": _text("page_url"),
        "referer": _text("page_referrer"),
        "event_type": f"transform({_text('event')}, {list(_EVENT_TYPES)}, {list(_EVENT_TYPES.values())}, 's')",
        "event_id": "e.event_id",
        "view_id": found.uuid("page", "id").sql,
        "session_id": f"toUUIDOrZero(ifNull(e.domain_sessionid, {found.text('session', 'sessionId').sql}))",
        "visit_count": f"ifNull(toUInt64(e.domain_sessionidx), {found.integer('session', 'sessionIndex').sql})",
        "session": _session(found),
        "amp": found.json("amp", "amp_page").sql,
        "device_id": f"toUUIDOrZero(ifNull(e.domain_userid, {found.text('session', 'userId').sql}))",
        "user_id": _text("user_id"),
        "time": "ifNull(e.dvce_created_tstamp, e.collector_tstamp)",
        "time_extra": _tuple(
            received=_Typed("e.collector_tstamp", _TIME),
            sent=_Typed("ifNull(e.dvce_sent_tstamp, toDateTime64(0, 3, 'UTC'))", _TIME),
        ),
        "timezone": _text("os_timezone"),
        "title": _text("page_title"),
        "screen": found.json("screen", "screen_data").sql,
        "page_data": found.json("page_data").sql,
        "user_data": found.json("user_data").sql,
        "user_ip": f"toIPv4OrDefault({_text('user_ipaddress')})",
        "geolocation": found.json("geolocation").sql,
        "user_agent": _AGENT,
        **_devices(found),
        "resolution": _RESOLUTION,
        "event": _event(found),
        "extra": found.rest().sql,
        "tracker": _tuple(version=_Typed(_text("v_tracker")), namespace=_Typed(_text("name_tracker"))),
        "app": f"if({_PLATFORM} = 'mob', {_text('name_tracker')}, e.app_id)",
    }


def _event(found: _Entities) -> str:
    return _tuple(
        action=_Typed(_text("se_action")),
        category=_Typed(_text("se_category")),
        label=_Typed(_text("se_label")),
        property=_property(),
        value=_Typed("toFloat32(ifNull(e.se_value, 0))", "Float32"),
        unstructured=found.event(),
    )


def _session(found: _Entities) -> str:
    return _tuple(
        event_index=found.integer("session", "eventIndex"),
        previous_session_id=found.uuid("session", "previousSessionId"),
        first_event_id=found.uuid("session", "firstEventId"),
        first_event_time=found.time("session", "firstEventTimestamp"),
        storage_mechanism=found.text("session", "storageMechanism"),
        unstructured=found.json("session"),
    )


def _devices(found: _Entities) -> dict[str, str]:
    model, family = found.text("mobile", "deviceModel").sql, found.text("ua", "deviceFamily").sql
    phone, tablet = f"match({_AGENT}, '(?i)mobile|iphone')", f"match({_AGENT}, '(?i)ipad|tablet')"
    handheld = f"({_PLATFORM} = 'mob' OR {phone} OR {tablet} OR {found.flag('hints', 'isMobile')})"
    return {
        "browser": _tuple(
            family=found.text("ua", "useragentFamily"),
            version=found.text("ua", "useragentVersion"),
            extra=found.json("browser", "hints"),
        ),
        "os": _tuple(
            family=found.text("ua", "osFamily"),
            version=found.text("ua", "osVersion"),
            language=_Typed(_text("br_lang")),
        ),
        "device": _tuple(
            brand=found.text("mobile", "deviceManufacturer"),
            model=_Typed(f"if({model} != '', {model}, {family})"),
            extra=found.json("mobile"),
        ),
        "device_is": _tuple(
            mobile=_Typed(f"{handheld} AND NOT {tablet}", "Bool"),
            tablet=_Typed(tablet, "Bool"),
            touch=_Typed(handheld, "Bool"),
            pc=_Typed(f"{_PLATFORM} IN ('web', 'pc') AND NOT {handheld}", "Bool"),
            bot=_Typed(found.flag("robots", "spiderOrRobot"), "Bool"),
        ),
    }


def _text(column: str) -> str:
    return f"ifNull(e.{column}, '')"


_PLATFORM, _AGENT = _text("platform"), _text("useragent")


def _tuple(**elements: _Typed) -> str:
    """A tuple whose elements have names."""
    kinds = ", ".join(f"`{name}` {element.type}" for name, element in elements.items())
    kinds = kinds.replace("'", "\\'")
    return f"CAST(tuple({', '.join(element.sql for element in elements.values())}), 'Tuple({kinds})')"


def _size(width: str, height: str) -> _Typed:
    return _Typed(f"if(isNull(e.{width}), '', concat(toString(e.{width}), 'x', toString(e.{height})))")


def _property() -> _Typed:
    """The old table kept a property that is no JSON object under a name of its own."""
    text = _text("se_property")
    wrapped = f"if({text} = '', '{{}}', concat('{{\"ex-property\":', toJSONString({text}), '}}'))"
    return _Typed(f"CAST(if(isValidJSON({text}) AND startsWith({text}, '{{'), {text}, {wrapped}), 'JSON')", "JSON")


_RESOLUTION = _tuple(
    browser=_size("dvce_screenwidth", "dvce_screenheight"),
    viewport=_size("br_viewwidth", "br_viewheight"),
    page=_size("doc_width", "doc_height"),
)
