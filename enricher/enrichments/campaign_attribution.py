"""Reads campaign parameters and click ids from the query of page_url."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.values import tsv_safe
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "campaign_attribution", "jsonschema", 1, 0)

_NOTHING = Patch(
    dict.fromkeys(
        ("mkt_medium", "mkt_source", "mkt_term", "mkt_content", "mkt_campaign", "mkt_clickid", "mkt_network"), ""
    )
)
_CLICK_IDS = {"gclid": "Google", "msclkid": "Microsoft", "dclid": "DoubleClick"}


class Fields(Parameters):
    mkt_medium: tuple[str, ...] = Field(alias="mktMedium")
    """Parameters that name the medium, the preferred one first."""
    mkt_source: tuple[str, ...] = Field(alias="mktSource")
    """Parameters that name the source."""
    mkt_term: tuple[str, ...] = Field(alias="mktTerm")
    """Parameters that name the search term."""
    mkt_content: tuple[str, ...] = Field(alias="mktContent")
    """Parameters that name the content."""
    mkt_campaign: tuple[str, ...] = Field(alias="mktCampaign")
    """Parameters that name the campaign."""
    mkt_click_id: dict[str, str] = Field(default_factory=dict, alias="mktClickId")
    """Click id parameters and the network of each, beside gclid, msclkid and dclid."""


class Config(Parameters):
    mapping: Literal["static", "script"] | None = None
    """Accepted and ignored, as upstream does."""
    fields: Fields
    """Which parameter feeds which column."""


class State(NamedTuple):
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    click_ids: Mapping[str, str]
    names: frozenset[str]


def prepare(config: Config, _: Resources) -> State:
    names = config.fields
    columns = (
        ("mkt_medium", names.mkt_medium),
        ("mkt_source", names.mkt_source),
        ("mkt_term", names.mkt_term),
        ("mkt_content", names.mkt_content),
        ("mkt_campaign", names.mkt_campaign),
    )
    click_ids = _CLICK_IDS | names.mkt_click_id
    return State(columns, click_ids, frozenset(click_ids).union(*(chosen for _, chosen in columns)))


def enrich(draft: Draft, state: State) -> Patch | None:
    """All seven columns are written, also to null, once there is a page_url."""
    query = draft.page_query
    if query is None:
        return None
    if state.names.isdisjoint(query):
        return _NOTHING
    fields = {column: _first(query, names) for column, names in state.columns}
    click = next((name for name in state.click_ids if name in query), None)
    fields["mkt_clickid"] = tsv_safe(query[click] or "") if click else ""
    fields["mkt_network"] = tsv_safe(state.click_ids[click]) if click else ""
    return Patch(fields)


def _first(query: Mapping[str, str | None], names: Iterable[str]) -> str:
    """The first name that is present wins, even with an empty value."""
    for name in names:
        if name in query:
            return tsv_safe(query[name] or "")
    return ""
