"""CollectorPayload: what the collector saw, and its bytes on the `raw` stream.

Thrift's TBinaryProtocol, packed and read by hand on bytes and bounds-checked; a message of the raw stream holds
one or more structs back to back (a struct is self-delimiting).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from struct import Struct
from typing import Any, Final, NoReturn

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


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes in which no struct could be read up to its end, and why, as Thrift's own reader says it; everything behind
    them is in here too."""

    record: bytes
    reason: str


#: Thrift field id → place in CollectorPayload. In the order of the ids, which is the order on the wire.
_PLACES: Final = {
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
_TIMESTAMP: Final = 200
_HEADERS: Final = 350
_TIMESTAMP_PLACE: Final = _PLACES[_TIMESTAMP]
_TEXTS: Final = {identifier: place for identifier, place in _PLACES.items() if identifier not in (_TIMESTAMP, _HEADERS)}
_RECORD: Final = 14
_NAMES: Final = [member.name for member in fields(CollectorPayload)]

_STOP: Final = 0
_I64: Final = 10
_STRING: Final = 11
_STRUCT: Final = 12
_MAP: Final = 13
_SET: Final = 14
_LIST: Final = 15
#: Bytes of a value of each type that has a fixed size: bool, byte, double, i16, i32, i64, uuid.
_SIZES: Final = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, _I64: 8, 16: 16}
#: Containers inside containers: more than any real record has, few enough for the interpreter's stack.
_DEPTH: Final = 32

_FIELD: Final = Struct(">Bh")
_STRING_FIELD: Final = Struct(">Bhi")
_I64_FIELD: Final = Struct(">Bhq")
_LIST_FIELD: Final = Struct(">BhBi")
_LENGTH: Final = Struct(">i")

#: What Snowplow's own reader says of every truncation, and of a struct without an encoding.
NO_CHARSET: Final = "Null charset name"
END_OF_BYTES: Final = "Reached end of bytes when parsing as thrift format"


class _Broken(Exception):
    """No struct can be read here."""


# ---- writing ----------------------------------------------------------------------------------------------------


def _string(identifier: int, value: bytes) -> bytes:
    return _STRING_FIELD.pack(_STRING, identifier, len(value)) + value


def _strings(identifier: int, values: Sequence[bytes]) -> bytes:
    pack = _LENGTH.pack
    parts = [_LIST_FIELD.pack(_LIST, identifier, _STRING, len(values))]
    for value in values:
        parts.append(pack(len(value)))
        parts.append(value)
    return b"".join(parts)


def encode(payload: CollectorPayload) -> bytes:
    """The struct's bytes as Snowplow's collectors write them: unset fields left out, the timestamp always there."""
    values = [getattr(payload, name) for name in _NAMES]
    return b"".join(_encode_field(identifier, values[place]) for identifier, place in _PLACES.items()) + b"\0"


def _encode_field(identifier: int, value: str | int | list[str] | None) -> bytes:
    match value:
        case None:
            return b""
        case int():
            return _I64_FIELD.pack(_I64, identifier, value)
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
        parts = [_string(100, ip_address), _I64_FIELD.pack(_I64, _TIMESTAMP, timestamp), self._after_timestamp]
        if user_agent is not None:
            parts += (head(_STRING, 300, len(user_agent)), user_agent)
        if referer_uri is not None:
            parts += (head(_STRING, 310, len(referer_uri)), referer_uri)
        if path is not None:
            parts += (head(_STRING, 320, len(path)), path)
        if querystring is not None:
            parts += (head(_STRING, 330, len(querystring)), querystring)
        if body is not None:
            parts += (head(_STRING, 340, len(body)), body)
        parts.append(_strings(_HEADERS, headers))
        if content_type is not None:
            parts += (head(_STRING, 360, len(content_type)), content_type)
        if hostname is not None:
            parts += (head(_STRING, 400, len(hostname)), hostname)
        parts += (head(_STRING, 410, len(network_userid)), network_userid, self._end)
        return b"".join(parts)


# ---- reading ----------------------------------------------------------------------------------------------------


def decode(buffer: bytes) -> Iterator[CollectorPayload | Damaged]:
    """The structs of one message, in order; a tail that is none is one Damaged, and so is a message of no bytes.

    Unknown fields, and known ones of another type, are skipped. Work is bounded by the buffer's length whatever
    lengths and counts it claims.
    """
    start, size = 0, len(buffer)
    while True:
        try:
            values, end = _read_struct(buffer, start)
        except _Broken as broken:
            yield Damaged(buffer[start:], str(broken))
            return
        yield _payload(values)
        if end == size:
            return
        start = end


def _payload(values: list[Any]) -> CollectorPayload:
    """Named one by one: compiled, that is a call without a tuple of arguments."""
    return CollectorPayload(
        schema=values[0],
        ip_address=values[1],
        timestamp=values[2],
        encoding=values[3],
        collector=values[4],
        user_agent=values[5],
        referer_uri=values[6],
        path=values[7],
        querystring=values[8],
        body=values[9],
        headers=values[10],
        content_type=values[11],
        hostname=values[12],
        network_userid=values[13],
        record=values[14],
    )


def _read_struct(buffer: bytes, start: int) -> tuple[list[Any], int]:
    values: list[Any] = [None] * 15
    values[_TIMESTAMP_PLACE] = 0
    offset, size = start, len(buffer)
    texts = _TEXTS
    try:
        while (kind := buffer[offset]) != _STOP:
            if kind == _STRING:
                # read byte by byte: that costs nothing compiled, and hardly more than unpacking where it is not
                identifier = buffer[offset + 1] << 8 | buffer[offset + 2]
                end = offset + 7 + _length(buffer, offset + 3)
                if end > size:
                    _beyond_the_end(end - offset - 7)
                place = texts.get(identifier)
                if place is not None:
                    values[place] = buffer[offset + 7 : end].decode("utf-8", "replace")
                offset = end
            elif kind == _I64:
                _, identifier, number = _I64_FIELD.unpack_from(buffer, offset)
                offset += 11
                if identifier == _TIMESTAMP:
                    values[_TIMESTAMP_PLACE] = number
            else:
                offset = _read_other(buffer, offset, values)
    except (IndexError, struct.error):
        _end_of_bytes()
    if offset == start:
        raise _Broken(NO_CHARSET)
    values[_RECORD] = buffer[start : offset + 1]
    return values, offset + 1


def _read_other(buffer: bytes, offset: int, values: list[Any]) -> int:
    """Read the headers, skip any other field; the offset behind it."""
    kind, identifier = _FIELD.unpack_from(buffer, offset)
    if identifier == _HEADERS and kind == _LIST:
        _, _, item, count = _LIST_FIELD.unpack_from(buffer, offset)
        if item == _STRING or count == 0:
            values[_PLACES[_HEADERS]], offset = _read_strings(buffer, offset + _LIST_FIELD.size, count)
            return offset
    return _skip(buffer, offset + _FIELD.size, kind, _DEPTH)


def _read_strings(buffer: bytes, offset: int, count: int) -> tuple[list[str], int]:
    size = len(buffer)
    _refuse_negative(count)
    if count > (size - offset) // 4:
        _end_of_bytes()
    strings = []
    for _ in range(count):
        end = offset + 4 + _length(buffer, offset)
        if end > size:
            _beyond_the_end(end - offset - 4)
        strings.append(buffer[offset + 4 : end].decode("utf-8", "replace"))
        offset = end
    return strings, offset


def _length(buffer: bytes, offset: int) -> int:
    """Four bytes, unsigned: what Thrift means as negative is longer than any buffer."""
    return buffer[offset] << 24 | buffer[offset + 1] << 16 | buffer[offset + 2] << 8 | buffer[offset + 3]


def _skip(buffer: bytes, offset: int, kind: int, depth: int) -> int:
    """The offset behind a value of this type, which is inside the buffer or at its end."""
    if depth == 0:
        raise _Broken("Maximum skip depth exceeded")
    if kind in _SIZES:
        return _behind(buffer, offset, _SIZES[kind])
    if kind == _STRING:
        return _behind(buffer, offset + 4, _LENGTH.unpack_from(buffer, offset)[0])
    if kind == _STRUCT:
        return _skip_struct(buffer, offset, depth)
    if kind == _MAP:
        return _skip_items(buffer, offset + 2, (buffer[offset], buffer[offset + 1]), depth)
    if kind in (_SET, _LIST):
        return _skip_items(buffer, offset + 1, (buffer[offset],), depth)
    raise _Broken(f"Unrecognized type {kind if kind < 128 else kind - 256}")


def _behind(buffer: bytes, offset: int, length: int) -> int:
    _refuse_negative(length)
    if offset + length > len(buffer):
        _end_of_bytes()
    return offset + length


def _skip_struct(buffer: bytes, offset: int, depth: int) -> int:
    while (kind := buffer[offset]) != _STOP:
        offset = _skip(buffer, offset + _FIELD.size, kind, depth - 1)
    return offset + 1


def _skip_items(buffer: bytes, offset: int, kinds: tuple[int, ...], depth: int) -> int:
    (count,) = _LENGTH.unpack_from(buffer, offset)
    offset += 4
    _refuse_negative(count)
    if count * len(kinds) > len(buffer) - offset:  # no value takes less than one byte
        _end_of_bytes()
    for _ in range(count):
        for kind in kinds:
            offset = _skip(buffer, offset, kind, depth - 1)
    return offset


def _refuse_negative(length: int) -> None:
    if length < 0:
        raise _Broken(f"Negative length: {length}")


def _beyond_the_end(length: int) -> NoReturn:
    """A length of `_length`."""
    _refuse_negative(length if length < 1 << 31 else length - (1 << 32))
    _end_of_bytes()


def _end_of_bytes() -> NoReturn:
    raise _Broken(END_OF_BYTES)
