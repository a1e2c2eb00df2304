"""The least that an enricher can be: a page view's hot path written straight down, without what makes one trustworthy.

It validates and splits, but reports no errors, has no enrichment but two, and reads nothing that is unusual. What it
costs tells how fast this machine is with code of this kind, better than any single step does: a target in events a
second that was set on another machine is compared by it.
"""

import binascii
import json
import re
import struct
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import jsonschema_rs
import ujson

from enricher.enrichments.parts.useragent import builtin
from enricher.enrichments.ua_parser import context
from shared.event import INDEX, WIDTH
from shared.iglu.config import BUNDLED
from shared.schema import SchemaKey

_SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"
_UA_CONTEXT = f"{_SNOWPLOW}/ua_parser_context/jsonschema/1-0-0"
_SCHEMAS = (
    f"{_SNOWPLOW}/payload_data/jsonschema/1-0-4",
    f"{_SNOWPLOW}/contexts/jsonschema/1-0-0",
    f"{_SNOWPLOW}/web_page/jsonschema/1-0-0",
    "iglu:org.ietf/http_client_hints/jsonschema/1-0-0",
    f"{_SNOWPLOW}/client_session/jsonschema/1-0-2",
)

#: Tracker parameter → column, for those that need nothing but copying.
_COPIED = {
    "tv": "v_tracker",
    "tna": "name_tracker",
    "aid": "app_id",
    "p": "platform",
    "cookie": "br_cookies",
    "lang": "br_lang",
    "cd": "br_colordepth",
    "tz": "os_timezone",
    "cs": "doc_charset",
    "vid": "domain_sessionidx",
    "url": "page_url",
    "refr": "page_referrer",
    "page": "page_title",
}
_UUIDS = {"eid": "event_id", "sid": "domain_sessionid", "duid": "domain_userid"}
_TIMES = {"dtm": "dvce_created_tstamp", "stm": "dvce_sent_tstamp"}
_SIZES = {
    "res": ("dvce_screenwidth", "dvce_screenheight"),
    "vp": ("br_viewwidth", "br_viewheight"),
    "ds": ("doc_width", "doc_height"),
}
_PLACES = {name: INDEX[column] for name, column in {**_COPIED, **_UUIDS, **_TIMES}.items()}
_PAIRS = {name: (INDEX[first], INDEX[second]) for name, (first, second) in _SIZES.items()}
_PAGE, _REFERRER = INDEX["page_urlscheme"], INDEX["refr_urlscheme"]

_URL = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#:]*)(?::(\d+))?)?([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_STRING, _LIST, _LENGTH, _I64 = (
    struct.Struct(">Bhi"),
    struct.Struct(">BhBi"),
    struct.Struct(">i"),
    struct.Struct(">Bhq"),
)


class Miniature:
    """Raw messages of benchmarks.pageviews into chunks of lines."""

    def __init__(self) -> None:
        self._valid = {uri: _is_valid(uri) for uri in _SCHEMAS}
        parse = builtin()

        @lru_cache(10_000)
        def agent_text(agent: str) -> str:
            text: str = ujson.dumps({"schema": _UA_CONTEXT, "data": context(parse(agent))})
            return text

        self._agent_text = agent_text

    def run(self, message: bytes) -> bytes:
        lines: list[bytes] = []
        offset = 0
        while offset < len(message):
            fields, offset = _struct(message, offset)
            lines += self._lines(fields)
        return b"\n".join(lines)

    def _lines(self, fields: dict[int, Any]) -> Iterator[bytes]:
        body = ujson.loads(fields[340])
        self._validate(body)
        columns = [""] * WIDTH
        agent = columns[INDEX["useragent"]] = fields[300].decode()
        columns[INDEX["network_userid"]] = fields[410].decode()
        columns[INDEX["user_ipaddress"]] = fields[100].decode()
        columns[INDEX["collector_tstamp"]] = _time(fields[200])
        for parameters in body["data"]:
            values = columns.copy()
            _map(parameters, values)
            values[INDEX["contexts"]] = self._contexts(parameters["cx"])
            values[INDEX["derived_contexts"]] = f'{{"schema":"contexts","data":[{self._agent_text(agent)}]}}'
            line = "\t".join(values)
            assert line.count("\t") == WIDTH - 1
            assert "\n" not in line
            yield line.encode()

    def _contexts(self, encoded: str) -> str:
        text = binascii.a2b_base64(encoded.replace("-", "+").replace("_", "/") + "==")
        contexts = ujson.loads(text)
        self._validate(contexts)
        for entity in contexts["data"]:
            self._validate(entity)
        written: str = ujson.dumps(contexts)
        return written

    def _validate(self, sent: Any) -> None:
        assert self._valid[sent["schema"]](sent["data"])


def measure(rounds: Sequence[Sequence[bytes]], events: int) -> float:
    """CPU seconds an event, fastest of the rounds, each of so many events."""
    miniature = Miniature()
    miniature.run(rounds[0][0])
    return min(_timed(miniature, messages) for messages in rounds) / events


def _timed(miniature: Miniature, messages: Sequence[bytes]) -> float:
    start = time.process_time()
    for message in messages:
        miniature.run(message)
    return time.process_time() - start


def _is_valid(uri: str) -> Any:
    document = json.loads((BUNDLED / SchemaKey.parse(uri).path).read_bytes())
    plain = {name: value for name, value in document.items() if name not in ("$schema", "self")}
    return jsonschema_rs.Draft4Validator(plain).is_valid


def _struct(buffer: bytes, offset: int) -> tuple[dict[int, Any], int]:
    """Thrift fields by id, texts as bytes; the offset behind them."""
    fields: dict[int, Any] = {}
    while (kind := buffer[offset]) != 0:
        if kind == 11:
            _, identifier, length = _STRING.unpack_from(buffer, offset)
            offset += 7
            fields[identifier] = _taken(buffer, offset, length)
            offset += length
        elif kind == 10:
            _, identifier, fields[identifier] = _I64.unpack_from(buffer, offset)
            offset += 11
        else:
            _, identifier, _, count = _LIST.unpack_from(buffer, offset)
            offset += 8
            fields[identifier] = lines = []
            for _ in range(count):
                (length,) = _LENGTH.unpack_from(buffer, offset)
                lines.append(_taken(buffer, offset + 4, length))
                offset += 4 + length
    return fields, offset + 1


def _taken(buffer: bytes, start: int, length: int) -> bytes:
    assert 0 <= length <= len(buffer) - start
    return buffer[start : start + length]


def _map(parameters: dict[str, str], values: list[str]) -> None:
    for name, value in parameters.items():
        place = _PLACES.get(name)
        if place is not None:
            values[place] = value
    for name in _UUIDS:
        assert _UUID.fullmatch(parameters[name])
    for name in _TIMES:
        values[_PLACES[name]] = _time(int(parameters[name]))
    for name, (first, second) in _PAIRS.items():
        values[first], _, values[second] = parameters[name].partition("x")
    query = dict(_pairs(_explode(parameters["url"], _PAGE, values)))
    values[INDEX["mkt_source"]], values[INDEX["mkt_medium"]] = query.get("utm_source", ""), query.get("utm_medium", "")
    terms = _pairs(_explode(parameters["refr"], _REFERRER, values))
    values[INDEX["refr_term"]] = next((value for name, value in terms if name == "q"), "")


def _explode(url: str, place: int, values: list[str]) -> str:
    match = _URL.fullmatch(url)
    assert match is not None
    values[place : place + 6] = match.groups("")
    return values[place + 4]


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        yield name, value


def _time(milliseconds: int) -> str:
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}"


@lru_cache(8_192)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
