"""CollectorPayload structs out of the bytes of the `raw` stream, bounds-checked whatever lengths those claim."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, NoReturn

from shared.payload import (
    HEADERS,
    I64,
    I64_FIELD,
    LENGTH,
    LIST,
    LIST_FIELD,
    PLACES,
    STRING,
    TIMESTAMP,
    CollectorPayload,
)

#: What Snowplow's own reader says of every truncation, and of a struct without an encoding.
NO_CHARSET: Final = "Null charset name"
END_OF_BYTES: Final = "Reached end of bytes when parsing as thrift format"

_TIMESTAMP_PLACE: Final = PLACES[TIMESTAMP]
_TEXTS: Final = {identifier: place for identifier, place in PLACES.items() if identifier not in (TIMESTAMP, HEADERS)}
_RECORD: Final = 14

_STOP: Final = 0
_STRUCT: Final = 12
_MAP: Final = 13
_SET: Final = 14
#: Bytes of a value of each type that has a fixed size: bool, byte, double, i16, i32, i64, uuid.
_SIZES: Final = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, I64: 8, 16: 16}
#: Containers inside containers: more than any real record has, few enough for the interpreter's stack.
_DEPTH: Final = 32

_FIELD: Final = Struct(">Bh")


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes in which no struct could be read up to its end, and why, as Thrift's own reader says it; everything behind
    them is in here too."""

    record: bytes
    reason: str


class _Broken(Exception):
    """No struct can be read here."""


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
            if kind == STRING:
                # read byte by byte: that costs nothing compiled, and hardly more than unpacking where it is not
                identifier = buffer[offset + 1] << 8 | buffer[offset + 2]
                end = offset + 7 + _length(buffer, offset + 3)
                if end > size:
                    _beyond_the_end(end - offset - 7)
                place = texts.get(identifier)
                if place is not None:
                    values[place] = buffer[offset + 7 : end].decode("utf-8", "replace")
                offset = end
            elif kind == I64:
                _, identifier, number = I64_FIELD.unpack_from(buffer, offset)
                offset += 11
                if identifier == TIMESTAMP:
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
    if identifier == HEADERS and kind == LIST:
        _, _, item, count = LIST_FIELD.unpack_from(buffer, offset)
        if item == STRING or count == 0:
            values[PLACES[HEADERS]], offset = _read_strings(buffer, offset + LIST_FIELD.size, count)
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
    if kind == STRING:
        return _behind(buffer, offset + 4, LENGTH.unpack_from(buffer, offset)[0])
    if kind == _STRUCT:
        return _skip_struct(buffer, offset, depth)
    if kind == _MAP:
        return _skip_items(buffer, offset + 2, (buffer[offset], buffer[offset + 1]), depth)
    if kind in (_SET, LIST):
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
    (count,) = LENGTH.unpack_from(buffer, offset)
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
