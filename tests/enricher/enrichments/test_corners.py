"""Rules of single enrichments that show only in odd configurations and events."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from enricher.enrichments import ORDER, anon_ip, api_request, iab
from enricher.enrichments.contract import Resources
from enricher.enrichments.parts.rows import value
from enricher.enrichments.weather import rounded
from tests.enricher.enrichments.cases import RUNNERS, Case, Failed, Outcome
from tests.enricher.enrichments.drafts import draft

_A = "iglu:com.acme/a/jsonschema/1-0-0"
_PAGE_VIEW = "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"
_REFERERS = {
    "search": {
        "Engine": {"domains": ["engine.example"], "parameters": ["q"]},
        "Pictures": {"domains": ["engine.example/pictures", "engine.example/a b/c"], "parameters": ["q"]},
    }
}


def made(enrichment: str, folder: Path, config: dict[str, Any], given: dict[str, Any]) -> Outcome:
    return RUNNERS[enrichment](Case({"config": config, "input": given}, folder))


@pytest.mark.parametrize(
    ("url", "source", "term"),
    [
        ("http://engine.example/pictures/1?q=x", "Pictures", "x"),
        ("http://engine.example/pic%74ures?q=x", "Pictures", "x"),
        ("http://engine.example//pictures/1?q=x", "Pictures", "x"),
        ("http://www.engine.example/a%20b/c", "Pictures", None),
        ("http://www.engine.example./?q=x", "Engine", "x"),
        ("http://engine.example/?q=a;b&q=c", "Engine", "a;b"),
        ("http://engine.example/?x=1;q=c", "Engine", None),
    ],
)
def test_referer_paths_are_decoded_and_only_ampersands_separate(
    url: str, source: str, term: str | None, tmp_path: Path
) -> None:
    found = made("referer_parser", tmp_path, {"referers": _REFERERS}, {"page_referrer": url})
    assert (found["refr_medium"], found["refr_source"], found["refr_term"]) == ("search", source, term)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (r"\p{Alpha}+", ["Host"]),
        (r"X-\w++", ["X-One"]),
        (r"\QX-One\E|Ho(?<rest>s)t", ["Host", "X-One"]),
        (r"^(?i)host$", None),
        (r"(?i)host", ["Host"]),
    ],
)
def test_header_patterns_are_read_as_java_reads_them(pattern: str, names: list[str] | None, tmp_path: Path) -> None:
    given = {"headers": ["Host: a", "X-One: b", "no header"]}
    if names is None:
        with pytest.raises(Failed, match="headersPattern is not a regular expression"):
            made("http_header_extractor", tmp_path, {"headersPattern": pattern}, given)
        return
    found = made("http_header_extractor", tmp_path, {"headersPattern": pattern}, given)
    assert [one["data"]["name"] for one in found["contexts"]] == names


@pytest.mark.parametrize(
    ("total", "currency", "converted"),
    [
        ("1e30", "EUR", "1000000000000000019884624838656.00"),
        ("1e30", "USD", "800000000000000015907699870924.80"),
        ("-0.001", "EUR", "0.00"),
        ("-2.5", "EUR", "-2.50"),
    ],
)
def test_amounts_of_any_size_are_converted(total: str, currency: str, converted: str, tmp_path: Path) -> None:
    config = {"apiKey": "k", "baseCurrency": "EUR", "accountType": "DEVELOPER", "rateAt": "EOD_PRIOR"}
    given = {"tr_currency": currency, "tr_total": total, "collector_tstamp": "2026-01-02T03:04:05Z"}
    rates = {"oer_stub_rates": {"USD": 1, "EUR": 0.8}}
    assert made("currency_conversion", tmp_path, config | rates, given)["tr_total_base"] == converted


@pytest.mark.parametrize(
    ("coordinate", "precision", "expected"),
    [(2.5, 1, 3.0), (-2.5, 1, -2.0), (0.5, 1, 1.0), (0.3, 4, 0.3), (-0.4, 1, 0.0)],
)
def test_of_two_places_equally_near_the_upper_one_shares_its_weather(
    coordinate: float, precision: int, expected: float
) -> None:
    assert rounded(coordinate, precision) == expected


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_an_amount_that_no_double_holds_is_a_failure(currency: str, tmp_path: Path) -> None:
    config = {"apiKey": "k", "baseCurrency": "EUR", "accountType": "DEVELOPER", "rateAt": "EOD_PRIOR"}
    given = {"tr_currency": currency, "tr_total": "1e400", "collector_tstamp": "2026-01-02T03:04:05Z"}
    with pytest.raises(Failed, match="larger than a double"):
        made("currency_conversion", tmp_path, config | {"oer_stub_rates": {"USD": 1, "EUR": 0.8}}, given)


@pytest.mark.parametrize("rate", [0, -1, "0.8", None, float("nan"), float("inf")])
def test_what_is_no_rate_is_a_failure_of_the_service(rate: Any, tmp_path: Path) -> None:
    config = {"apiKey": "k", "baseCurrency": "EUR", "accountType": "DEVELOPER", "rateAt": "EOD_PRIOR"}
    given = {"tr_currency": "USD", "tr_total": "1", "collector_tstamp": "2026-01-02T03:04:05Z"}
    for rates in ({"USD": 1, "EUR": rate}, {"USD": rate, "EUR": 1}):
        with pytest.raises(Failed, match="Open Exchange Rates error, type: "):
            made("currency_conversion", tmp_path, config | {"oer_stub_rates": rates}, given)


@pytest.mark.parametrize("stamps", [[{}], [{"dt": None}], [{"dt": 1e300}], ["x"], {"a": 1}, [{"dt": 1, "main": 1}]])
def test_weather_of_another_shape_is_a_failure(stamps: Any, tmp_path: Path) -> None:
    config = {"apiHost": "h", "apiKey": "k", "timeout": 1, "cacheSize": 1, "geoPrecision": 1}
    place = {"geo_latitude": 1.0, "geo_longitude": 2.0, "derived_tstamp": "2026-01-02 03:04:05.000"}
    with pytest.raises(Failed, match="can't be read"):
        made("weather", tmp_path, config, place | {"response": {"list": stamps}})


def test_weather_that_the_schema_does_not_know_is_left_out(tmp_path: Path) -> None:
    config = {"apiHost": "h", "apiKey": "k", "timeout": 1, "cacheSize": 1, "geoPrecision": 1}
    stamp = {
        "dt": 1_767_322_800,
        "main": {"temp": 280.1, "feels_like": 277, "pressure": 1013, "sea_level": None},
        "wind": {"speed": 1, "deg": 200},
        "clouds": {"all": 90},
        "weather": [{"id": 500, "main": "Rain", "description": "light rain", "icon": "10d", "more": 1}],
        "visibility": 10_000,
    }
    place = {"geo_latitude": 1.0, "geo_longitude": 2.0, "derived_tstamp": "2026-01-02 03:04:05.000"}
    (context,) = made("weather", tmp_path, config, place | {"response": {"list": [stamp]}})["contexts"]
    assert context["data"] == {
        "dt": "2026-01-02T03:00:00.000Z",
        "main": {"temp": 280.1, "pressure": 1013},
        "wind": {"speed": 1, "deg": 200},
        "clouds": {"all": 90},
        "weather": [{"id": 500, "main": "Rain", "description": "light rain", "icon": "10d"}],
    }


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(float("nan"), None), (float("-inf"), None), (Decimal("NaN"), "NaN"), (b"Infinity", "Infinity")],
)
def test_what_a_database_takes_for_numbers_may_be_none_in_json(cell: Any, expected: Any) -> None:
    assert value(cell) == expected


@pytest.mark.parametrize("size", [0, -1])
def test_yauaa_takes_the_cache_sizes_that_snowplows_takes(size: int, tmp_path: Path) -> None:
    (context,) = made("yauaa", tmp_path, {"cacheSize": size}, {"useragent": "Mozilla/5.0 Firefox/75.0"})["contexts"]
    assert context["data"]["agentName"] == "Firefox"


def test_what_a_link_says_is_attached_as_it_is(tmp_path: Path) -> None:
    """`a<tab>b` and a blank that Java does not take for one."""
    given = {"_sp": "d-1.1700000000123.\u00a0.YQli.IA.\t.Cg"}
    (context,) = made("cross_navigation", tmp_path, {"enabled": True}, given)["contexts"]
    said = {name: context["data"][name] for name in ("session_id", "user_id", "source_id", "source_platform", "reason")}
    none = {"source_id": None, "source_platform": None, "reason": None}
    assert said == {"session_id": "\u00a0", "user_id": "a\tb"} | none


def test_names_in_a_list_of_networks_may_hold_any_character(tmp_path: Path) -> None:
    found = made("asn_lookups", tmp_path, {"botAsnsFile_csv": "ASN,Entity\r\n1,a\u2028b\r\n2,c\x85d\r\n"}, {})
    assert found["botAsns"] == [1, 2]


def test_a_specification_of_what_is_no_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="INVALID_IGLUURI: page_view"):
        made(
            "event_spec", tmp_path, {"eventSpecs": [{"id": "s", "name": "n", "schemaKey": "page_view"}]}, {"event": {}}
        )


def test_answers_for_one_user_of_a_service_are_not_given_to_another(tmp_path: Path) -> None:
    keys = set()
    for user in ("ann", "bob"):
        login = {"httpBasic": {"username": user, "password": "p"}}
        http = {"method": "GET", "uri": "http://h/", "authentication": login}
        output = {"schema": _A, "json": {"jsonPath": "$"}}
        config = {"inputs": [], "api": {"http": http}, "outputs": [output], "cache": {"size": 1, "ttl": 1}}
        state = api_request.prepare(api_request.Config.model_validate(config), Resources(tmp_path, tmp_path))
        query = api_request.ask(draft(), state)
        assert query is not None
        keys.add((query.question.remember, query.question.key))
    assert len(keys) == 2


_RULES = "{{user_agent_parsers: [{{regex: '{}'}}], os_parsers: [{{regex: '(x)'}}], device_parsers: [{{regex: '(y)'}}]}}"


def test_rules_of_user_agents_may_look_around(tmp_path: Path) -> None:
    for useragent, family in (("Foo/1", "Foo"), ("Foobar", "Other")):
        config = {"rules_yaml": _RULES.format("(Foo)(?!bar)")}
        (context,) = made("ua_parser", tmp_path, config, {"useragent": useragent})["contexts"]
        assert context["data"]["useragentFamily"] == family


@pytest.mark.parametrize("rule", ["(Foo", "\\p{{Nothing}}(Foo)"])
def test_rules_of_user_agents_that_are_none_are_refused(rule: str, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="Failed to initialize ua parser"):
        made("ua_parser", tmp_path, {"rules_yaml": _RULES.format(rule)}, {"useragent": "Foo"})


def test_arrays_of_a_database_hold_what_its_columns_may() -> None:
    assert value([Decimal("10.50"), date(2026, 1, 2), [None]]) == [10.5, "2026-01-02T00:00:00.000Z", [None]]


def test_an_address_that_ipv6_wraps_is_in_lists_of_ipv4(tmp_path: Path) -> None:
    files = {"ip": "10.0.0.0/8", "include": "Browser|1|0", "exclude": ""}
    given = {"useragent": "Browser", "user_ipaddress": "::ffff:10.1.2.3", "derived_tstamp": "2026-01-01T00:00:00Z"}
    (context,) = made("iab_spiders_and_robots", tmp_path, {"files": files}, given)["contexts"]
    assert context["data"]["reason"] == "FAILED_IP_EXCLUDE"


@pytest.mark.parametrize(("judges", "robot"), [(True, True), (False, False)])
def test_without_lists_crawlerdetect_tells_robots_unless_it_is_off(judges: bool, robot: bool, tmp_path: Path) -> None:
    state = iab.prepare(iab.Config.model_validate({"crawlerdetect": judges}), Resources(tmp_path, tmp_path))
    patch = iab.enrich(draft({"useragent": "Googlebot/2.1", "derived_tstamp": "2026-01-02 03:04:05.000"}), state)
    assert patch is not None
    assert patch.contexts[0].data["spiderOrRobot"] is robot


@pytest.mark.parametrize(
    ("option", "fits", "does_not"), [("anonOctets", (1, 4), (0, 5)), ("anonSegments", (1, 8), (0, 9))]
)
def test_as_many_parts_of_an_address_are_masked_as_it_has(
    option: str, fits: tuple[int, ...], does_not: tuple[int, ...]
) -> None:
    for parts in fits:
        anon_ip.Config.model_validate({"anonOctets": 1, option: parts})
    for parts in does_not:
        with pytest.raises(ValidationError, match="out of range"):
            anon_ip.Config.model_validate({"anonOctets": 1, option: parts})


@pytest.mark.parametrize("enrichment", ["ua_parser", "user_agent_utils", "yauaa", "iab"])
def test_half_a_character_in_a_user_agent_costs_no_event(enrichment: str, tmp_path: Path) -> None:
    module = next(step.module for step in ORDER if step.name == enrichment)
    state = module.prepare(module.Config(), Resources(tmp_path, tmp_path))
    before = draft({"useragent": "Half \ud83d Chrome/120.0", "derived_tstamp": "2026-01-02 03:04:05.000"})
    assert module.enrich(before, state) is not None


def test_half_a_character_in_an_address_is_a_question_mark(tmp_path: Path) -> None:
    config = {"api": {"http": {"method": "GET", "uri": "http://h/{{a}}"}}}
    assert made("api_request", tmp_path, config, {"template_context": {"a": "x\ud83d"}})["url"] == "http://h/x%3F"


def test_lines_of_iab_lists_end_at_line_feeds_only(tmp_path: Path) -> None:
    files = {"ip": "", "include": "odd\x85browser|1|0\r\nother|1|0\r\n", "exclude": ""}
    given = {"useragent": "Odd\x85Browser", "user_ipaddress": None, "derived_tstamp": "2026-01-01T00:00:00Z"}
    (context,) = made("iab_spiders_and_robots", tmp_path, {"files": files}, given)["contexts"]
    assert context["data"]["reason"] == "PASSED_ALL"


def test_a_file_of_event_specifications_may_say_more_than_is_read(tmp_path: Path) -> None:
    wanted = {"schemaKey": _A, "minCardinality": None, "maxCardinality": None, "comment": ""}
    one = {"id": "s", "name": "n", "schemaKey": _PAGE_VIEW, "entities": [wanted], "owner": "shop"}
    found = made("event_spec", tmp_path, {"eventSpecs": [one]}, {"event": {"event_name": "page_view"}})
    assert [context["data"] for context in found["contexts"]] == [{"id": "s", "name": "n"}]


@pytest.mark.parametrize(
    ("constraint", "value", "fits"),
    [
        ({"pattern": "^y++es$"}, "yes", True),
        ({"pattern": r"\p{Alpha}{3}"}, "yes", True),
        ({"pattern": "(what no engine can read"}, "yes", True),
        ({"format": "uuid"}, "yes", False),
        ({"format": "date-time"}, "2024-02-29T00:00:00Z", True),
        ({"$ref": "https://schemas.example.com/elsewhere"}, "yes", True),
        ({"enum": ["yes"]}, "half \ud83d", False),
        ({"enum": ["half \ud83d"]}, "half \ud83d", True),
    ],
)
def test_constraints_of_event_specifications_mean_what_schemas_mean(
    tmp_path: Path, constraint: Any, value: str, fits: bool
) -> None:
    one = {"id": "s", "name": "n", "schemaKey": _A, "constraint": {"properties": {"a": constraint}}}
    given = {"event": {"unstruct_event": {"schema": _A, "data": {"a": value}}}}
    assert len(made("event_spec", tmp_path, {"eventSpecs": [one]}, given)["contexts"]) == fits


def test_a_constraint_that_is_no_schema_is_refused(tmp_path: Path) -> None:
    one = {"id": "s", "name": "n", "schemaKey": _A, "constraint": {"type": "nothing"}}
    with pytest.raises(Failed, match="is not a file of event specifications: "):
        made("event_spec", tmp_path, {"eventSpecs": [one]}, {"event": {}})


@pytest.mark.parametrize("declared", ["const process = (e) =>", "let process = function (e)", "function process(e)"])
def test_scripts_may_declare_process_in_any_way(declared: str, tmp_path: Path) -> None:
    found = made("javascript_script", tmp_path, {"script_plain": declared + " { e.setApp_id('set') }"}, {"event": {}})
    assert found["event"]["app_id"] == "set"


def test_what_a_script_writes_to_derived_contexts_is_lost(tmp_path: Path) -> None:
    script = "function process(e) { e.setDerived_contexts('{}'); e.setApp_id(e.getDerived_contexts()) }"
    given = {"event": {"derived_contexts": [{"schema": _A, "data": {}}]}}
    found = made("javascript_script", tmp_path, {"script_plain": script}, given)
    assert found["event"]["app_id"] == "{}"
    assert found["derived_contexts"] == [{"schema": _A, "data": {}}]


def test_a_script_may_take_all_entities_away(tmp_path: Path) -> None:
    script = "function process(e) { e.setContexts(null) }"
    given = {"event": {"contexts": [{"schema": _A, "data": {}}]}}
    assert made("javascript_script", tmp_path, {"script_plain": script}, given)["contexts_field"] == []
