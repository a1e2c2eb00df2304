"""The enrichments, in the order in which they run, with the reason for each one's place.

The order is Snowplow's. It shows: later enrichments see what earlier ones wrote, and derived_contexts lists the
latest first.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from enricher.enrichments import (
    anon_ip,
    asn_lookups,
    bot_detection,
    campaign_attribution,
    cookie_extractor,
    cross_navigation,
    event_fingerprint,
    http_header_extractor,
    ip_lookups,
    referer_parser,
    ua_parser,
)


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


ORDER: tuple[Step, ...] = (
    Step(ua_parser, "reads the user agent only", default={}),
    Step(referer_parser, "the referrer and page URLs were split before"),
    Step(campaign_attribution, "reads page_url, which a script may change later"),
    Step(cross_navigation, "reads page_url; its two columns are part of the protocol", {"attach": False}, always=True),
    Step(event_fingerprint, "reads what the tracker sent, never what was derived", default={}),
    Step(cookie_extractor, "reads request headers only"),
    Step(http_header_extractor, "reads request headers only"),
    Step(ip_lookups, "needs the whole address, so before anon_ip"),
    Step(asn_lookups, "judges the network that ip_lookups found"),
    Step(bot_detection, "sums up iab, yauaa and asn_lookups"),
    Step(anon_ip, "after all that read the whole address"),
)
