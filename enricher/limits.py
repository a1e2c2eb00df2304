"""Longest texts of the columns, in UTF-16 code units, as Snowplow counts them."""

from collections.abc import Mapping, Sequence
from typing import Final

from enricher.mapping import AtomicError
from shared.event import FIELDS, INDEX

#: Never emptied: loaders need them.
_KEPT: Final = frozenset(INDEX[name] for name in ("event_id", "collector_tstamp", "v_collector", "v_etl"))
_LIMITED: Final = {field.name: field.limit for field in FIELDS if field.limit is not None}


class AtomicLimits:
    """`overrides`: column → limit, over those of FIELDS. Raises KeyError for a column that has no limit."""

    def __init__(self, overrides: Mapping[str, int] | None = None) -> None:
        for column in overrides or {}:
            if column not in _LIMITED:
                raise KeyError(column)
        limits = _LIMITED | dict(overrides or {})
        self._limited = [field for field in FIELDS if field.name in limits]
        self._places = [INDEX[field.name] for field in self._limited]
        self._limits = [limits[field.name] for field in self._limited]
        #: A text of half the limit may already be too long: characters outside the BMP count twice. An id has none.
        self._harmless = [
            limit if field.kind == "uuid" else limit // 2
            for field, limit in zip(self._limited, self._limits, strict=True)
        ]

    def violations(self, values: list[str]) -> Sequence[AtomicError]:
        """Hot path: nearly always nothing is anywhere near its limit."""
        for number in range(len(self._places)):  # compiled, this takes a third of what zip() does
            if len(values[self._places[number]]) > self._harmless[number]:
                return self._found(values)
        return ()

    def _found(self, values: list[str]) -> list[AtomicError]:
        return [
            AtomicError(
                field.name,
                values[place],
                f"Field is longer than maximum allowed size {limit}",
                "atomic_field_length_exceeded",
            )
            for field, place, limit in zip(self._limited, self._places, self._limits, strict=True)
            if _utf16_length(values[place]) > limit
        ]


def _utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clear(values: list[str], errors: Sequence[AtomicError]) -> None:
    """Empty the columns that are too long, as far as loaders can do without them."""
    for error in errors:
        index = INDEX[error.path]
        if index not in _KEPT:
            values[index] = ""
