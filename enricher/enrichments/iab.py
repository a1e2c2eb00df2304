"""Judges user agent and address by the IAB/ABC lists of spiders and bots, which IAB members can get.

Without those files the open list of the crawlerdetect package judges the user agent alone: fewer kinds of robot
are known, and the entity never names an impact.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from crawlerdetect import CrawlerDetect
from pydantic import Field, field_validator, model_validator

from enricher.enrichments.contract import (
    Asset,
    Draft,
    EnrichmentRefused,
    Parameters,
    Patch,
    Resources,
)
from enricher.enrichments.parts.address import literal
from enricher.enrichments.parts.files import asset, checked_uri, present
from enricher.enrichments.parts.text import entity
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "iab_spiders_and_robots_enrichment", "jsonschema", 1, 0
)
IDENTIFIER = "iab-spiders-and-robots"

_OUTPUT = "iglu:com.iab.snowplow/spiders_and_robots/jsonschema/1-0-0"
_USERAGENT, _ADDRESS, _MOMENT = INDEX["useragent"], INDEX["user_ipaddress"], INDEX["derived_tstamp"]
_IMPACTS = {"0": "PAGE_IMPRESSIONS", "1": "AD_IMPRESSIONS", "2": "PAGE_AND_AD_IMPRESSIONS"}
_REMEMBERED = 20_000


class ListFile(Parameters):
    database: str
    """Name of the list."""
    uri: str = ""
    """Where it lies: a folder, relative to the configuration's, or a web address for `fetch`."""

    @field_validator("uri")
    @classmethod
    def _uri(cls, uri: str) -> str:
        return checked_uri(uri)


class Config(Parameters):
    ip_file: ListFile | None = Field(None, alias="ipFile")
    """Addresses and networks of robots: ip_exclude_current_cidr.txt."""
    exclude_useragent_file: ListFile | None = Field(None, alias="excludeUseragentFile")
    """User agents of robots: exclude_current.txt."""
    include_useragent_file: ListFile | None = Field(None, alias="includeUseragentFile")
    """User agents of browsers: include_current.txt."""
    exclude_useragents: tuple[str, ...] = Field((), alias="excludeUseragents")
    """Further robots: parts of user agents, case ignored."""
    include_useragents: tuple[str, ...] = Field((), alias="includeUseragents")
    """Further browsers: parts of user agents, case ignored. They beat every list."""
    crawlerdetect: bool = True
    """Judge by the crawlerdetect list where there are no IAB files. evnt's own option."""

    @model_validator(mode="after")
    def _all_or_none(self) -> "Config":
        files = (self.ip_file, self.exclude_useragent_file, self.include_useragent_file)
        if any(files) and not all(files):
            raise ValueError("expected ipFile, excludeUseragentFile and includeUseragentFile, or none of them")
        return self


class Verdict(NamedTuple):
    robot: bool
    category: str
    reason: str
    impact: str


_BROWSER = Verdict(False, "BROWSER", "PASSED_ALL", "NONE")
_BAD_ADDRESS = Verdict(True, "SPIDER_OR_ROBOT", "FAILED_IP_EXCLUDE", "UNKNOWN")
_NOT_LISTED = Verdict(True, "SPIDER_OR_ROBOT", "FAILED_UA_INCLUDE", "UNKNOWN")
_NAMED = Verdict(True, "SPIDER_OR_ROBOT", "FAILED_UA_EXCLUDE", "UNKNOWN")


class Included(NamedTuple):
    pattern: str
    active: bool
    at_start: bool
    until: str

    def covers(self, useragent: str, moment: str) -> bool:
        return (self.active or moment < self.until) and _matches(useragent, self.pattern, self.at_start)


class Excluded(NamedTuple):
    pattern: str
    exceptions: tuple[str, ...]
    impact: str
    at_start: bool
    until: str

    def covers(self, useragent: str) -> bool:
        return _matches(useragent, self.pattern, self.at_start) and not any(
            exception in useragent for exception in self.exceptions
        )


class Lists(NamedTuple):
    addresses: Callable[[IPv4Address | IPv6Address], bool]
    included: tuple[Included, ...]
    excluded: tuple[Excluded, ...]


class State(NamedTuple):
    judge: Callable[[str, str, str], Patch]


def assets(config: Config) -> tuple[Asset, ...]:
    files = (
        (config.ip_file, "iab_ipFile"),
        (config.exclude_useragent_file, "iab_excludeUseragentFile"),
        (config.include_useragent_file, "iab_includeUseragentFile"),
    )
    return tuple(asset(file.uri, file.database, name) for file, name in files if file)


def prepare(config: Config, resources: Resources) -> State:
    files = [present(wanted, resources).read_text("iso-8859-1") for wanted in assets(config)]
    lists = read(*files) if files else None
    crawler = CrawlerDetect().isCrawler if config.crawlerdetect and not lists else None
    included = tuple(text.lower() for text in config.include_useragents)
    excluded = tuple(text.lower() for text in config.exclude_useragents)

    def judged(useragent: str, address: str, moment: str) -> Patch:
        lowered = useragent.lower()
        verdict = _by_name(lowered, included, excluded)
        if verdict is None and lists:
            verdict = by_lists(lists, lowered, literal(address), moment)
        elif verdict is None and crawler and useragent and crawler(useragent):
            verdict = _NAMED
        return _patch(verdict or _BROWSER)

    return State(lru_cache(_REMEMBERED)(judged))


def enrich(draft: Draft, state: State) -> Patch | None:
    """The lists know days, so events of one day share an answer."""
    values = draft.values
    useragent, address, moment = values[_USERAGENT].strip(), values[_ADDRESS], values[_MOMENT]
    if not moment or not (useragent or literal(address)):
        return None
    return state.judge(useragent, address, moment[:10])


def _by_name(useragent: str, included: Iterable[str], excluded: Iterable[str]) -> Verdict | None:
    if useragent and any(text in useragent for text in included):
        return _BROWSER
    return _NAMED if useragent and any(text in useragent for text in excluded) else None


def by_lists(lists: Lists, useragent: str, address: IPv4Address | IPv6Address | None, day: str) -> Verdict:
    """Address first, then the browsers, then the robots. `useragent` is lower case, `day` is yyyy-MM-dd."""
    if address is not None and lists.addresses(address):
        return _BAD_ADDRESS
    if not useragent:
        return _BROWSER
    if not any(entry.covers(useragent, day) for entry in lists.included):
        return _NOT_LISTED
    guilty = next((entry for entry in lists.excluded if entry.covers(useragent)), None)
    if guilty is None:
        return _BROWSER
    activity = "ACTIVE" if not guilty.until or day < guilty.until else "INACTIVE"
    return Verdict(True, f"{activity}_SPIDER_OR_ROBOT", "FAILED_UA_EXCLUDE", guilty.impact)


def _matches(useragent: str, pattern: str, at_start: bool) -> bool:
    return useragent.startswith(pattern) if at_start else pattern in useragent


@lru_cache(maxsize=64)
def _patch(verdict: Verdict) -> Patch:
    data = {
        "spiderOrRobot": verdict.robot,
        "category": verdict.category,
        "reason": verdict.reason,
        "primaryImpact": verdict.impact,
    }
    return Patch(contexts=(entity(_OUTPUT, data),))


def read(addresses: str, exclude: str, include: str) -> Lists:
    """The three lists from their texts. Raises EnrichmentRefused."""
    try:
        return Lists(networks(addresses), tuple(_included(include)), tuple(_excluded(exclude)))
    except (IndexError, KeyError, ValueError) as error:
        raise EnrichmentRefused(f"an IAB list can't be read: {error}") from error


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            yield [cell.strip() for cell in line.split("|")]


def _included(text: str) -> Iterator[Included]:
    for row in _rows(text):
        pattern, active, at_start, *rest = row
        yield Included(pattern.lower(), active == "1", at_start == "1", _day(rest))


def _excluded(text: str) -> Iterator[Excluded]:
    """Entries that are neither active nor dated count for nothing."""
    for pattern, active, exceptions, _, impact, at_start, *rest in _rows(text):
        until = _day(rest)
        if active == "1" or until:
            excepted = tuple(part.strip().lower() for part in exceptions.split(",") if part.strip())
            yield Excluded(pattern.lower(), excepted, _IMPACTS[impact], at_start == "1", until)


def _day(cells: list[str]) -> str:
    """`03/30/2017` as 2017-03-30; what is no date is none."""
    try:
        return datetime.strptime(cells[0], "%m/%d/%Y").date().isoformat() if cells else ""  # noqa: DTZ007 - a day
    except ValueError:
        return ""


def networks(text: str) -> Callable[[IPv4Address | IPv6Address], bool]:
    """Whether an address lies in one of the networks: ranges merged and sorted, one binary search a question."""
    starts: dict[int, list[int]] = {4: [], 6: []}
    ends: dict[int, list[int]] = {4: [], 6: []}
    lines = (line.strip() for line in text.splitlines())
    listed = [ip_network(line, strict=False) for line in lines if line and not line.startswith("#")]
    for network in sorted(listed, key=lambda one: (one.version, int(one.network_address))):
        first, last = int(network.network_address), int(network.broadcast_address)
        known = ends[network.version]
        if known and first <= known[-1] + 1:
            known[-1] = max(known[-1], last)
        else:
            starts[network.version].append(first)
            known.append(last)

    def contains(address: IPv4Address | IPv6Address) -> bool:
        position = bisect_right(starts[address.version], int(address)) - 1
        return position >= 0 and int(address) <= ends[address.version][position]

    return contains
