"""CollectorPayload: what the collector saw, and its bytes on the `raw` stream.

Thrift's TBinaryProtocol, packed by hand on bytes; a message of the raw stream holds one or more structs back to back (a
struct is self-delimiting). payload_reader.py reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from struct import Struct
from typing import Final

SCHEMA: Final = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"


@dataclass(slots=True, init=False)
class CollectorPayload:
    """One request as the collector recorded it. None: the field is unset. Texts are UTF-8 with replacement.

    timestamp: Unix milliseconds. headers: `Name: value` lines in order of arrival.
    record: the struct's own bytes where it was decoded from some; a bad row quotes them.
    """

    schema: str | None
    ip_address: str | None
    timestamp: int
    encoding: str | None
    collector: str | None
    user_agent: str | None
    referer_uri: str | None
    path: str | None
    querystring: str | None
    body: str | None
    headers: list[str] | None
    content_type: str | None
    hostname: str | None
    network_userid: str | None
    record: bytes = field(default=b"", compare=False, repr=False)

    def __init__(
        self,
        schema: str | None = None,
        ip_address: str | None = None,
        timestamp: int = 0,
        encoding: str | None = None,
        collector: str | None = None,
        user_agent: str | None = None,
        referer_uri: str | None = None,
        path: str | None = None,
        querystring: str | None = None,
        body: str | None = None,
        headers: list[str] | None = None,
        content_type: str | None = None,
        hostname: str | None = None,
        network_userid: str | None = None,
        record: bytes = b"",
    ) -> None:
        self.schema = schema
        self.ip_address = ip_address
        self.timestamp = timestamp
        self.encoding = encoding
        self.collector = collector
        self.user_agent = user_agent
        self.referer_uri = referer_uri
        self.path = path
        self.querystring = querystring
        self.body = body
        self.headers = headers
        self.content_type = content_type
        self.hostname = hostname
        self.network_userid = network_userid
        self.record = record


#: Thrift field id → place in CollectorPayload. In the order of the ids, which is the order on the wire.
PLACES: Final = {
    100: 1,
    200: 2,
    210: 3,
    220: 4,
    300: 5,
    310: 6,
    320: 7,
    330: 8,
    340: 9,
    350: 10,
    360: 11,
    400: 12,
    410: 13,
    31337: 0,
}
TIMESTAMP: Final = 200
HEADERS: Final = 350
_NAMES: Final = [member.name for member in fields(CollectorPayload)]

I64: Final = 10
STRING: Final = 11
LIST: Final = 15

_STRING_FIELD: Final = Struct(">Bhi")
I64_FIELD: Final = Struct(">Bhq")
LIST_FIELD: Final = Struct(">BhBi")
LENGTH: Final = Struct(">i")


def _string(identifier: int, value: bytes) -> bytes:
    return _STRING_FIELD.pack(STRING, identifier, len(value)) + value


def _strings(identifier: int, values: Sequence[bytes]) -> bytes:
    pack = LENGTH.pack
    parts = [LIST_FIELD.pack(LIST, identifier, STRING, len(values))]
    for value in values:
        parts.append(pack(len(value)))
        parts.append(value)
    return b"".join(parts)


def encode(payload: CollectorPayload) -> bytes:
    """The struct's bytes as Snowplow's collectors write them: unset fields left out, the timestamp always there."""
    values = [getattr(payload, name) for name in _NAMES]
    return b"".join(_encode_field(identifier, values[place]) for identifier, place in PLACES.items()) + b"\0"


def _encode_field(identifier: int, value: str | int | list[str] | None) -> bytes:
    match value:
        case None:
            return b""
        case int():
            return I64_FIELD.pack(I64, identifier, value)
        case str():
            return _string(identifier, value.encode("utf-8", "replace"))
        case _:
            return _strings(identifier, [line.encode("utf-8", "replace") for line in value])


class Encoder:
    """The collector's way to the same bytes: values stay the bytes that came, what never changes is packed once."""

    __slots__ = ("_after_timestamp", "_end")

    def __init__(self, collector: str) -> None:
        self._after_timestamp = _encode_field(210, "UTF-8") + _encode_field(220, collector)
        self._end = _encode_field(31337, SCHEMA) + b"\0"

    def encode(
        self,
        ip_address: bytes,
        timestamp: int,
        headers: Sequence[bytes],
        network_userid: bytes,
        *,
        user_agent: bytes | None = None,
        referer_uri: bytes | None = None,
        path: bytes | None = None,
        querystring: bytes | None = None,
        body: bytes | None = None,
        content_type: bytes | None = None,
        hostname: bytes | None = None,
    ) -> bytes:
        """One struct; None leaves a field out."""
        head = _STRING_FIELD.pack
        parts = [_string(100, ip_address), I64_FIELD.pack(I64, TIMESTAMP, timestamp), self._after_timestamp]
        if user_agent is not None:
            parts += (head(STRING, 300, len(user_agent)), user_agent)
        if referer_uri is not None:
            parts += (head(STRING, 310, len(referer_uri)), referer_uri)
        if path is not None:
            parts += (head(STRING, 320, len(path)), path)
        if querystring is not None:
            parts += (head(STRING, 330, len(querystring)), querystring)
        if body is not None:
            parts += (head(STRING, 340, len(body)), body)
        parts.append(_strings(HEADERS, headers))
        if content_type is not None:
            parts += (head(STRING, 360, len(content_type)), content_type)
        if hostname is not None:
            parts += (head(STRING, 400, len(hostname)), hostname)
        parts += (head(STRING, 410, len(network_userid)), network_userid, self._end)
        return b"".join(parts)
