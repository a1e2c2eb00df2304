"""Whatever comes in wrong ends as the right bad row, with the original in it, and harms no neighbour."""

import asyncio
import base64
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.identity import now_ms, uuid7
from shared.settings import SharedSettings
from shared.stream import open_publisher
from shared.stream.contract import Message
from tests.e2e.pipeline import ROOT, Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"


@dataclass(frozen=True)
class Case:
    """One request, the type of its bad row, and what of the original must be found in it."""

    name: str
    kind: str
    original: str
    target: str = TP2
    body: bytes | None = None
    content_type: str = "application/json"


def get(name: str, kind: str, original: str, **parameters: str) -> Case:
    query = urlencode({"e": "pv", "p": "web", "tv": "x", "aid": "bad-input", **parameters})
    return Case(name, kind, original, f"/i?{query}")


def event(**parameters: Any) -> dict[str, Any]:
    return {"e": "pv", "p": "web", "tv": "x", "aid": "bad-input", **parameters}


def post(*events: dict[str, Any]) -> bytes:
    return json.dumps({"schema": PAYLOAD_DATA, "data": events}).encode()


def contexts(*entities: tuple[str, Any]) -> str:
    data = [{"schema": schema, "data": data} for schema, data in entities]
    return json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": data})


CASES = [
    Case("body is not JSON", "tracker_protocol_violations", '{"schema": "broken-1', body=b'{"schema": "broken-1'),
    Case("body is empty", "tracker_protocol_violations", "empty-2", f"{TP2}?", b"", "application/json; x=empty-2"),
    Case("wrong content type", "tracker_protocol_violations", "text-3", body=b"text-3", content_type="text/plain"),
    Case("no such vendor", "adapter_failures", "vendor-4", "/com.acme.unknown/v9", b'{"a": "vendor-4"}'),
    Case("value of a wrong type", "tracker_protocol_violations", "number-5", body=post(event(eid=5, tna="number-5"))),
    Case("too large to keep", "size_violation", "big-6", body=b'"big-6' + b"x" * 1_500_000 + b'"'),
    get("base64 that is no JSON", "schema_violations", "!!junk-7!!", e="ue", ue_px="!!junk-7!!"),
    get(
        "unknown schema",
        "schema_violations",
        "missing-8",
        co=contexts(("iglu:com.acme/missing-8/jsonschema/1-0-0", {})),
    ),
    get("number that is none", "schema_violations", "ten-9", e="tr", tr_tt="ten-9"),
    get("event id that is none", "schema_violations", "id-10", eid="id-10"),
    get("no such event type", "schema_violations", "type-11", e="type-11"),
    Case("no event type at all", "enrichment_failures", "none-13", "/i?p=web&tv=x&aid=bad-input&tna=none-13"),
    get("URL that is none", "enrichment_failures", "http://h o s t-12[/", url="http://h o s t-12[/"),
]


def send(port: int, case: Case) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{case.target}", data=case.body)
    if case.body is not None:
        request.add_header("Content-Type", case.content_type)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def bad_rows(pipeline: Pipeline, original: str) -> list[dict[str, Any]]:
    rows = pipeline.query("SELECT type, payload FROM bad_rows")
    return [row for row in rows if original in _readable(row["payload"])]


def _readable(payload: str) -> str:
    """The bad row with every escaped quote resolved, so that the original can be found by its text."""
    return payload.replace('\\"', '"').replace('\\"', '"')


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_bad_request_ends_as_a_bad_row(embedded_pipeline: Pipeline, case: Case) -> None:
    send(embedded_pipeline.collector_port, case)
    embedded_pipeline.wait_for(lambda: bool(bad_rows(embedded_pipeline, case.original)), case.name)
    assert {row["type"] for row in bad_rows(embedded_pipeline, case.original)} == {case.kind}


def test_neighbours_are_unharmed(embedded_pipeline: Pipeline) -> None:
    broken = contexts(("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": 7}))
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
    first, middle, last = (event(eid=identifier, aid="neighbours") for identifier in ids)
    send(embedded_pipeline.collector_port, Case("", "", "", body=post(first, {**middle, "co": broken}, last)))
    embedded_pipeline.wait_for(lambda: bool(bad_rows(embedded_pipeline, ids[1])), "the bad row")
    stored = "SELECT toString(event_id) AS id FROM {} WHERE app_id = 'neighbours' ORDER BY id"
    embedded_pipeline.wait_for(lambda: len(embedded_pipeline.query(stored.format("events"))) == 2, "the neighbours")
    assert [row["id"] for row in embedded_pipeline.query(stored.format("events"))] == [ids[0], ids[2]]
    embedded_pipeline.wait_for(
        lambda: bool(embedded_pipeline.query(stored.format("events_failed"))), "the failed event"
    )
    assert [row["id"] for row in embedded_pipeline.query(stored.format("events_failed"))] == [ids[1]]


def test_damaged_record_is_kept_whole(embedded_pipeline: Pipeline) -> None:
    damaged = b"\x0b\x00\x64\x00\x00\xff\xff1.2.3"
    settings = SharedSettings(data_dir=embedded_pipeline.folder / "var")
    asyncio.run(_publish(settings, damaged))
    original = base64.b64encode(damaged).decode()
    embedded_pipeline.wait_for(lambda: bool(bad_rows(embedded_pipeline, original)), "the bad row")
    assert {row["type"] for row in bad_rows(embedded_pipeline, original)} == {"collector_payload_format_violation"}


async def _publish(settings: SharedSettings, body: bytes) -> None:
    message = Message(body, uuid7(), now_ms(), "collector-payload", "application/x-thrift", {"payloads": 1})
    async with open_publisher(settings) as publisher:
        await publisher.publish("raw", [message])


def test_bad_rows_are_shown_without_being_consumed(embedded_pipeline: Pipeline) -> None:
    case = get("shown", "schema_violations", "shown-99", e="tr", tr_tt="shown-99")
    send(embedded_pipeline.collector_port, case)
    embedded_pipeline.wait_for(lambda: bool(bad_rows(embedded_pipeline, "shown-99")), "the bad row")
    twice = [_listed(embedded_pipeline.folder / "var") for _ in range(2)]
    assert twice[0] == twice[1]
    assert any("shown-99" in line for line in twice[0])


def _listed(data_dir: Path) -> list[str]:
    command = [sys.executable, "-m", "cli", "bad-rows", "list", "--json", "--limit", "1000"]
    environment = {"EVNT_DATA_DIR": str(data_dir), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
