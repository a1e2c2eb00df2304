"""The checks of the vectors themselves: they judge forms that the vectors at hand don't have, and can fail."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.enricher.enrichments import test_vectors
from tests.enricher.enrichments.cases import Failed

_A = "iglu:com.acme/a/jsonschema/1-0-0"
_MADE = {"app_id": "a", "user_id": None, "contexts": [{"schema": _A, "data": {"k": "v"}}], "event": {"app_id": "a"}}
_ORDERED = {"enabled": ["pii_enrichment_config", "iab"]}
_CITY = {"database": "GeoIP2-City.mmdb", "uri": "s3://bucket"}
_OER = {"apiKey": "k", "baseCurrency": "EUR", "accountType": "DEVELOPER", "rateAt": "EOD_PRIOR"}


@pytest.mark.parametrize(
    ("expected", "match", "fits"),
    [
        ({"k": "v"}, "subset:contexts[0].data", True),
        ({"k": "w"}, "subset:contexts[0].data", False),
        ({"app_id": "a"}, "subset:event", True),
        (["user_id"], "absent", True),
        (["app_id"], "absent", False),
        ({"event": {"app_id": "b"}}, "absent", True),
        ({"event": {"app_id": "a"}}, "absent", False),
        ({"contexts": ["iglu:com.acme/b/jsonschema/1-0-0"]}, "absent", True),
        ({"contexts": [_A]}, "absent", False),
        ({"contexts": [{"schema": _A, "data": {"k": "v"}}]}, "absent", False),
    ],
)
def test_how_to_compare(expected: Any, match: str, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(AssertionError):
        test_vectors.compare(expected, _MADE, match)


@pytest.mark.parametrize(
    ("enrichment", "config", "given", "expected"),
    [
        ("ua_parser", _CITY, {}, {"assets": [["s3://bucket/GeoIP2-City.mmdb", "./ua-parser-rules.yml"]]}),
        ("ip_lookups", {"geo": _CITY}, {}, {"assets": [["s3://bucket/GeoIP2-City.mmdb", "./ip_geo"]]}),
        ("currency_conversion", _OER, {}, {"parsed": _OER}),
        ("cookie_extractor", {"cookies": ["sp"]}, {}, {"parsed": {"cookies": ["sp"]}}),
        ("ip_lookups", {"geo": _CITY}, {}, {"parsed": {"geo": _CITY, "isp": None}}),
        ("pipeline", _ORDERED, {}, {"derived_contexts_order": _ORDERED["enabled"]}),
        ("sql_query", {}, {"column_value": "<jsonb '[1]'>"}, {"json": [1]}),
        ("sql_query", {}, {"column_value": "<decimal 1.5>"}, {"json": 1.5}),
        ("sql_query", {"schemaCriterion": "iglu:com.acme/a/jsonschema/1-*-*"}, {"contexts": []}, {"data": None}),
        (
            "api_request",
            {"outputs": [{"schema": _A, "json": {"jsonPath": "$.k"}}]},
            {"http_status": 201, "http_response": '{"k":1}'},
            {"contexts": [{"schema": _A, "data": 1}]},
        ),
    ],
)
def test_other_forms_are_judged(enrichment: str, config: Any, given: Any, expected: Any, tmp_path: Path) -> None:
    test_vectors.test_enrichment(
        {"enrichment": enrichment, "config": config, "input": given, "expected": expected}, tmp_path
    )


@pytest.mark.parametrize(
    ("enrichment", "config"),
    [
        ("ip_lookups", {"geo": {"uri": "s3://bucket"}}),
        ("ip_lookups", {"geo": "GeoIP2-City.mmdb"}),
        ("registry", {"schema": "nonsense"}),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told(enrichment: str, config: Any, tmp_path: Path) -> None:
    error = {"stage": "config"}
    test_vectors.test_enrichment({"enrichment": enrichment, "config": config, "input": {}, "error": error}, tmp_path)
    with pytest.raises(Failed):
        test_vectors.test_enrichment(
            {"enrichment": enrichment, "config": config, "input": {}, "expected": {}}, tmp_path
        )
