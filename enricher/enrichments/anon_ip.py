"""Masks the tail of user_ipaddress, after every enrichment that reads the whole address."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from pydantic import Field, field_validator

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.remembered import remembered
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "anon_ip", "jsonschema", 1, 0)

_ADDRESS = INDEX["user_ipaddress"]
_MAPPED = "::FFFF:"
_GROUPS = 8
_REMEMBERED = 20_000


class Config(Parameters):
    anon_octets: int = Field(alias="anonOctets")
    """How many of the four parts of an IPv4 address are masked, from the right: 1 to 4."""
    anon_segments: int | None = Field(None, alias="anonSegments")
    """How many of the eight groups of an IPv6 address are masked: 1 to 8. Without it, as many as anonOctets."""

    @field_validator("anon_octets", mode="after")
    @classmethod
    def _octets(cls, value: int) -> int:
        if value not in range(1, 5):
            raise ValueError(
                f"IPv4 address octets to anonymize must be 1, 2, 3 or 4. Value: {value} was given. "
                "Error: [value out of range]"
            )
        return value

    @field_validator("anon_segments", mode="after")
    @classmethod
    def _segments(cls, value: int | None) -> int | None:
        if value is not None and value not in range(1, 9):
            raise ValueError(
                f"IPv6 address segments to anonymize must be 1, 2, 3, 4, 5, 6, 7 or 8. Value: {value} was given. "
                "Error: [value out of range]"
            )
        return value


class State(NamedTuple):
    """of(address): the patch that masks it."""

    of: Callable[[str], Patch]


def prepare(config: Config, _: Resources) -> State:
    octets, segments = config.anon_octets, config.anon_segments or config.anon_octets
    return State(remembered(_REMEMBERED)(lambda text: Patch({"user_ipaddress": masked(text, octets, segments)})))


def enrich(draft: Draft, state: State) -> Patch | None:
    address = draft.values[_ADDRESS]
    return state.of(address) if address else None


def masked(address: str, octets: int, segments: int) -> str:
    """What is no address is masked by its looks: `.` as IPv4, `:` as IPv6, anything else stays."""
    parsed = _literal(address)
    if parsed is None:
        if "." in address or not address:
            return _masked_v4(address, octets)
        return _masked_v6(address, segments) if ":" in address else address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return _masked_v6(":".join(f"{int(group, 16):x}" for group in parsed.exploded.split(":")), segments)
    prefix = _MAPPED if address.startswith(_MAPPED) else ""
    return prefix + _masked_v4(address[len(prefix) :], octets)


def _literal(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address) if "%" not in address else None
    except ValueError:
        return None


def _masked_v4(address: str, octets: int) -> str:
    parts = _parts(address, ".")
    kept = parts[: 4 - octets]
    return ".".join(kept + ["x"] * (len(parts) - len(kept)))


def _masked_v6(address: str, segments: int) -> str:
    kept = _parts(address, ":")[: _GROUPS - segments]
    return ":".join(kept + ["x"] * (_GROUPS - len(kept)))


def _parts(address: str, separator: str) -> list[str]:
    """Split as Java does: empty parts at the end vanish, but an empty text is one empty part."""
    parts = address.split(separator)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts if address.strip(separator) or not address else []
