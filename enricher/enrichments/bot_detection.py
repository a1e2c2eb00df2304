"""Sums up what other enrichments and the tracker say about bots."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.network import NETWORK
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.robots import IAB, YAUAA
from enricher.enrichments.parts.text import entity
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "bot_detection_enrichment_config", "jsonschema", 1, 0
)

_OUTPUT = "iglu:com.snowplowanalytics.snowplow/bot_detection/jsonschema/1-0-1"
_CLIENT_SIDE = "iglu:com.snowplowanalytics.snowplow/client_side_bot_detection/jsonschema/1-0-0"
_AGENTS = ("Robot", "Robot Mobile")
_DEVICES = (*_AGENTS, "Robot Imitator")


class Config(Parameters):
    use_yauaa: bool = Field(alias="useYauaa")
    """Believe the yauaa enrichment."""
    use_iab: bool = Field(alias="useIab")
    """Believe the iab enrichment."""
    use_asn_lookups: bool = Field(alias="useAsnLookups")
    """Believe the asn_lookups enrichment."""
    use_client_side_detection: bool = Field(False, alias="useClientSideDetection")
    """Believe the tracker's client_side_bot_detection entity."""


Judge = tuple[str, Callable[[Mapping[str, Any]], bool]]


class State(NamedTuple):
    derived: Mapping[str, Judge]
    client_side: bool


def prepare(config: Config, _: Resources) -> State:
    judges: dict[str, Judge] = {}
    if config.use_yauaa:
        judges[YAUAA] = ("yauaa", _is_robot)
    if config.use_iab:
        judges[IAB] = ("iab", lambda data: data.get("spiderOrRobot") is True)
    if config.use_asn_lookups:
        judges[NETWORK] = ("asnLookups", lambda data: data.get("likelyBot") is True)
    return State(judges, config.use_client_side_detection)


def _is_robot(data: Mapping[str, Any]) -> bool:
    return data.get("deviceClass") in _DEVICES or data.get("agentClass") in _AGENTS


def enrich(draft: Draft, state: State) -> Patch | None:
    """Exact schema versions count, as upstream. What came last to the entities comes last here too."""
    indicators: list[str] = []
    if state.client_side:
        said = [one for one in draft.contexts if one.schema == _CLIENT_SIDE and one.data.get("bot") is True]
        indicators += ["clientSideDetection"] * len(said)
    judges = state.derived
    for made in reversed(draft.derived):
        if made.schema in judges:
            name, judge = judges[made.schema]
            if judge(made.data):
                indicators.append(name)
    return _patch(tuple(indicators))


@lru_cache(maxsize=1_000)
def _patch(indicators: tuple[str, ...]) -> Patch:
    return Patch(contexts=(entity(_OUTPUT, {"bot": bool(indicators), "indicators": list(indicators)}),))
