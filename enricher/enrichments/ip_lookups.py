"""Looks user_ipaddress up in MaxMind databases: place, provider, domain, kind of connection, network."""

import math
import shutil
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import maxminddb
from pydantic import Field

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Entity, Patch, Resources
from enricher.enrichments.parts.address import literal
from enricher.enrichments.parts.files import DataFile, present
from enricher.enrichments.parts.network import network
from enricher.enrichments.parts.parameters import Parameters
from enricher.remembered import remembered
from enricher.values import tsv_safe
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "ip_lookups", "jsonschema", 2, 0)

_ADDRESS = INDEX["user_ipaddress"]
_REMEMBERED = 20_000


class Config(Parameters):
    geo: DataFile | None = None
    """GeoLite2-City or GeoIP2-City: the geo_ columns."""
    isp: DataFile | None = None
    """GeoIP2-ISP: ip_isp, ip_organization, and the asn entity."""
    domain: DataFile | None = None
    """GeoIP2-Domain: ip_domain."""
    connection_type: DataFile | None = Field(None, alias="connectionType")
    """GeoIP2-Connection-Type: ip_netspeed."""
    asn: DataFile | None = None
    """GeoLite2-ASN: the asn entity, where the ISP database has none."""


class State(NamedTuple):
    patch: Callable[[str], Patch | None]


Lookup = Callable[[IPv4Address | IPv6Address], Mapping[str, Any]]


def assets(config: Config) -> tuple[Asset, ...]:
    return tuple(chosen.asset(f"ip_{name}") for name, chosen in _databases(config).items() if chosen)


def _databases(config: Config) -> dict[str, DataFile | None]:
    return {
        "geo": config.geo,
        "isp": config.isp,
        "domain": config.domain,
        "connectionType": config.connection_type,
        "asn": config.asn,
    }


def prepare(config: Config, resources: Resources) -> State:
    readers = {wanted.name: _lookup(wanted, resources) for wanted in assets(config)}
    return State(remembered(_REMEMBERED)(lambda text: _patch(text, readers)))


def _lookup(wanted: Asset, resources: Resources) -> Lookup:
    path = present(wanted, resources)
    try:
        reader = _opened(path)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise EnrichmentRefused(f"{path} can't be read as a MaxMind database: {error}") from error

    def look_up(address: IPv4Address | IPv6Address) -> Mapping[str, Any]:
        try:
            found = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return {}
        return found if isinstance(found, dict) else {}

    return look_up


def _opened(path: Path) -> maxminddb.Reader:
    """The C reader over a memory map: the pure Python one is fourteen times slower.

    What is mapped is a copy without a name: the system kills whoever reads a map of a file that `cp` writes anew.
    """
    with NamedTemporaryFile(prefix="evnt-", suffix=".mmdb") as copy:
        shutil.copyfile(path, copy.name)
        return maxminddb.open_database(copy.name, maxminddb.MODE_MMAP_EXT)


def enrich(draft: Draft, state: State) -> Patch | None:
    text = draft.values[_ADDRESS]
    return state.patch(text) if text else None


def _patch(text: str, readers: Mapping[str, Lookup]) -> Patch | None:
    """An address that no database knows is no failure."""
    address = literal(text)
    if address is None:
        return None
    found = {name: look_up(address) for name, look_up in readers.items()}
    isp = found.get("ip_isp", {})
    fields = {
        **_place(found.get("ip_geo", {})),
        "ip_isp": isp.get("isp"),
        "ip_organization": isp.get("organization"),
        "ip_domain": found.get("ip_domain", {}).get("domain"),
        "ip_netspeed": found.get("ip_connectionType", {}).get("connection_type"),
    }
    provider = _network(isp) or _network(found.get("ip_asn", {}))
    return Patch(
        {column: tsv_safe(str(value)) for column, value in fields.items() if value},
        (provider,) if provider else (),
    )


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    """Databases of other makers have the same names for other things: what is of another shape is passed over."""
    if not record:
        return {}
    regions = record.get("subdivisions")
    region: Mapping[str, Any] = {"last": regions[-1]} if isinstance(regions, list) and regions else {}
    location = _part(record, "location")
    return {
        "geo_country": _part(record, "country").get("iso_code"),
        "geo_region": _part(region, "last").get("iso_code"),
        "geo_city": _part(record, "city", "names").get("en"),
        "geo_zipcode": _part(record, "postal").get("code"),
        "geo_latitude": _degrees(location.get("latitude")),
        "geo_longitude": _degrees(location.get("longitude")),
        "geo_region_name": _part(region, "last", "names").get("en"),
        "geo_timezone": location.get("time_zone"),
    }


def _part(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        part = record.get(name)
        record = part if isinstance(part, dict) else {}
    return record


def _degrees(value: Any) -> str:
    return float32(value if isinstance(value, int | float) else 0.0)


def _network(record: Mapping[str, Any]) -> Entity | None:
    number = record.get("autonomous_system_number")
    if not isinstance(number, int):
        return None
    return network(number, record.get("autonomous_system_organization") or None)


@lru_cache(maxsize=10_000)
def float32(value: float) -> str:
    """The shortest decimal that is this number in 32 bits, as java.lang.Float writes it."""
    narrow = struct.unpack("f", struct.pack("f", value))[0]
    candidates = (float(f"{narrow:.{size}g}") for size in range(1, 10))
    number = next(candidate for candidate in candidates if struct.pack("f", candidate) == struct.pack("f", narrow))
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        plain = f"{number:.{max(1, 9 - math.floor(math.log10(abs(number) or 1)))}f}".rstrip("0")
        return plain + "0" if plain.endswith(".") else plain
    mantissa, _, exponent = f"{number:.8e}".partition("e")
    mantissa = mantissa.rstrip("0")
    return f"{mantissa}0E{int(exponent)}" if mantissa.endswith(".") else f"{mantissa}E{int(exponent)}"
