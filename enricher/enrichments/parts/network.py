"""The asn entity: the network that an address belongs to."""

from functools import lru_cache

from enricher.enrichments.contract import Entity
from enricher.enrichments.parts.text import entity

NETWORK = "iglu:com.snowplowanalytics.snowplow/asn/jsonschema/1-0-1"


@lru_cache(maxsize=10_000)
def network(number: int, organization: str | None, likely_bot: bool | None = None) -> Entity:
    """likely_bot: None where nobody judged it."""
    named = {} if organization is None else {"organization": organization}
    judged = {} if likely_bot is None else {"likelyBot": likely_bot}
    return entity(NETWORK, {"number": number, **named, **judged})
