"""Attaches what ua-parser knows of the browser, the operating system and the device."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from ua_parser import Domain, Matchers, PartialResult, loaders
from ua_parser.basic import Resolver as BasicResolver
from ua_parser.regex import Resolver

from enricher.enrichments.contract import Asset, Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.parts.files import Located, asset, present
from enricher.enrichments.parts.text import entity
from enricher.enrichments.parts.useragent import Parse, Parsed, Versioned, builtin, parser
from enricher.remembered import remembered
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "ua_parser_config", "jsonschema", 1, 0)
IDENTIFIER = "ua-parser"

_OUTPUT = "iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0"
_USERAGENT = INDEX["useragent"]
_REMEMBERED = 10_000


class Config(Located):
    database: str | None = None
    """Name of a rules file in uap-core's format. Without it, the rules that come with ua-parser."""


class State(NamedTuple):
    patch: Callable[[str], Patch]


def assets(config: Config) -> tuple[Asset, ...]:
    return (asset(config.uri, config.database, "ua-parser-rules.yml"),) if config.database else ()


def prepare(config: Config, resources: Resources) -> State:
    wanted = assets(config)
    parse = _custom(wanted[0], resources) if wanted else builtin()
    return State(remembered(_REMEMBERED)(lambda text: Patch(contexts=(entity(_OUTPUT, context(parse(text))),))))


def _custom(wanted: Asset, resources: Resources) -> Parse:
    try:
        return parser(_resolver(_rules(present(wanted, resources))))
    except (EnrichmentRefused, KeyError, TypeError, ValueError, re.error, yaml.YAMLError) as error:
        raise EnrichmentRefused(f"Failed to initialize ua parser: {error}") from error


def _resolver(rules: Matchers) -> Callable[[str, Domain], PartialResult]:
    """Rules may look around, as on the JVM. Rust's engine can't, and Python's own is twenty times slower."""
    try:
        return Resolver(rules)
    except ValueError:
        return BasicResolver(rules)


def _rules(path: Path) -> Matchers:
    rules = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaders.load_data((rules["user_agent_parsers"], rules["os_parsers"], rules["device_parsers"]))


def foresee(useragents: Sequence[str], state: State) -> None:
    for useragent in useragents:
        if useragent:
            state.patch(useragent)


def enrich(draft: Draft, state: State) -> Patch | None:
    useragent = draft.values[_USERAGENT]
    return state.patch(useragent) if useragent else None


def context(result: Parsed) -> dict[str, str | None]:
    """The entity's data. What is not recognised is `Other`; unknown versions are null."""
    agent = result.user_agent or Versioned("Other")
    system = result.os or Versioned("Other")
    return {
        "useragentFamily": agent.family,
        "useragentMajor": agent.major,
        "useragentMinor": agent.minor,
        "useragentPatch": agent.patch,
        "useragentVersion": _version(agent.family, agent.major, agent.minor, agent.patch),
        "osFamily": system.family,
        "osMajor": system.major,
        "osMinor": system.minor,
        "osPatch": system.patch,
        "osPatchMinor": system.patch_minor,
        "osVersion": _version(system.family, system.major, system.minor, system.patch, system.patch_minor),
        "deviceFamily": result.device.family if result.device else "Other",
    }


def _version(family: str, major: str | None, *parts: str | None) -> str:
    """`Chrome 33.0.1750`: pieces that are missing are left out, wherever they are."""
    first = "" if major is None else f" {major}"
    return family + first + "".join(f".{part}" for part in parts if part is not None)
