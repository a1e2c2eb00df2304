"""Data files that operators bring: made in the test, replaced while in use, missing, broken."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from pydantic import ValidationError

from enricher.enrichments import ip_lookups, referer_parser
from enricher.enrichments.contract import Draft, EnrichmentRefused, Patch, Resources
from enricher.enrichments.loading import Enrichments, Refused, Reloaded
from tests.enricher.enrichments.drafts import documents, draft

BERLIN = {
    "country": {"iso_code": "DE"},
    "city": {"names": {"en": "Berlin", "de": "Berlin"}},
    "subdivisions": [{"iso_code": "XX", "names": {"en": "outer"}}, {"iso_code": "BE", "names": {"en": "Land Berlin"}}],
    "postal": {"code": "10115"},
    "location": {"latitude": 52.5323, "longitude": 13.3846, "time_zone": "Europe/Berlin"},
}


def database(path: Path, records: Mapping[str, Any], kind: str = "GeoIP2-City") -> None:
    writer = MMDBWriter(6, kind, ipv4_compatible=True)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    fresh = path.with_suffix(".new")
    writer.to_db_file(str(fresh))
    os.replace(fresh, path)


def state(folder: Path, **databases: str) -> ip_lookups.State:
    config = ip_lookups.Config.model_validate({name: {"database": file} for name, file in databases.items()})
    return ip_lookups.prepare(config, Resources(folder, folder))


def at(address: str) -> Draft:
    return draft({"user_ipaddress": address})


def test_every_column_of_a_place(tmp_path: Path) -> None:
    database(tmp_path / "city.mmdb", {"192.0.2.0/24": BERLIN})
    patch = ip_lookups.enrich(at("192.0.2.7"), state(tmp_path, geo="city.mmdb"))
    assert patch == Patch(
        {
            "geo_country": "DE",
            "geo_region": "BE",
            "geo_city": "Berlin",
            "geo_zipcode": "10115",
            "geo_latitude": "52.5323",
            "geo_longitude": "13.3846",
            "geo_region_name": "Land Berlin",
            "geo_timezone": "Europe/Berlin",
        }
    )


def test_another_makers_names_for_other_things_are_passed_over(tmp_path: Path) -> None:
    record = {
        "country": "DE",
        "city": "Berlin",
        "subdivisions": "BE",
        "postal": {"code": 10115},
        "location": {"latitude": "52.5", "time_zone": "Europe/Berlin"},
        "isp": "Example",
        "autonomous_system_number": "AS64500",
    }
    database(tmp_path / "own.mmdb", {"192.0.2.0/24": record})
    chosen = state(tmp_path, geo="own.mmdb", isp="own.mmdb", domain="own.mmdb", asn="own.mmdb")
    assert ip_lookups.enrich(at("192.0.2.7"), chosen) == Patch(
        {
            "geo_zipcode": "10115",
            "geo_latitude": "0.0",
            "geo_longitude": "0.0",
            "geo_timezone": "Europe/Berlin",
            "ip_isp": "Example",
        }
    )


def test_each_database_has_its_columns(tmp_path: Path) -> None:
    network = "192.0.2.0/24"
    database(tmp_path / "isp.mmdb", {network: {"isp": "Net\tco", "organization": "Org"}}, "GeoIP2-ISP")
    database(tmp_path / "domain.mmdb", {network: {"domain": "example.net"}}, "GeoIP2-Domain")
    database(tmp_path / "type.mmdb", {network: {"connection_type": "Cellular"}}, "GeoIP2-Connection-Type")
    asn = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    database(tmp_path / "asn.mmdb", {network: asn}, "GeoLite2-ASN")
    loaded = state(tmp_path, isp="isp.mmdb", domain="domain.mmdb", connectionType="type.mmdb", asn="asn.mmdb")
    patch = ip_lookups.enrich(at("192.0.2.7"), loaded)
    assert patch is not None
    assert patch.fields == {
        "ip_isp": "Net    co",
        "ip_organization": "Org",
        "ip_domain": "example.net",
        "ip_netspeed": "Cellular",
    }
    assert documents(patch.contexts)[0]["data"] == {"number": 64500, "organization": "Example"}
    assert ip_lookups.enrich(at("198.51.100.1"), loaded) == Patch({}, ())


def test_a_replaced_database_takes_effect_and_a_broken_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    database(path, {"192.0.2.0/24": BERLIN})
    parameters = {"geo": {"database": "city.mmdb", "uri": "."}}
    data = {"vendor": "com.snowplowanalytics.snowplow", "name": "ip_lookups", "parameters": parameters}
    schema = "iglu:com.snowplowanalytics.snowplow/ip_lookups/jsonschema/2-0-0"
    (tmp_path / "ip.yml").write_text(yaml.safe_dump({"schema": schema, "data": data}))
    enrichments = Enrichments(tmp_path, tmp_path)

    def country() -> str:
        found = next(one for one in enrichments.current if one.name == "ip_lookups")
        patch = found.enrich(at("192.0.2.7"), found.state)
        assert patch is not None
        return patch.fields["geo_country"]

    assert country() == "DE"
    database(path, {"192.0.2.0/24": {**BERLIN, "country": {"iso_code": "FR"}, "extra": "longer"}})
    assert isinstance(enrichments.poll(), Reloaded)
    assert country() == "FR"
    fresh = tmp_path / "broken"
    fresh.write_bytes(b"no database")
    os.replace(fresh, path)
    refused = enrichments.poll()
    assert isinstance(refused, Refused)
    assert "can't be read as a MaxMind database" in refused.message
    assert country() == "FR"
    path.unlink()
    assert isinstance(enrichments.poll(), Refused)
    assert country() == "FR"
    assert enrichments.poll() is None
    database(path, {"192.0.2.0/24": {**BERLIN, "country": {"iso_code": "IT"}}})
    assert isinstance(enrichments.poll(), Reloaded)
    assert country() == "IT"


def test_a_database_may_be_written_anew_while_it_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    networks = {f"192.0.2.{last}/32": {**BERLIN, "postal": {"code": f"{last:0500}"}} for last in range(100)}
    database(path, networks)
    loaded = state(tmp_path, geo="city.mmdb")
    with path.open("r+b") as file:
        file.truncate(4_096)
    for last in range(100):
        assert ip_lookups.enrich(at(f"192.0.2.{last}"), loaded) is not None
    with pytest.raises(EnrichmentRefused, match=f"{path} can't be read as a MaxMind database"):
        state(tmp_path, geo="city.mmdb")


def test_a_missing_database_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EnrichmentRefused, match="is missing: put it there"):
        state(tmp_path, geo="city.mmdb")
    remote = ip_lookups.Config.model_validate({"geo": {"database": "c.mmdb", "uri": "https://files.example/maxmind"}})
    with pytest.raises(EnrichmentRefused, match=r"run `evnt enrichments fetch` .*files\.example/maxmind/c\.mmdb"):
        ip_lookups.prepare(remote, Resources(tmp_path, tmp_path))


@pytest.mark.parametrize("login", ["ann:hunter2", "ann:h%nter2", "hunter2", "ann:hun@ter2"])
def test_where_a_file_is_missing_its_address_is_told_without_the_login(tmp_path: Path, login: str) -> None:
    chosen = {"geo": {"database": "c.mmdb", "uri": f"https://{login}@files.example/maxmind"}}
    with pytest.raises((EnrichmentRefused, ValidationError)) as refused:
        ip_lookups.prepare(ip_lookups.Config.model_validate(chosen), Resources(tmp_path, tmp_path))
    error = refused.value
    said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    assert "https://files.example/maxmind" in said
    assert "ter2" not in said


@pytest.mark.parametrize(
    ("referrer", "medium", "source"),
    [
        ("www.google.com", "search", "Google"),
        ("www.google.co.uk", "search", "Google"),
        ("mail.google.com", "email", "Gmail"),
        ("gemini.google.com", "chatbot", "Gemini"),
        ("l.facebook.com", "social", "Facebook"),
        ("t.co", "social", "X"),
        ("old.reddit.com", "social", "Reddit"),
        ("outlook.live.com", "email", "Outlook.com"),
        ("duckduckgo.com", "search", "DuckDuckGo"),
        ("chatgpt.com", "chatbot", "ChatGPT"),
        ("notgoogle.example", "unknown", ""),
    ],
)
def test_evnts_own_list_of_referrers(tmp_path: Path, referrer: str, medium: str, source: str) -> None:
    loaded = referer_parser.prepare(referer_parser.Config.model_validate({}), Resources(tmp_path, tmp_path))
    before = draft({"refr_urlscheme": "https", "refr_urlhost": referrer, "refr_urlquery": "q=a+b%21"})
    patch = referer_parser.enrich(before, loaded)
    assert patch is not None
    term = "a b!" if medium == "search" else ""
    assert patch.fields == {"refr_medium": medium, "refr_source": source, "refr_term": term}


def test_a_broken_list_of_referrers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"search": {"Google": {"parameters": ["q"]}}}')
    config = referer_parser.Config.model_validate({"database": "r.json"})
    with pytest.raises(EnrichmentRefused, match="is not a referer database"):
        referer_parser.prepare(config, Resources(tmp_path, tmp_path))
