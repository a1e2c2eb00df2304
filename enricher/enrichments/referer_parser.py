"""Says what kind of site sent the user: search engine, social network, mail service, or this site itself."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml
from pydantic import Field, field_validator

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.parts.files import Located, asset, present
from enricher.enrichments.parts.text import query_pairs
from enricher.remembered import remembered
from enricher.values import tsv_safe
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "referer_parser", "jsonschema", 2, 0)

_OWN_LIST = Path(__file__).parent / "referers.yml"
_SCHEME, _HOST, _PATH, _QUERY = (INDEX[f"refr_url{part}"] for part in ("scheme", "host", "path", "query"))
_PAGE_HOST = INDEX["page_urlhost"]
_SCHEMES = ("http", "https", "android-app")
_REMEMBERED = 10_000
#: Characters of a name in the DNS.
_LONGEST_HOST = 253


class Config(Located):
    internal_domains: tuple[str, ...] = Field((), alias="internalDomains")
    """Hosts that count as this site, compared exactly."""
    database: str | None = None
    """Name of the referer database (`referers-latest.json`). Without it, evnt's own compact list is used."""
    referrers: dict[str, Any] = Field(default_factory=dict)
    """Further entries, looked up before the database: medium → source → {domains, parameters}."""

    @field_validator("referrers", mode="before")
    @classmethod
    def _object(cls, referrers: Any) -> Any:
        if not isinstance(referrers, dict):
            raise ValueError("Can't decode referers: Referers json must be an object")
        return referrers


class Source(NamedTuple):
    medium: str
    name: str
    parameters: frozenset[str]


class Sources(NamedTuple):
    """by_key: host, or host and path → what it is. hosts: all that occur, to turn unknown ones away quickly."""

    by_key: Mapping[str, Source]
    hosts: frozenset[str]


#: A list that knows a host or some of its parents, and those.
Known = tuple[Mapping[str, Source], tuple[str, ...]]


class State(NamedTuple):
    """known(host): the lists that may have it; nearly always none, or the same few hosts again."""

    internal: frozenset[str]
    known: Callable[[str], tuple[Known, ...]]


def assets(config: Config) -> tuple[Asset, ...]:
    return (asset(config.uri, config.database, "referer-parser.json"),) if config.database else ()


def prepare(config: Config, resources: Resources) -> State:
    wanted = assets(config)
    path = present(wanted[0], resources) if wanted else _OWN_LIST
    lists = (sources(config.referrers, "referrers"), sources(_read(path), str(path)))
    return State(
        frozenset(name.strip() for name in config.internal_domains), remembered(_REMEMBERED)(partial(_known, lists))
    )


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise EnrichmentRefused(f"{path} is not a referer database: {error}") from error


def sources(database: Any, where: str) -> Sources:
    """Raises EnrichmentRefused."""
    found: dict[str, Source] = {}
    try:
        for medium, entries in (database or {}).items():
            for name, entry in entries.items():
                source = Source(medium, name, frozenset(_texts(entry.get("parameters") or [])))
                found.update(dict.fromkeys(_texts(entry["domains"]), source))
    except (AttributeError, KeyError, TypeError) as error:
        raise EnrichmentRefused(f"{where} is not a referer database: {error!r}") from error
    return Sources(found, frozenset(key.partition("/")[0] for key in found))


def _texts(listed: Any) -> list[str]:
    """Raises TypeError: a single text would be taken for its letters."""
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise TypeError(f"expected a list of texts, not {listed!r}")
    return listed


def enrich(draft: Draft, state: State) -> Patch | None:
    values = draft.values
    host = values[_HOST]
    if not host or values[_SCHEME] not in _SCHEMES:
        return None
    if host == values[_PAGE_HOST] or host in state.internal:
        return _INTERNAL
    known = state.known(host)
    source = _lookup(known, values[_PATH]) if known else None
    if source is None:
        return _UNKNOWN
    return _patch(source.medium, source.name, _term(values[_QUERY], source.parameters))


def _patch(medium: str, source: str = "", term: str = "") -> Patch:
    return Patch({"refr_medium": medium, "refr_source": source, "refr_term": term})


_INTERNAL, _UNKNOWN = _patch("internal"), _patch("unknown")


def _known(lists: Iterable[Sources], host: str) -> tuple[Known, ...]:
    if len(host) > _LONGEST_HOST:
        return ()
    found = ((one.by_key, tuple(name for name in _parents(host) if name in one.hosts)) for one in lists)
    return tuple((by_key, hosts) for by_key, hosts in found if hosts)


def _lookup(known: Iterable[Known], path: str) -> Source | None:
    """The most exact path first, each tried on the host and on its parents. Lists hold paths decoded."""
    for by_key, hosts in known:
        for suffix in _paths(unquote(path)):
            for name in hosts:
                source = by_key.get(name + suffix)
                if source is not None:
                    return source
    return None


def _parents(host: str) -> Iterator[str]:
    """The dot that ends a full name in the DNS is no part of it."""
    host = host.rstrip(".")
    while host:
        yield host
        host = host.partition(".")[2]


def _paths(path: str) -> Iterator[str]:
    first = path.lstrip("/").partition("/")[0]
    if first:
        yield path
        yield f"/{first}"
    yield ""


def _term(query: str, names: frozenset[str]) -> str:
    """The value of the first parameter, in the order of the URL, that is one of `names`."""
    if query and names:
        for name, value in query_pairs(query):
            if name in names:
                return tsv_safe(value)
    return ""
