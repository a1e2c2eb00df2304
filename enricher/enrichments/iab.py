"""Judges user agent and address by the IAB/ABC lists of spiders and bots, which IAB members can get.

Without those files the open list of the crawlerdetect package judges the user agent alone: fewer kinds of robot
are known, and the entity never names an impact.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from pydantic import Field, model_validator

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.parts.address import literal
from enricher.enrichments.parts.crawlers import detector
from enricher.enrichments.parts.files import DataFile, present
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.robots import IAB
from enricher.enrichments.parts.text import entity
from enricher.remembered import remembered
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "iab_spiders_and_robots_enrichment", "jsonschema", 1, 0
)
IDENTIFIER = "iab-spiders-and-robots"

_USERAGENT, _ADDRESS, _MOMENT = INDEX["useragent"], INDEX["user_ipaddress"], INDEX["derived_tstamp"]
_IMPACTS = {"0": "PAGE_IMPRESSIONS", "1": "AD_IMPRESSIONS", "2": "PAGE_AND_AD_IMPRESSIONS"}
_REMEMBERED = 20_000
#: Days that events are about at the same time.
_DAYS = 4


class Config(Parameters):
    ip_file: DataFile | None = Field(None, alias="ipFile")
    """Addresses and networks of robots: ip_exclude_current_cidr.txt."""
    exclude_useragent_file: DataFile | None = Field(None, alias="excludeUseragentFile")
    """User agents of robots: exclude_current.txt."""
    include_useragent_file: DataFile | None = Field(None, alias="includeUseragentFile")
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


class Excluded(NamedTuple):
    """A robot's pattern, what takes a user agent out of it again, and until which day it was active."""

    pattern: str
    exceptions: tuple[str, ...]
    impact: str
    at_start: bool
    until: str

    def covers(self, useragent: str) -> bool:
        """Of a user agent that has the pattern in it."""
        if self.at_start and not useragent.startswith(self.pattern):
            return False
        return not any(exception in useragent for exception in self.exceptions)


class Included(NamedTuple):
    """Browsers: user agents that start with one of, or that have one of, in them. `dated` ones until a day."""

    starts: tuple[str, ...]
    parts: tuple[str, ...]
    dated: tuple[tuple[str, bool, str], ...]

    def covers(self, useragent: str, day: str) -> bool:
        if useragent.startswith(self.starts) or any(part in useragent for part in self.parts):
            return True
        return any(
            day < until and (useragent.startswith(pattern) if at_start else pattern in useragent)
            for pattern, at_start, until in self.dated
        )


class Lists(NamedTuple):
    addresses: Callable[[IPv4Address | IPv6Address], bool]
    included: Included
    excluded: tuple[tuple[str, Excluded], ...]


class Judged(NamedTuple):
    """What a user agent is; None for one without visible characters. named: an option says so, no list counts."""

    patch: Patch | None
    named: bool


class State(NamedTuple):
    """Both parts remember: address(text): whether it is one, and listed; useragents(day)(text): what it is that day."""

    address: Callable[[str], tuple[bool, bool]]
    useragents: Callable[[str], Callable[[str], Judged]]


def assets(config: Config) -> tuple[Asset, ...]:
    files = (
        (config.ip_file, "iab_ipFile"),
        (config.exclude_useragent_file, "iab_excludeUseragentFile"),
        (config.include_useragent_file, "iab_includeUseragentFile"),
    )
    return tuple(file.asset(name) for file, name in files if file)


def prepare(config: Config, resources: Resources) -> State:
    files = [present(wanted, resources).read_text("iso-8859-1") for wanted in assets(config)]
    lists = read(*files) if files else None
    judge = partial(by_lists, lists) if lists else _by_crawlerdetect(config.crawlerdetect)
    listed = lists.addresses if lists else lambda _: False
    included = tuple(text.lower() for text in config.include_useragents)
    excluded = tuple(text.lower() for text in config.exclude_useragents)
    by_name = partial(_by_name, included=included, excluded=excluded)
    return State(
        remembered(_REMEMBERED)(partial(_address, listed)),
        lru_cache(_DAYS)(lambda day: remembered(_REMEMBERED)(partial(_judged, by_name, judge, day))),
    )


def _by_crawlerdetect(on: bool) -> Callable[[str, str], Verdict]:
    is_crawler = detector() if on else lambda _: False
    return lambda useragent, _: _NAMED if is_crawler(useragent) else _BROWSER


def _address(listed: Callable[[IPv4Address | IPv6Address], bool], text: str) -> tuple[bool, bool]:
    address = literal(text)
    return (False, False) if address is None else (True, listed(address))


def enrich(draft: Draft, state: State) -> Patch | None:
    """Lists know days, so events of one day share an answer. Names that the operator gives beat every list."""
    values = draft.values
    moment = values[_MOMENT]
    if not moment:
        return None
    patch, named = state.useragents(moment[:10])(values[_USERAGENT])
    is_address, is_listed = state.address(values[_ADDRESS])
    if is_listed and not named:
        return _patch(_BAD_ADDRESS)
    return patch if patch is not None or not is_address else _patch(_BROWSER)


def _judged(
    by_name: Callable[[str], Verdict | None], judge: Callable[[str, str], Verdict], day: str, text: str
) -> Judged:
    useragent = text.strip().lower()
    if not useragent:
        return Judged(None, named=False)
    named = by_name(useragent)
    return Judged(_patch(named or judge(useragent, day)), named is not None)


def _by_name(useragent: str, included: Iterable[str], excluded: Iterable[str]) -> Verdict | None:
    if any(text in useragent for text in included):
        return _BROWSER
    return _NAMED if any(text in useragent for text in excluded) else None


def by_lists(lists: Lists, useragent: str, day: str) -> Verdict:
    """The browsers first, then the robots. `useragent` is lower case, `day` is yyyy-MM-dd."""
    if not lists.included.covers(useragent, day):
        return _NOT_LISTED
    suspects = [entry for pattern, entry in lists.excluded if pattern in useragent]
    guilty = next((entry for entry in suspects if entry.covers(useragent)), None)
    if guilty is None:
        return _BROWSER
    activity = "ACTIVE" if not guilty.until or day < guilty.until else "INACTIVE"
    return Verdict(True, f"{activity}_SPIDER_OR_ROBOT", "FAILED_UA_EXCLUDE", guilty.impact)


@lru_cache(maxsize=64)
def _patch(verdict: Verdict) -> Patch:
    data = {
        "spiderOrRobot": verdict.robot,
        "category": verdict.category,
        "reason": verdict.reason,
        "primaryImpact": verdict.impact,
    }
    return Patch(contexts=(entity(IAB, data),))


def read(addresses: str, exclude: str, include: str) -> Lists:
    """The three lists from their texts. Raises EnrichmentRefused."""
    try:
        return Lists(networks(addresses), _included(include), tuple(_excluded(exclude)))
    except (IndexError, KeyError, ValueError) as error:
        raise EnrichmentRefused(f"an IAB list can't be read: {error}") from error


def _rows(text: str) -> Iterator[list[str]]:
    """Only line feeds end a line: ISO-8859-1 has a control character that Python takes for another line end."""
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            yield [cell.strip() for cell in line.split("|")]


def _included(text: str) -> Included:
    """An entry counts while it is active, and one that is not until its day."""
    starts: list[str] = []
    parts: list[str] = []
    dated: list[tuple[str, bool, str]] = []
    for pattern, active, at_start, *rest in _rows(text):
        if active != "1":
            dated.append((pattern.lower(), at_start == "1", _day(rest)))
        elif at_start == "1":
            starts.append(pattern.lower())
        else:
            parts.append(pattern.lower())
    return Included(tuple(starts), tuple(parts), tuple(dated))


def _excluded(text: str) -> Iterator[tuple[str, Excluded]]:
    """Entries that are neither active nor dated count for nothing."""
    for pattern, active, exceptions, _, impact, at_start, *rest in _rows(text):
        until = _day(rest)
        if active == "1" or until:
            excepted = tuple(part.strip().lower() for part in exceptions.split(",") if part.strip())
            lowered = pattern.lower()
            yield lowered, Excluded(lowered, excepted, _IMPACTS[impact], at_start == "1", until)


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
