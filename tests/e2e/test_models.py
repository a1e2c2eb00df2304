"""Derived tables and the old table's view over what real trackers sent.

What must be in them is told by the recordings: another folder may hold other scenarios of browsers and phones.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from loader.warehouse import models
from loader.warehouse.settings import ConfigurationSettings
from tests.e2e.expectation import expected_events
from tests.e2e.pipeline import Pipeline
from tests.e2e.replay import send
from tests.vectors import traffic

pytestmark = [pytest.mark.traffic, pytest.mark.e2e, pytest.mark.timeout(300)]

#: A browser and a phone.
TRACKERS = ("javascript-4.10.1", "android-6.3.2")

#: Column `event` → the old table's `event_type`.
TYPES = {
    "page_view": "pv",
    "page_ping": "pp",
    "unstruct": "ue",
    "struct": "se",
    "transaction": "tr",
    "transaction_item": "ti",
}

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def recorded() -> Rows:
    rows = [parameter.values[0] for parameter in traffic() if parameter.values[0]]
    found = [row for row in rows if row["id"].startswith(TRACKERS)]
    if not found:
        pytest.skip("the recorded requests are not on this machine")
    return found


@pytest.fixture(scope="module")
def warehouse(traffic_pipeline: Pipeline, recorded: Rows) -> Pipeline:
    for number, row in enumerate(recorded):
        send(traffic_pipeline.collector_port, number, row["request"])
    wanted = {event["event_id"] for event in sound_events(recorded) if "event_id" in event}

    def arrived() -> bool:
        found = traffic_pipeline.query(
            "SELECT toString(event_id) AS id FROM events UNION ALL SELECT payload FROM bad_rows"
        )
        return all(any(event_id in row["id"] for row in found) for event_id in wanted)

    traffic_pipeline.wait_for(arrived, "every event to arrive")
    return traffic_pipeline


def sound_events(recorded: Rows) -> Iterator[dict[str, Any]]:
    for row in recorded:
        if not row["expect"].get("problems"):
            yield from expected_events(row["expect"])


def has_entity(event: dict[str, Any], name: str) -> bool:
    return any(uri.startswith(f"iglu:com.snowplowanalytics.snowplow/{name}/") for uri in event.get("contexts", ()))


def has_session(event: dict[str, Any]) -> bool:
    return bool(event.get("domain_sessionid")) or has_entity(event, "client_session")


def derived(pipeline: Pipeline, name: str) -> Rows:
    (model,) = (model for model in models.models() if model.name == name)
    return pipeline.query(f"SELECT * FROM ({models.select(ConfigurationSettings(), model)})")


def one(pipeline: Pipeline, statement: str) -> int:
    return int(pipeline.query(f"SELECT {statement} AS n FROM events_unique")[0]["n"])


def test_every_page_view_is_a_row(warehouse: Pipeline, recorded: Rows) -> None:
    views = derived(warehouse, "page_views")
    pages = "event_name IN ('page_view', 'page_ping') AND page_view_id IS NOT NULL"
    assert len(views) == one(warehouse, f"uniqExactIf((app_id, page_view_id), {pages})")
    assert bool(views) == any(
        event["event_name"] in ("page_view", "page_ping") and has_entity(event, "web_page")
        for event in sound_events(recorded)
    )
    assert sum(int(view["page_pings"]) for view in views) == one(
        warehouse, f"countIf(event_name = 'page_ping' AND {pages})"
    )
    assert all(view["page_url"] and view["start_tstamp"] <= view["end_tstamp"] for view in views)


def test_every_session_of_web_and_phone_is_a_row(warehouse: Pipeline, recorded: Rows) -> None:
    sessions = derived(warehouse, "sessions")
    web = {row["domain_sessionid"] for row in warehouse.query("SELECT domain_sessionid FROM events_unique")} - {None}
    assert web <= {session["session_id"] for session in sessions}
    sent = [event for event in sound_events(recorded) if has_session(event)]
    assert {event["platform"] for event in sent} <= {session["platform"] for session in sessions}
    assert any(int(session["screen_views"]) for session in sessions) == any(
        event["event_name"] == "screen_view" for event in sent
    )


def test_every_visitor_is_a_row(warehouse: Pipeline) -> None:
    users = derived(warehouse, "users")
    web = {row["domain_userid"] for row in warehouse.query("SELECT domain_userid FROM events_unique")} - {None}
    assert web <= {user["visitor_id"] for user in users}
    assert sum(int(user["page_views"]) for user in users) <= one(warehouse, "countIf(event_name = 'page_view')")


def test_the_old_table_shows_every_event(warehouse: Pipeline, recorded: Rows) -> None:
    old = warehouse.query("SELECT * FROM local")
    assert len(old) == one(warehouse, "count()")
    assert len(old[0]) == 33
    sent = list(sound_events(recorded))
    assert {TYPES[event["event"]] for event in sent} <= {row["event_type"] for row in old}
    described = [row for row in old if row["event_type"] == "ue"]
    assert all(row["event"]["unstructured"] for row in described)
    assert any(json.dumps(row["session"]["unstructured"]) != "{}" for row in old if row["platform"] == "mob") == any(
        event["platform"] == "mob" and has_entity(event, "client_session") for event in sent
    )
