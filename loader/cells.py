"""Which texts a typed column takes: the check of a whole chunk at once, and the verdict on one line.

The store would wrap integers that are too large and read any 36 characters as a UUID, silently; so what is typed
is checked here. Both ways use the same rules, over many texts or over one, and accept what enrichers write.
"""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from shared.event import FIELDS, INDEX, Kind

#: What a loader can't do without; Snowplow's Analytics SDK refuses these empty, too.
REQUIRED = ("event_id", "collector_tstamp", "v_collector", "v_etl")

_INT = re.compile(rb"-?[0-9]{1,10}")
_NUMBER = re.compile(rb"-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(rb"-?[0-9]{1,58}(?:\.[0-9]{1,300})?")
_INTEGER_DIGITS = 58  # of the tables' Decimal(76, 18)
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_HEX_TO_ZERO = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_TIME_SHAPE = b"0000-00-00 00:00:00.000"
_UUID_SHAPE = b"00000000-0000-0000-0000-000000000000"

#: The store's times reach from 1900 to 2299.
_OLDEST, _NEWEST = b"1900", b"2300"


def are_ints(texts: Collection[bytes]) -> bool:
    """Decimal integers of 32 bits with sign."""
    return all(_INT.fullmatch(text) and _SMALLEST <= int(text) <= _LARGEST for text in texts)


def are_bools(texts: Collection[bytes]) -> bool:
    """`1` or `0`."""
    return {b"0", b"1"}.issuperset(texts)


def are_numbers(texts: Collection[bytes]) -> bool:
    """Decimal numbers, with an exponent or without."""
    return all(map(_NUMBER.fullmatch, texts))


def are_decimals(texts: Collection[bytes]) -> bool:
    """Decimal numbers that the store's decimals reach."""
    return all(_PLAIN.fullmatch(text) or (_NUMBER.fullmatch(text) and _reached(text)) for text in texts)


def _reached(text: bytes) -> bool:
    return Decimal(text.decode("ascii")).adjusted() < _INTEGER_DIGITS


def are_uuids(texts: Collection[bytes]) -> bool:
    """UUIDs of any version, in either case."""
    return _shaped(texts, _HEX_TO_ZERO, _UUID_SHAPE)


def are_timestamps(texts: Collection[bytes]) -> bool:
    """`yyyy-MM-dd HH:mm:ss.SSS`, real moments between 1900 and 2299."""
    if not texts:
        return True
    if not _shaped(texts, _DIGITS_TO_ZERO, _TIME_SHAPE) or min(texts) < _OLDEST or max(texts) >= _NEWEST:
        return False
    try:
        list(map(datetime.fromisoformat, b"\n".join(texts).decode("ascii").split("\n")))
    except ValueError:
        return False
    return True


def _shaped(texts: Collection[bytes], mapping: bytes, shape: bytes) -> bool:
    return b"\n".join(texts).translate(mapping) == b"\n".join([shape] * len(texts))


class Typed(NamedTuple):
    """A kind of column that is judged. `called` is the word for it in Snowplow's bad rows."""

    places: tuple[int, ...]
    accepts: Callable[[Collection[bytes]], bool]
    called: str


def _typed(accepts: Callable[[Collection[bytes]], bool], called: str, *kinds: Kind) -> Typed:
    # The session id is the tracker's to choose: text in every warehouse, though the enricher asks for a UUID.
    places = (place for place, field in enumerate(FIELDS) if field.kind in kinds and field.name != "domain_sessionid")
    return Typed(tuple(places), accepts, called)


_TYPED = (
    _typed(are_uuids, "UUID", "uuid"),
    _typed(are_timestamps, "datetime", "timestamp"),
    _typed(are_ints, "integer", "int"),
    _typed(are_bools, "boolean", "bool"),
    _typed(are_decimals, "double", "decimal"),
    _typed(are_numbers, "double", "float"),
)
_REQUIRED = tuple(INDEX[name] for name in REQUIRED)


def sound(cells: Sequence[bytes], stride: int) -> bool:
    """Whether every typed cell of a chunk can be stored.

    cells: all cells of all lines; a column is every `stride`-th of them. Distinct values are judged once.
    """
    if any(b"" in cells[place::stride] for place in _REQUIRED):
        return False
    return all(
        typed.accepts(set().union(*(cells[place::stride] for place in typed.places)) - {b""}) for typed in _TYPED
    )


def errors(cells: Sequence[bytes]) -> list[dict[str, Any]]:
    """Every typed cell of one line that can't be stored, as the errors of a RowDecodingError, in column order."""
    empty = {place: f"Field {FIELDS[place].name} cannot be empty" for place in _REQUIRED if not cells[place]}
    wrong = {
        place: f"Cannot parse key {FIELDS[place].name} into {typed.called}{_limit(typed.called, cells[place])}"
        for typed in _TYPED
        for place in typed.places
        if cells[place] and not typed.accepts([cells[place]])
    }
    found = sorted((empty | wrong).items())
    return [invalid_value(FIELDS[place].name, cells[place], message) for place, message in found]


def _limit(called: str, cell: bytes) -> str:
    """What only the store can't hold is a time or number to everybody else: then that is the reason."""
    if called == "datetime" and cell[:4].isdigit() and are_timestamps([b"2000" + cell[4:]]):
        return ": outside of 1900 to 2299, which is what tables hold"
    if called == "double" and _NUMBER.fullmatch(cell):
        return f": more than {_INTEGER_DIGITS} digits before the point, which is what tables hold"
    return ""


def invalid_value(key: str, value: bytes, message: str) -> dict[str, Any]:
    """One error of a RowDecodingError."""
    return {"type": "InvalidValue", "key": key, "value": value.decode("utf-8", "replace"), "message": message}
