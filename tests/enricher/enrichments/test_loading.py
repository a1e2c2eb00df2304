"""The folder of configuration files: what is accepted, what is refused and how, and what a change does."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from enricher.enrichments.contract import Enrichment, EnrichmentRefused
from enricher.enrichments.loading import Enrichments, Refused, Reloaded
from tests.enricher.enrichments.drafts import draft

SNOWPLOW = "com.snowplowanalytics.snowplow"
EMAIL = {"field": "contexts", "schemaCriterion": "iglu:com.acme/user/jsonschema/1-*-*", "jsonPath": "$.email"}
BUILT_IN = ["ua_parser", "cross_navigation", "event_fingerprint"]


def anon_ip(**parameters: Any) -> dict[str, Any]:
    return configuration("anon_ip", parameters or {"anonOctets": 1})


def configuration(
    name: str, parameters: Any, *, vendor: str = SNOWPLOW, version: str = "1-0-0", enabled: bool = True
) -> dict[str, Any]:
    data = {"vendor": vendor, "name": name, "enabled": enabled, "parameters": parameters}
    return {"schema": f"iglu:{vendor}/{name}/jsonschema/{version}", "data": data}


def referrers(**entry: Any) -> dict[str, Any]:
    return configuration("referer_parser", {"referrers": {"paid": {"Acme": entry}}}, version="2-0-1")


def api_request(schema: str) -> dict[str, Any]:
    parameters = {
        "inputs": [],
        "api": {"http": {"method": "GET", "uri": "http://h/"}},
        "outputs": [{"schema": schema, "json": {"jsonPath": "$"}}],
        "cache": {"size": 1, "ttl": 1},
    }
    return configuration("api_request_enrichment_config", parameters, vendor=f"{SNOWPLOW}.enrichments", version="1-0-2")


def pii(**target: Any) -> dict[str, Any]:
    strategy = {"pseudonymize": {"hashFunction": "SHA-256", "salt": "pepper"}}
    parameters = {"pii": [target], "strategy": strategy}
    return configuration("pii_enrichment_config", parameters, vendor=f"{SNOWPLOW}.enrichments", version="2-0-1")


def write(folder: Path, file: str, document: Any) -> None:
    text = json.dumps(document) if file.endswith(".json") else yaml.safe_dump(document)
    (folder / file).write_text(text)


def opened(folder: Path) -> Enrichments:
    return Enrichments(folder, folder / "var")


def names(enrichments: Enrichments) -> list[str]:
    return [one.name for one in enrichments.current]


def one(enrichments: Enrichments, name: str) -> Enrichment:
    return next(found for found in enrichments.current if found.name == name)


def masked(enrichments: Enrichments) -> str:
    found = one(enrichments, "anon_ip")
    patch = found.enrich(draft({"user_ipaddress": "94.15.223.7"}), found.state)
    assert patch is not None
    return patch.fields["user_ipaddress"]


def test_an_empty_folder_has_what_is_built_in(tmp_path: Path) -> None:
    assert names(opened(tmp_path)) == BUILT_IN


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnrichmentRefused, match=r"enrichmets is not a folder \(enricher.enrichments\)"):
        opened(tmp_path / "enrichmets")


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Root may read everything, so it is somebody else meanwhile."""
    effective = os.geteuid()
    folder.chmod(0)
    if effective == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(effective)
        folder.chmod(0o700)


def test_a_folder_that_can_not_be_listed_is_refused_and_what_it_masks_stays_masked(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip())
    enrichments = opened(tmp_path)
    with unreadable(tmp_path):
        assert enrichments.poll() == Refused(f"{tmp_path} can't be listed (enricher.enrichments): Permission denied")
        with pytest.raises(EnrichmentRefused, match="can't be listed"):
            opened(tmp_path)
    assert masked(enrichments) == "94.15.223.x"
    assert isinstance(enrichments.poll(), Reloaded)


def test_what_is_built_in_can_be_switched_off_but_for_the_protocol(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", configuration("ua_parser_config", {}, enabled=False))
    write(tmp_path, "b.yml", configuration("event_fingerprint_config", {}, enabled=False))
    vendor = f"{SNOWPLOW}.enrichments"
    write(tmp_path, "c.yml", configuration("cross_navigation_config", {}, vendor=vendor, enabled=False))
    enrichments = opened(tmp_path)
    assert names(enrichments) == ["cross_navigation"]
    assert one(enrichments, "cross_navigation").schema_uri is None


@pytest.mark.parametrize("file", ["anon_ip.json", "anon_ip.yml", "anon_ip.yaml"])
def test_yaml_and_snowplows_json(tmp_path: Path, file: str) -> None:
    write(tmp_path, file, anon_ip(anonOctets=2))
    found = one(opened(tmp_path), "anon_ip")
    assert found.schema_uri == f"iglu:{SNOWPLOW}/anon_ip/jsonschema/1-0-0"
    assert masked(opened(tmp_path)) == "94.15.x.x"


def test_json_may_be_indented_by_tabs_as_snowplows_examples_are(tmp_path: Path) -> None:
    (tmp_path / "anon_ip.json").write_text(json.dumps(anon_ip(), indent="\t"))
    assert "anon_ip" in names(opened(tmp_path))


def test_an_array_of_configurations(tmp_path: Path) -> None:
    array = {"schema": f"iglu:{SNOWPLOW}/enrichments/jsonschema/1-0-0", "data": [anon_ip()]}
    write(tmp_path, "all.json", array)
    assert "anon_ip" in names(opened(tmp_path))


def test_options_beside_the_parameters(tmp_path: Path) -> None:
    parameters = {"pii": [], "strategy": {"pseudonymize": {"hashFunction": "MD5", "salt": "s"}}}
    document = configuration("pii_enrichment_config", parameters, vendor=f"{SNOWPLOW}.enrichments", version="2-0-1")
    document["data"] |= {"emitEvent": True, "anonymousOnly": True}
    write(tmp_path, "pii.json", document)
    state = one(opened(tmp_path), "pii").state
    assert (state.emit_event, state.anonymous_only) == (True, True)


def test_a_data_file_that_can_not_be_read_is_refused_and_reloading_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = tmp_path / "data" / "referers.json"
    data.write_text("{}")
    chosen = {"internalDomains": [], "database": "referers.json", "uri": "data"}
    write(tmp_path, "one.yml", configuration("referer_parser", chosen, version="2-0-0"))
    enrichments = opened(tmp_path)
    data.write_bytes(b"\xff\xfe")
    refused = enrichments.poll()
    assert isinstance(refused, Refused)
    assert "one.yml: 'utf-8' codec can't decode" in refused.message
    data.write_text('{"paid": {}}')
    assert isinstance(enrichments.poll(), Reloaded)


SPECIFICATIONS = configuration(
    "event_spec_enrichment_config", {"uri": "data", "database": "specs.json"}, vendor=f"{SNOWPLOW}.enrichments"
)
SCRIPT = configuration("python_script", {"module": "data/script.py"}, vendor="io.evnt.enrichments")


@pytest.mark.parametrize(
    ("document", "data", "said"),
    [
        (SPECIFICATIONS, "[" * 10_000, "one.yml: .*specs.json is not a file of event specifications: "),
        (SCRIPT, "def __getattr__(name): raise OverflowError", "one.yml: it can't be used, unforeseen OverflowError: "),
        (SCRIPT, "raise GeneratorExit", "one.yml: .*script.py can't be loaded: GeneratorExit: "),
        ({**SPECIFICATIONS, "data": {**SPECIFICATIONS["data"], "parameters": {"database": "a\0"}}}, "", "is missing"),
        ({**SPECIFICATIONS, "data": {**SPECIFICATIONS["data"], "parameters": {"database": "//["}}}, "", "Invalid IPv6"),
        ("[" * 10_000, "", "one.yml: nested too deeply"),
    ],
)
def test_whatever_a_file_does_is_refused_and_reloading_goes_on(
    tmp_path: Path, document: Any, data: str, said: str
) -> None:
    enrichments = opened(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("specs.json", "script.py"):
        (tmp_path / "data" / name).write_text(data)
    (tmp_path / "one.yml").write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    refused = enrichments.poll()
    assert isinstance(refused, Refused)
    assert re.search(said, refused.message)
    assert names(enrichments) == BUILT_IN
    write(tmp_path, "one.yml", anon_ip())
    assert isinstance(enrichments.poll(), Reloaded)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (anon_ip(anonOctets=9), "data.parameters.anonOctets: IPv4 address octets to anonymize must be 1, 2, 3 or 4"),
        (anon_ip(anonOctet=1), "data.parameters.anonOctets: Field required"),
        (anon_ip(anonOctets=1, extra=1), "data.parameters.extra: Extra inputs are not permitted"),
        (configuration("anon_ipp", {}), "schema: there is no enrichment anon_ipp, did you mean anon_ip?"),
        (configuration("anon_ip", {}, version="2-0-0"), "schema: Schema key"),
        (configuration("anon_ip", {}, vendor="com.acme"), "schema: Schema key iglu:com.acme/anon_ip"),
        (configuration("anon_ip", []), "data.parameters: expected an object"),
        ({**anon_ip(), "data": {**anon_ip()["data"], "enabled": "false"}}, "data.enabled: expected true or false"),
        ({**anon_ip(), "data": {**anon_ip()["data"], "enabled": 0}}, "data.enabled: expected true or false"),
        (referrers(domains="acme.example"), "expected a list of texts, not 'acme.example'"),
        (referrers(domains=[None]), "expected a list of texts, not [None]"),
        (referrers(domains=["acme.example"], parameters="q"), "expected a list of texts, not 'q'"),
        (
            configuration("asn_lookups", {"bypassPlatforms": ["server"]}, vendor=f"{SNOWPLOW}.enrichments"),
            "data.parameters.bypassPlatforms.0: Input should be 'web'",
        ),
        (api_request(schema="user"), "data.parameters.outputs.0.schema: INVALID_IGLUURI: user"),
        (
            api_request(schema="iglu:com.acme/user/jsonschema/0-0-0"),
            "data.parameters.outputs.0.schema: INVALID_SCHEMAVER",
        ),
        (
            pii(pojo={"field": "user_id"}, json=EMAIL),
            "data.parameters.pii.0: PII Configuration: pii field includes both 'pojo' and 'json', expected one of them",
        ),
        (
            configuration("ua_parser_config", {"uri": "s3://bucket/rules.yml"}, version="1-0-1"),
            "data.parameters: expected database beside uri: the name of the file",
        ),
        (
            configuration("referer_parser", {"uri": "s3://bucket", "internalDomains": []}, version="2-0-0"),
            "data.parameters: expected database beside uri: the name of the file",
        ),
        ({"schema": "iglu:nonsense", "data": {}}, "schema: INVALID_IGLUURI"),
        ({"data": {}}, "expected a self-describing configuration"),
        (["a"], "expected a self-describing configuration"),
        ({**anon_ip(), "data": {**anon_ip()["data"], "name": "pii"}}, "data.name: expected anon_ip"),
        (configuration("ip_lookups", {"geo": {"database": "g.mmdb"}}, version="2-0-0"), "g.mmdb is missing"),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_and_key(tmp_path: Path, document: Any, said: str) -> None:
    write(tmp_path, "one.yml", document)
    with pytest.raises(EnrichmentRefused) as refused:
        opened(tmp_path)
    assert str(tmp_path / "one.yml") in str(refused.value)
    assert said in str(refused.value)


def test_broken_yaml_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text("a: [")
    with pytest.raises(EnrichmentRefused, match=r"one\.yml"):
        opened(tmp_path)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip(anonOctets=9))
    write(tmp_path, "b.yml", configuration("nothing_like_it", {}))
    with pytest.raises(EnrichmentRefused) as refused:
        opened(tmp_path)
    assert "a.yml" in str(refused.value)
    assert "b.yml" in str(refused.value)


def test_one_enrichment_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip())
    write(tmp_path, "b.yml", anon_ip())
    with pytest.raises(EnrichmentRefused, match="anon_ip is switched on more than once"):
        opened(tmp_path)


def test_scripts_may_be_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text("def enrich(event): return None")
        document = configuration("python_script", {"module": f"{name}.py"}, vendor="io.evnt.enrichments")
        write(tmp_path, f"{name}.yml", document)
    assert names(opened(tmp_path)).count("python_script") == 2


def test_nothing_changed(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip())
    assert opened(tmp_path).poll() is None


def test_a_changed_file_takes_effect(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip(anonOctets=1))
    enrichments = opened(tmp_path)
    assert masked(enrichments) == "94.15.223.x"
    write(tmp_path, "a.yml", anon_ip(anonOctets=3, anonSegments=3))
    assert isinstance(enrichments.poll(), Reloaded)
    assert masked(enrichments) == "94.x.x.x"
    assert enrichments.poll() is None


def test_added_and_removed_files_take_effect(tmp_path: Path) -> None:
    enrichments = opened(tmp_path)
    write(tmp_path, "a.yml", anon_ip())
    assert isinstance(enrichments.poll(), Reloaded)
    assert "anon_ip" in names(enrichments)
    (tmp_path / "a.yml").unlink()
    assert isinstance(enrichments.poll(), Reloaded)
    assert names(enrichments) == BUILT_IN


def test_an_invalid_change_is_refused_once_and_the_old_one_stays(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip(anonOctets=1))
    enrichments = opened(tmp_path)
    write(tmp_path, "a.yml", anon_ip(anonOctets=9))
    refused = enrichments.poll()
    assert isinstance(refused, Refused)
    assert "a.yml" in refused.message
    assert masked(enrichments) == "94.15.223.x"
    assert enrichments.poll() is None
    write(tmp_path, "a.yml", anon_ip(anonOctets=2, anonSegments=2))
    assert isinstance(enrichments.poll(), Reloaded)
    assert masked(enrichments) == "94.15.x.x"


def test_what_did_not_change_keeps_its_state(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", anon_ip())
    enrichments = opened(tmp_path)
    before = one(enrichments, "ua_parser").state
    write(tmp_path, "a.yml", anon_ip(anonOctets=2, anonSegments=1))
    enrichments.poll()
    assert one(enrichments, "ua_parser").state is before


def test_a_changed_script_takes_effect(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("def enrich(event): event['app_id'] = 'one'")
    write(tmp_path, "s.yml", configuration("python_script", {"module": "s.py"}, vendor="io.evnt.enrichments"))
    enrichments = opened(tmp_path)
    script.write_text("def enrich(event): event['app_id'] = 'another'")
    assert isinstance(enrichments.poll(), Reloaded)
    found = one(enrichments, "python_script")
    patch = found.enrich(draft(), found.state)
    assert patch is not None
    assert patch.fields == {"app_id": "another"}
    script.write_text("def enrich(event: nonsense")
    assert isinstance(enrichments.poll(), Refused)
    assert one(enrichments, "python_script") == found
