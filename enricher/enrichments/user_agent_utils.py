"""Fills the retired br_, os_ and dvce_ columns, in the words of the library they come from, as far as ua-parser knows.

The Java library behind the original has had no release since 2018; new browsers are unknown to it. Use the
ua_parser or yauaa enrichment instead, and this one only for reports that still read these columns.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from enricher.enrichments.contract import Draft, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.useragent import Parsed, Versioned, builtin
from enricher.remembered import remembered
from enricher.values import tsv_safe
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "user_agent_utils_config", "jsonschema", 1, 0)
IDENTIFIER = "ua-parser"

_USERAGENT = INDEX["useragent"]
_REMEMBERED = 10_000
#: Characters that the columns hold. What an app calls itself may be longer, and would cost the event.
_LONGEST = 50

#: ua-parser's browser → family, and rendering engine.
_BROWSERS = {
    "Chrome": ("Chrome", "WEBKIT"),
    "Chrome Mobile": ("Chrome", "WEBKIT"),
    "Chrome Mobile iOS": ("Chrome", "WEBKIT"),
    "Chromium": ("Chrome", "WEBKIT"),
    "Safari": ("Safari", "WEBKIT"),
    "Mobile Safari": ("Safari", "WEBKIT"),
    "Edge": ("Microsoft Edge", "EDGE_HTML"),
    "Firefox": ("Firefox", "GECKO"),
    "Firefox Mobile": ("Firefox", "GECKO"),
    "IE": ("Internet Explorer", "TRIDENT"),
    "IE Mobile": ("Internet Explorer", "TRIDENT"),
    "Opera": ("Opera", "WEBKIT"),
}
#: ua-parser's system → family, and manufacturer.
_SYSTEMS = {
    "Windows": ("Windows", "Microsoft Corporation"),
    "Windows Phone": ("Windows", "Microsoft Corporation"),
    "Mac OS X": ("Mac OS X", "Apple Inc."),
    "iOS": ("iOS", "Apple Inc."),
    "Android": ("Android", "Google Inc."),
    "Chrome OS": ("Chrome OS", "Google Inc."),
    "Linux": ("Linux", "Other"),
    "Ubuntu": ("Linux", "Canonical Ltd."),
}
_PHONES = ("iOS", "Android", "Windows Phone", "BlackBerry OS", "KaiOS")


class Config(Parameters):
    """No parameters."""


class State(NamedTuple):
    patch: Callable[[str], Patch]


def prepare(_: Config, __: Resources) -> State:
    parse = builtin()
    return State(remembered(_REMEMBERED)(lambda text: Patch(columns(text, parse(text)))))


def foresee(useragents: Sequence[str], state: State) -> None:
    for useragent in useragents:
        if useragent:
            state.patch(useragent)


def enrich(draft: Draft, state: State) -> Patch | None:
    useragent = draft.values[_USERAGENT]
    return state.patch(useragent) if useragent else None


def columns(useragent: str, result: Parsed) -> dict[str, str]:
    agent = result.user_agent or Versioned("Unknown")
    system = result.os.family if result.os else "Unknown"
    family, engine = _BROWSERS.get(agent.family, (agent.family, "OTHER"))
    os_family, maker = _SYSTEMS.get(system, (system, "Other"))
    device = _device(useragent, system, result)
    fields = {
        "br_name": f"{family} {agent.major}" if agent.major else family,
        "br_family": family,
        "br_version": _version(agent),
        "br_type": "Robot" if device == "Unknown" and _is_spider(result) else "Browser",
        "br_renderengine": engine,
        "os_name": f"Windows {result.os.major}" if result.os and system == "Windows" and result.os.major else system,
        "os_family": os_family,
        "os_manufacturer": maker,
        "dvce_type": device,
        "dvce_ismobile": "1" if device in ("Mobile", "Tablet", "Wearable computer") else "0",
    }
    return {name: tsv_safe(text) for name, text in fields.items() if len(text) <= _LONGEST}


def _device(useragent: str, system: str, result: Parsed) -> str:
    family = result.device.family if result.device else ""
    if _is_spider(result):
        return "Unknown"
    if "Watch" in family:
        return "Wearable computer"
    if family == "iPad" or (system == "Android" and "Mobile" not in useragent):
        return "Tablet"
    return "Mobile" if system in _PHONES else "Computer" if system in _SYSTEMS else "Unknown"


def _is_spider(result: Parsed) -> bool:
    return bool(result.device and result.device.family == "Spider")


def _version(agent: Versioned) -> str:
    return ".".join(part for part in (agent.major, agent.minor, agent.patch, agent.patch_minor) if part is not None)
