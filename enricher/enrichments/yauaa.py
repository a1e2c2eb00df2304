"""Attaches a yauaa_context made from what ua-parser, crawlerdetect and the client hints know.

Yauaa itself is a Java library without a Python port. This fills the fields below by rules of our own in Yauaa's
vocabulary, and leaves out what can't be known without it; values differ from Yauaa's for rare agents.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pydantic import Field

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.crawlers import detector
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.robots import YAUAA
from enricher.enrichments.parts.text import entity
from enricher.enrichments.parts.useragent import Parse, Parsed, builtin, joined
from enricher.remembered import remembered
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow.enrichments", "yauaa_enrichment_config", "jsonschema", 1, 0)

_USERAGENT = INDEX["useragent"]
_HINTS = "sec-ch-ua"

_AGENTS = {
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome Webview",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Firefox Beta": "Firefox",
    "Firefox Alpha": "Firefox",
    "Edge Mobile": "Edge",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "Android": "Stock Android Browser",
    "Opera Mobile": "Opera",
    "Google Chrome": "Chrome",
    "Microsoft Edge": "Edge",
}
_SYSTEMS = {"Windows": "Windows NT", "Mac OS X": "Mac OS", "macOS": "Mac OS"}
_MOBILE_SYSTEMS = frozenset(
    ("iOS", "Android", "Windows Phone", "KaiOS", "BlackBerry OS", "Symbian OS", "Firefox OS", "Tizen", "watchOS")
)
_DESKTOP_SYSTEMS = frozenset(
    ("Windows NT", "Mac OS", "Linux", "Ubuntu", "Debian", "Fedora", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD")
)
_CONSOLE = "Game Console"
_CONSOLES = ("PlayStation", "Xbox", "Nintendo")
#: Browsers of Xbox present themselves as a telephone's or a desktop's.
_XBOX = "; Xbox"
_TELEVISIONS = re.compile(r"\b(smart-?tv|googletv|appletv|hbbtv|tv)\b", re.IGNORECASE)
#: Models of Android tablets that call themselves mobile.
_TABLETS = re.compile(
    r"GT-[PN]\d|SM-[TPX]\d|Nexus (?:7|9|10)\b|Pixel (?:C|Tablet)\b|KF[A-Z]{2,}|.*\b(?:Tab|Pad|Tablet)\b"
)
#: The number that Apple gives to a model, as in `iPhone9,3`.
_APPLE_NUMBER = re.compile(r"\d+,\d+$")
_ENGINES = re.compile(r"\b(?:AppleWebKit|Gecko|Trident|Presto|KHTML)/\d")
_ROBOTS_OF = {"Googlebot": "Google", "bingbot": "Bing", "AdsBot-Google": "Google"}
_BRAND = re.compile(r'"([^"]*)"\s*;\s*v="([^"]*)"')
_UNKNOWN = "Unknown"
#: Characters that the entity's schema allows to the shortest of its texts. A longer one would cost the event.
_LONGEST_NAME = 128


class Config(Parameters):
    cache_size: int = Field(10_000, alias="cacheSize")
    """User agents whose context is remembered; the last one always is."""


#: A user agent and its client hints.
Said = tuple[str, tuple[tuple[str, str], ...]]


class State(NamedTuple):
    patch: Callable[[Said], Patch]


def prepare(config: Config, _: Resources) -> State:
    parse, is_robot = builtin(), detector()

    @remembered(config.cache_size, _length)
    def patch(said: Said) -> Patch:
        useragent, hints = said
        return Patch(contexts=(entity(YAUAA, context(useragent, dict(hints), parse, is_robot)),))

    return State(patch)


def _length(said: Said) -> int:
    useragent, hints = said
    return len(useragent) + sum(len(value) for _, value in hints)


def enrich(draft: Draft, state: State) -> Patch | None:
    return state.patch((draft.values[_USERAGENT], _hints(draft.payload.headers or ())))


def _hints(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found: tuple[tuple[str, str], ...] = ()
    for line in lines:
        if line[3:4] == "-" and line[:9].lower() == _HINTS:
            name, _, value = line.partition(":")
            found += ((name.lower(), value.strip()),)
    return found


def context(useragent: str, hints: Mapping[str, str], parse: Parse, is_robot: Callable[[str], bool]) -> dict[str, str]:
    """The entity's data. Without a user agent nothing is known, as in Yauaa. What is too long to be a name is none."""
    if not useragent:
        return {"deviceClass": _UNKNOWN}
    data = _parsed(useragent, hints, parse(useragent), is_robot)
    return {name: text for name, text in data.items() if len(text) <= _LONGEST_NAME}


def _parsed(
    useragent: str, hints: Mapping[str, str], result: Parsed, is_robot: Callable[[str], bool]
) -> dict[str, str]:
    if is_robot(useragent):
        return _robot(result)
    data = {"deviceClass": _device_class(useragent, result, hints), **_device(result, hints)}
    data |= _system(result, hints) | _agent(useragent, result, hints)
    if data["deviceClass"] == _CONSOLE and "deviceName" in data:
        data |= {"operatingSystemClass": _CONSOLE, "operatingSystemName": data["deviceName"]}
    return data


def _robot(result: Parsed) -> dict[str, str]:
    family = result.user_agent.family if result.user_agent else ""
    owner = _ROBOTS_OF.get(family, _UNKNOWN)
    cloud = {"operatingSystemClass": "Cloud", "operatingSystemName": f"{owner} Cloud"}
    name = family or _UNKNOWN
    return {
        "deviceClass": "Robot",
        "deviceName": owner,
        **(cloud if owner != _UNKNOWN else {"operatingSystemClass": _UNKNOWN, "operatingSystemName": _UNKNOWN}),
        "layoutEngineClass": "Robot",
        "agentClass": "Robot",
        "agentName": name,
        **_versions("agent", name, _agent_version(result, {})),
    }


def _device_class(useragent: str, result: Parsed, hints: Mapping[str, str]) -> str:
    family = result.device.family if result.device else ""
    system = _system_name(result)
    if _XBOX in useragent or any(console in family for console in _CONSOLES):
        return _CONSOLE
    if useragent.startswith("Roku"):
        return "Set-top box"
    if _TELEVISIONS.search(useragent):
        return "TV"
    if "Watch" in family:
        return "Watch"
    if family == "iPad" or (system == "Android" and _is_android_tablet(useragent, result)):
        return "Tablet"
    if system in _MOBILE_SYSTEMS or hints.get("sec-ch-ua-mobile") == "?1":
        return "Phone"
    return "Desktop" if system in _DESKTOP_SYSTEMS else _UNKNOWN


def _is_android_tablet(useragent: str, result: Parsed) -> bool:
    """Browsers leave out "Mobile" on tablets; what apps send (`Dalvik/2.1.0 …`) never says it."""
    unsaid = "Mobile" not in useragent and _ENGINES.search(useragent) is not None
    return unsaid or _TABLETS.match(_model(result)) is not None


def _model(result: Parsed) -> str:
    return (result.device.model if result.device else None) or ""


def _device(result: Parsed, hints: Mapping[str, str]) -> dict[str, str]:
    brand = result.device.brand if result.device else None
    model = hints.get("sec-ch-ua-model", "").strip('"') or _model(result)
    if not brand or not model or brand.startswith("Generic"):
        return {}
    brand = "Google" if model.startswith("Nexus ") else brand
    model = _APPLE_NUMBER.sub("", model) if brand == "Apple" else model
    name = model if model.lower().startswith(brand.lower()) else f"{brand} {model}"
    return {"deviceBrand": brand, "deviceName": name}


def _system_name(result: Parsed) -> str:
    family = result.os.family if result.os else ""
    return _SYSTEMS.get(family, family)


def _system(result: Parsed, hints: Mapping[str, str]) -> dict[str, str]:
    name = _system_name(result)
    if not name or name == "Other":
        return {"operatingSystemClass": _UNKNOWN, "operatingSystemName": _UNKNOWN}
    kind = "Mobile" if name in _MOBILE_SYSTEMS else "Desktop" if name in _DESKTOP_SYSTEMS else _UNKNOWN
    said = hints.get("sec-ch-ua-platform-version", "").strip('"')
    known = joined(result.os.major, result.os.minor, result.os.patch) if result.os else None
    version = said if said and name != "Windows NT" else known
    return {"operatingSystemClass": kind, "operatingSystemName": name, **_versions("operatingSystem", name, version)}


def _agent(useragent: str, result: Parsed, hints: Mapping[str, str]) -> dict[str, str]:
    """What names the engine of a browser is one, known by name or not."""
    family = result.user_agent.family if result.user_agent else ""
    if not family or family == "Other":
        kind = "Browser" if _ENGINES.search(useragent) else _UNKNOWN
        return {"layoutEngineClass": kind, "agentClass": kind, "agentName": _UNKNOWN}
    name = _AGENTS.get(family, family)
    kind = "Browser Webview" if name.endswith("Webview") else "Browser"
    versions = _versions("agent", name, _agent_version(result, hints))
    return {"layoutEngineClass": "Browser", "agentClass": kind, "agentName": name, **versions}


def _agent_version(result: Parsed, hints: Mapping[str, str]) -> str | None:
    """The hints' full version; else the parsed one, without the zeros of a browser that hides the rest."""
    agent = result.user_agent
    if agent is None:
        return None
    listed = dict(_BRAND.findall(hints.get("sec-ch-ua-full-version-list", "")))
    name = _AGENTS.get(agent.family, agent.family)
    full = next((version for brand, version in listed.items() if _AGENTS.get(brand, brand) == name), None)
    hidden = agent.minor == "0" and agent.patch == "0" and name in ("Chrome", "Edge", "Opera", "Chrome Webview")
    return full or (agent.major if hidden else joined(agent.major, agent.minor, agent.patch, agent.patch_minor))


def _versions(what: str, name: str, version: str | None) -> dict[str, str]:
    if not version:
        return {}
    major = version.partition(".")[0]
    return {
        f"{what}Version": version,
        f"{what}VersionMajor": major,
        f"{what}NameVersion": f"{name} {version}",
        f"{what}NameVersionMajor": f"{name} {major}",
    }
