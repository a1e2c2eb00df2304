"""Says of the asn entity whether its network is one that bots come from."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Entity, Patch, Resources
from enricher.enrichments.parts.files import DataFile, present
from enricher.enrichments.parts.network import NETWORK, network
from enricher.enrichments.parts.parameters import Parameters
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow.enrichments", "asn_lookups", "jsonschema", 1, 0)

Platform = Literal["web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"]

_PLATFORM = INDEX["platform"]
_LARGEST = 2**31 - 1


class Network(Parameters):
    asn: Annotated[int, Field(ge=0, le=_LARGEST)]
    """Number of the autonomous system."""
    name: str | None = None
    """For the reader of the configuration only."""


class Config(Parameters):
    bot_asns_file: DataFile | None = Field(None, alias="botAsnsFile")
    """CSV file of networks that bots come from: a header line, then the network's number before the first comma."""
    bot_asns: tuple[Network, ...] = Field((), alias="botAsns")
    """Networks beside those of the file."""
    bypass_platforms: tuple[Platform, ...] = Field((), alias="bypassPlatforms")
    """Platforms whose events are not judged, such as srv."""


class State(NamedTuple):
    bots: frozenset[int]
    bypassed: frozenset[str]


def assets(config: Config) -> tuple[Asset, ...]:
    chosen = config.bot_asns_file
    return (chosen.asset(f"asn_{chosen.database}"),) if chosen else ()


def prepare(config: Config, resources: Resources) -> State:
    listed = [number for wanted in assets(config) for number in _numbers(present(wanted, resources))]
    named = [network.asn for network in config.bot_asns]
    return State(frozenset(listed + named), frozenset(config.bypass_platforms))


def _numbers(path: Path) -> list[int]:
    try:
        with path.open(encoding="utf-8") as lines:
            next(lines, None)
            return [int(line.partition(",")[0].strip()) for line in lines]
    except (OSError, ValueError) as error:
        raise EnrichmentRefused(f"Failed to parse CSV file with ASNs. Error: {error} in {path}") from error


def enrich(draft: Draft, state: State) -> Patch | None:
    if draft.values[_PLATFORM] in state.bypassed or NETWORK not in [one.schema for one in draft.derived]:
        return None
    return Patch(derived=[_judged(one, state.bots) if one.schema == NETWORK else one for one in draft.derived])


def _judged(one: Entity, bots: frozenset[int]) -> Entity:
    number = one.data.get("number")
    return network(number, one.data.get("organization"), number in bots)
