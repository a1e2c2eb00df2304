"""What yauaa says of user agents where ua-parser alone would mislead it."""

import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ua_parser import BestAvailableResolver, Domain, load_lazy_builtins

from enricher.enrichments import ua_parser, user_agent_utils
from enricher.enrichments.contract import Draft, Resources
from enricher.enrichments.parts.crawlers import detector
from enricher.enrichments.parts.useragent import builtin
from enricher.enrichments.user_agent_utils import columns
from enricher.enrichments.yauaa import context
from shared.event import INDEX, WIDTH
from shared.payload import CollectorPayload

_ANDROID = (
    "Mozilla/5.0 (Linux; Android 13; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
)
_PHONE_7 = (
    "Mozilla/5.0 (iPhone9,3; U; CPU iPhone OS 10_0_1 like Mac OS X) AppleWebKit/602.1.50 (KHTML, like Gecko) "
    "Version/10.0 Mobile/14A403 Safari/602.1"
)
_XBOX = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/48.0.2564.82 Safari/537.36 Edge/20.02"
)

CASES: list[tuple[str, dict[str, Any]]] = [
    (_PHONE_7, {"deviceClass": "Phone", "deviceName": "Apple iPhone", "agentName": "Safari"}),
    (_ANDROID.format("GT-P1000 Build/FROYO"), {"deviceClass": "Tablet", "deviceName": "Samsung GT-P1000"}),
    (_ANDROID.format("SM-T870 Build/TP1A"), {"deviceClass": "Tablet", "deviceName": "Samsung SM-T870"}),
    (_ANDROID.format("SM-G892A Build/NRD90M"), {"deviceClass": "Phone", "deviceName": "Samsung SM-G892A"}),
    (
        "Mozilla/5.0 (PlayStation 4 1.52) AppleWebKit/536.26 (KHTML, like Gecko)",
        {"deviceClass": "Game Console", "layoutEngineClass": "Browser", "agentClass": "Browser"},
    ),
    (
        "Dalvik/2.1.0 (Linux; U; Android 9; SM-G960F Build/PPR1.180610.011)",
        {"deviceClass": "Phone", "deviceName": "Samsung SM-G960F"},
    ),
    ("Dalvik/2.1.0 (Linux; U; Android 9; SM-T870 Build/PPR1)", {"deviceClass": "Tablet"}),
    (_XBOX, {"deviceClass": "Game Console", "agentName": "Edge"}),
    ("Roku/DVP-12.5 (12.5.0.4178-AE)", {"deviceClass": "Set-top box"}),
    (f"{'x' * 900}/1.2 CFNetwork/1 Darwin/19.3.0", {"deviceClass": "Phone", "agentName": None}),
    ("curious thing", {"deviceClass": "Unknown", "layoutEngineClass": "Unknown", "agentClass": "Unknown"}),
]


@pytest.mark.parametrize(("useragent", "expected"), CASES)
def test_what_is_said_of_a_user_agent(useragent: str, expected: dict[str, Any]) -> None:
    said = context(useragent, {}, builtin(), detector())
    assert {name: said.get(name) for name in expected} == expected


def test_what_is_longer_than_its_column_is_left_out() -> None:
    name = "x" * 60
    found = columns(text := f"{name}/1.2 CFNetwork/1 Darwin/19.3.0", builtin()(text))
    assert "br_family" not in found
    assert found["os_family"] == "iOS"


_FEED_READER = "Feedfetcher-Google; (+http://www.google.com/feedfetcher.html; 2 subscribers)"


@pytest.mark.parametrize(
    "useragent", [*(case[0] for case in CASES), _FEED_READER, "", "Mozilla/5.0 (X11; CrOS x86_64 1.2)"]
)
def test_the_engine_is_asked_what_ua_parser_would_ask_it(useragent: str) -> None:
    theirs = BestAvailableResolver(load_lazy_builtins())(useragent, Domain.ALL)
    ours = builtin()(useragent)
    for part in ("user_agent", "os", "device"):
        expected, found = getattr(theirs, part), getattr(ours, part)
        assert (found and found._asdict()) == (expected and _fields(expected))


def _fields(found: Any) -> dict[str, str | None]:
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


@pytest.mark.parametrize("module", [ua_parser, user_agent_utils])
def test_what_was_foreseen_is_not_looked_up_again(module: ModuleType) -> None:
    state = module.prepare(module.Config(), Resources(Path(), Path()))
    module.foresee(["", _XBOX], state)
    columns_ = [""] * WIDTH
    columns_[INDEX["useragent"]] = _XBOX
    known = len(state.patch.__self__)
    assert module.enrich(Draft(columns_, {}, CollectorPayload()), state) is not None
    assert known == len(state.patch.__self__) == 1


def test_of_long_user_agents_no_more_is_kept_than_is_looked_at() -> None:
    """Events may state one of a megabyte, and hundreds of them are remembered."""
    parse = builtin()
    tracemalloc.start()
    try:
        for number in range(50):
            assert parse(f"Mozilla/5.0 {number} {'x' * 1_000_000}") == parse(f"Mozilla/5.0 {number} {'x' * 10_000}")
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
