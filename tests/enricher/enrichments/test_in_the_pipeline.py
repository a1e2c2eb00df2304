"""Enrichments where they work: configured by files, run by the pipeline, judged by the line that comes out."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from enricher.enrichments.contract import Answer, Query
from enricher.enrichments.loading import Enrichments
from enricher.options import Options
from enricher.outcome import Outcome
from enricher.pipeline import Pipeline
from tests.enricher.harness import ETL_MS, MESSAGE_ID, PROCESSOR, Schemas, columns, post, rows, run

SNOWPLOW = "com.snowplowanalytics.snowplow"
ENRICHMENTS = f"{SNOWPLOW}.enrichments"
PAGE_VIEW = {
    "e": "pv",
    "p": "web",
    "tv": "js-4",
    "eid": "6a2f0c3e-6f6f-4f0b-9a53-6d1a3e0b2f10",
    "uid": "ann",
    "ip": "10.1.2.3",
    "url": "https://shop.example.com/p?utm_source=news&gclid=g1&_sp=d-1.1700000000123",
    "refr": "https://www.google.com/search?q=red+shoes",
    "ua": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "co": json.dumps(
        {
            "schema": f"iglu:{SNOWPLOW}/contexts/jsonschema/1-0-0",
            "data": [
                {
                    "schema": f"iglu:{SNOWPLOW}/client_session/jsonschema/1-0-1",
                    "data": {
                        "userId": "7e9e2b1c-6b1d-4c55-9a0b-1d1f3b0c2d11",
                        "sessionId": "1e9e2b1c-6b1d-4c55-9a0b-1d1f3b0c2d11",
                        "sessionIndex": 1,
                        "previousSessionId": None,
                        "storageMechanism": "COOKIE_1",
                    },
                }
            ],
        }
    ),
}
USER = "iglu:com.acme/user/jsonschema/1-0-0"
SCHEMAS = Schemas({USER: {"type": "object", "properties": {"tier": {"type": "integer"}}, "required": ["tier"]}})


def configure(folder: Path, name: str, parameters: Any, version: str, vendor: str = SNOWPLOW, **more: Any) -> None:
    data = {"vendor": vendor, "name": name, "enabled": True, "parameters": parameters, **more}
    document = {"schema": f"iglu:{vendor}/{name}/jsonschema/{version}", "data": data}
    (folder / f"{name}.yml").write_text(yaml.safe_dump(document))


def processed(
    folder: Path, *events: dict[str, Any], answers: Callable[[Query], Answer] | None = None, **request: Any
) -> Outcome:
    enrichments = Enrichments(folder, folder)
    pipeline = Pipeline(SCHEMAS.cached, lambda: enrichments.current, Options(PROCESSOR))
    return run(pipeline.process(post(*events, **request), MESSAGE_ID, ETL_MS), SCHEMAS, answers)


def only(outcome: Outcome) -> dict[str, str]:
    assert (rows(outcome), outcome.dropped) == ([], 0)
    return columns(outcome.enriched[0].body)


def derived(line: dict[str, str]) -> dict[str, Any]:
    """Entities by the name of their schema, in their order."""
    found = json.loads(line["derived_contexts"])["data"]
    return {one["schema"].split("/")[1]: one["data"] for one in found}


def javascript(source: str) -> dict[str, str]:
    return {"script": base64.urlsafe_b64encode(source.encode()).decode()}


def test_out_of_the_box(tmp_path: Path) -> None:
    line = only(processed(tmp_path, PAGE_VIEW))
    assert list(derived(line)) == ["ua_parser_context"]
    assert derived(line)["ua_parser_context"]["useragentFamily"] == "Chrome"
    assert line["refr_domain_userid"] == "d-1"
    assert len(line["event_fingerprint"]) == 32
    assert "refr_medium" not in line


def test_many_at_once(tmp_path: Path) -> None:
    """The latest stands first; lookups see the whole address, the line has the masked one; every entity is valid."""
    writer = MMDBWriter(6, "GeoIP2-City", ipv4_compatible=True)
    place = {"country": {"iso_code": "DE"}, "location": {"latitude": 52.5, "longitude": 13.4}}
    network = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    writer.insert_network(IPSet(["10.1.0.0/16"]), {**place, **network})
    writer.to_db_file(str(tmp_path / "all.mmdb"))
    database = {"database": "all.mmdb", "uri": "."}
    bots = dict.fromkeys(("useYauaa", "useIab", "useAsnLookups", "useClientSideDetection"), True)
    fields = {f"mkt{name}": [f"utm_{name.lower()}"] for name in ("Medium", "Source", "Term", "Content", "Campaign")}
    configure(tmp_path, "anon_ip", {"anonOctets": 2}, "1-0-0")
    configure(tmp_path, "ip_lookups", {"geo": database, "asn": database}, "2-0-1")
    configure(tmp_path, "asn_lookups", {"botAsns": [{"asn": 64500}]}, "1-0-0", ENRICHMENTS)
    configure(tmp_path, "bot_detection_enrichment_config", bots, "1-0-1", ENRICHMENTS)
    configure(tmp_path, "iab_spiders_and_robots_enrichment", {}, "1-0-0", ENRICHMENTS)
    configure(tmp_path, "yauaa_enrichment_config", {}, "1-0-0", ENRICHMENTS)
    configure(tmp_path, "campaign_attribution", {"fields": fields}, "1-0-1")
    configure(tmp_path, "referer_parser", {"internalDomains": []}, "2-0-0")
    configure(tmp_path, "cookie_extractor_config", {"cookies": ["sp"]}, "1-0-0")
    configure(tmp_path, "http_header_extractor_config", {"headersPattern": "X-.*"}, "1-0-0", ENRICHMENTS)
    configure(tmp_path, "cross_navigation_config", {}, "1-0-0", ENRICHMENTS)
    configure(tmp_path, "user_agent_utils_config", {}, "1-0-0")
    line = only(processed(tmp_path, PAGE_VIEW, headers=["Cookie: sp=7", "X-A: b"]))
    assert list(derived(line)) == [
        "bot_detection",
        "asn",
        "yauaa_context",
        "http_header",
        "http_cookie",
        "cross_navigation",
        "ua_parser_context",
        "spiders_and_robots",
    ]
    assert derived(line)["bot_detection"] == {"bot": True, "indicators": ["asnLookups"]}
    expected = {
        "geo_country": "DE",
        "geo_latitude": "52.5",
        "user_ipaddress": "10.1.x.x",
        "mkt_source": "news",
        "mkt_clickid": "g1",
        "mkt_network": "Google",
        "refr_medium": "search",
        "refr_source": "Google",
        "refr_term": "red shoes",
        "br_family": "Chrome",
    }
    assert {name: line.get(name) for name in expected} == expected


def test_pseudonyms_and_their_identification_event(tmp_path: Path) -> None:
    inside = {
        "field": "contexts",
        "schemaCriterion": f"iglu:{SNOWPLOW}/client_session/jsonschema/1-*-*",
        "jsonPath": "$.userId",
    }
    parameters = {
        "pii": [{"pojo": {"field": "user_id"}}, {"json": inside}],
        "strategy": {"pseudonymize": {"hashFunction": "SHA-256", "salt": "s"}},
    }
    configure(tmp_path, "pii_enrichment_config", parameters, "2-0-0", ENRICHMENTS, emitEvent=True)
    outcome = processed(tmp_path, PAGE_VIEW)
    assert rows(outcome) == []
    event, side = (columns(line.body) for line in outcome.enriched)
    assert len(event["user_id"]) == 64
    assert len(json.loads(event["contexts"])["data"][0]["data"]["userId"]) == 64
    assert (side["event"], side["platform"], side["event_name"]) == ("pii_transformation", "srv", "pii_transformation")
    assert json.loads(side["contexts"])["data"][0]["data"] == {"parentEventId": PAGE_VIEW["eid"]}
    assert "ann" in side["unstruct_event"]
    assert [line.body for line in processed(tmp_path, PAGE_VIEW).enriched] == [line.body for line in outcome.enriched]


@pytest.mark.parametrize("name", ["python", "javascript"])
def test_scripts_filter_and_neighbours_are_unharmed(tmp_path: Path, name: str) -> None:
    if name == "python":
        (tmp_path / "s.py").write_text("def enrich(event):\n    event['user_id'] != 'bot' or event.drop()")
        configure(tmp_path, "python_script", {"module": "s.py"}, "1-0-0", "io.evnt.enrichments")
    else:
        source = "function process(e) { if (e.getUser_id() == 'bot') { e.drop() } }"
        configure(tmp_path, "javascript_script_config", javascript(source), "1-0-0")
    outcome = processed(tmp_path, PAGE_VIEW, {**PAGE_VIEW, "uid": "bot"}, {**PAGE_VIEW, "uid": "bob"})
    assert [columns(line.body)["user_id"] for line in outcome.enriched] == ["ann", "bob"]
    assert (outcome.dropped, outcome.bad) == (1, [])


def test_a_failing_script_makes_a_bad_row_that_names_it(tmp_path: Path) -> None:
    source = "function process(e) { if (e.getUser_id() == 'bad') { throw 'no' } }"
    configure(tmp_path, "javascript_script_config", javascript(source), "1-0-0")
    outcome = processed(tmp_path, PAGE_VIEW, {**PAGE_VIEW, "uid": "bad"})
    assert len(outcome.enriched) == len(outcome.failed) == 1
    (row,) = rows(outcome)
    (message,) = row["data"]["failure"]["messages"]
    assert message == {
        "enrichment": {
            "schemaKey": f"iglu:{SNOWPLOW}/javascript_script_config/jsonschema/1-0-0",
            "identifier": "Javascript enrichment",
        },
        "message": {"error": "Error during execution of JavaScript function: [no]"},
    }


def test_what_a_script_changes_is_validated_again(tmp_path: Path) -> None:
    source = """
        function process(e) {
            var all = JSON.parse(e.getContexts()); all.data[0].data.sessionIndex = 'one';
            e.setContexts(JSON.stringify(all));
        }
    """
    configure(tmp_path, "javascript_script_config", javascript(source), "1-0-0")
    outcome = processed(tmp_path, PAGE_VIEW)
    assert outcome.enriched == []
    (row,) = rows(outcome)
    assert row["schema"].split("/")[1] == "schema_violations"


def request(folder: Path, *, ignore: bool = False) -> None:
    parameters = {
        "inputs": [{"key": "user", "pojo": {"field": "user_id"}}],
        "api": {"http": {"method": "GET", "uri": "http://crm.example/{{user}}", "timeout": 100}},
        "outputs": [{"schema": USER, "json": {"jsonPath": "$"}}],
        "cache": {"size": 10, "ttl": 10},
        "ignoreOnError": ignore,
    }
    configure(folder, "api_request_enrichment_config", parameters, "1-0-2", ENRICHMENTS)


def test_answers_are_attached_and_validated(tmp_path: Path) -> None:
    request(tmp_path)
    asked = []

    def answer(query: Query) -> Answer:
        asked.append(query.question.url)
        return Answer({"tier": 1 if query.question.url.endswith("ann") else "gold"})

    outcome = processed(tmp_path, PAGE_VIEW, {**PAGE_VIEW, "uid": "bob"}, answers=answer)
    assert asked == ["http://crm.example/ann", "http://crm.example/bob"]
    assert derived(columns(outcome.enriched[0].body))["user"] == {"tier": 1}
    assert [row["schema"].split("/")[1] for row in rows(outcome)] == ["schema_violations"]


@pytest.mark.parametrize("ignore", [True, False])
def test_an_outage_of_a_service_is_a_failure_unless_ignored(tmp_path: Path, ignore: bool) -> None:
    request(tmp_path, ignore=ignore)
    outcome = processed(tmp_path, PAGE_VIEW, answers=lambda _: Answer(error="away"))
    if ignore:
        assert "user" not in derived(only(outcome))
    else:
        (row,) = rows(outcome)
        assert row["data"]["failure"]["messages"][0]["message"] == {"error": "away"}
