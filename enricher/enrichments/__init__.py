"""The enrichments, in the order in which they run, with the reason for each one's place.

The order is Snowplow's. It shows: later enrichments see what earlier ones wrote, and derived_contexts lists the
latest first.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from enricher.enrichments import (
    anon_ip,
    api_request,
    asn_lookups,
    bot_detection,
    campaign_attribution,
    cookie_extractor,
    cross_navigation,
    currency_conversion,
    event_fingerprint,
    event_spec,
    http_header_extractor,
    iab,
    ip_lookups,
    javascript_script,
    pii,
    python_script,
    referer_parser,
    seed_compat,
    sql_query,
    ua_parser,
    user_agent_utils,
    weather,
    yauaa,
)
from shared.schema import SchemaCriterion


class Step(NamedTuple):
    """One place in the order.

    default: parameters it runs with while no configuration file names it; None where it is off then.
    always: it can't be switched off; a file with `enabled: false` leaves it with its default.
    several: more than one configuration file may name it; they run in the order of the files' names.
    """

    module: ModuleType
    reason: str
    default: Mapping[str, Any] | None = None
    always: bool = False
    several: bool = False

    @property
    def name(self) -> str:
        return self.module.__name__.rpartition(".")[2]

    @property
    def criteria(self) -> tuple[SchemaCriterion, ...]:
        """Of the configurations that switch it on."""
        return (self.module.SCHEMA, *getattr(self.module, "ALIASES", ()))


ORDER: tuple[Step, ...] = (
    Step(seed_compat, "fills columns that all others may read"),
    Step(iab, "reads user agent and address only"),
    Step(user_agent_utils, "reads the user agent only"),
    Step(ua_parser, "reads the user agent only", default={}),
    Step(currency_conversion, "reads what the tracker sent, before a script may change it"),
    Step(referer_parser, "the referrer and page URLs were split before"),
    Step(campaign_attribution, "reads page_url, which a script may change later"),
    Step(cross_navigation, "reads page_url; its two columns are part of the protocol", {"attach": False}, always=True),
    Step(event_fingerprint, "reads what the tracker sent, never what was derived", default={}),
    Step(cookie_extractor, "reads request headers only"),
    Step(http_header_extractor, "reads request headers only"),
    Step(yauaa, "after all that upstream attaches before it: the order of derived_contexts shows"),
    Step(ip_lookups, "needs the whole address, so before anon_ip"),
    Step(weather, "needs the place that ip_lookups found; upstream asks before and never has one"),
    Step(asn_lookups, "judges the network that ip_lookups found"),
    Step(bot_detection, "sums up iab, yauaa, asn_lookups and the tracker's word"),
    Step(python_script, "sees everything known so far, and may filter before anybody pays for a lookup", several=True),
    Step(javascript_script, "as python_script", several=True),
    Step(sql_query, "may ask with what scripts wrote", several=True),
    Step(api_request, "may ask with what scripts and the database said", several=True),
    Step(anon_ip, "after all that read the whole address"),
    Step(pii, "after all that read the originals; what it hashes was masked before"),
    Step(event_spec, "judges what will be stored, pseudonyms included"),
)
