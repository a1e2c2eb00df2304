"""What yauaa says of user agents where ua-parser alone would mislead it."""

from typing import Any

import pytest

from enricher.enrichments.parts.crawlers import detector
from enricher.enrichments.parts.useragent import builtin
from enricher.enrichments.yauaa import context

_ANDROID = (
    "Mozilla/5.0 (Linux; Android 13; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
)
_PHONE_7 = (
    "Mozilla/5.0 (iPhone9,3; U; CPU iPhone OS 10_0_1 like Mac OS X) AppleWebKit/602.1.50 (KHTML, like Gecko) "
    "Version/10.0 Mobile/14A403 Safari/602.1"
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
    ("curious thing", {"deviceClass": "Unknown", "layoutEngineClass": "Unknown", "agentClass": "Unknown"}),
]


@pytest.mark.parametrize(("useragent", "expected"), CASES)
def test_what_is_said_of_a_user_agent(useragent: str, expected: dict[str, Any]) -> None:
    said = context(useragent, {}, builtin(), detector())
    assert {name: said.get(name) for name in expected} == expected
