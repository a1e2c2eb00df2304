"""Every recorded request of the real trackers goes over a socket through the running pipeline.

All requests are sent first, in the order in which they were recorded; then each test compares its own request
with what came out at the end.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.expectation import (
    ANONYMOUS_ID,
    KNOWN,
    REQUEST,
    concerns,
    differences,
    expected_events,
    mark_of,
    mentions,
    problem_schema,
    problems_of,
    refuses_all,
    too_long,
)
from tests.e2e.pipeline import Pipeline
from tests.e2e.replay import Answer, seen_address, send, takes_cookie_away
from tests.vectors import traffic

pytestmark = [pytest.mark.traffic, pytest.mark.e2e, pytest.mark.timeout(300)]

RECORDED = traffic()

#: Fields that differ between two deliveries of one event; the table keeps either.
_OF_THE_DELIVERY = frozenset({"dvce_sent_tstamp_ms", "user_ipaddress", "network_userid"})


Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of all requests: answers and visitors' addresses by request id, rows by event id and address."""

    answers: Mapping[str, Answer]
    addresses: Mapping[str, str]
    rows: Rows
    failed: Rows
    bad_rows: list[str]  # in lower case: an event id is looked for in all of them
    sent_ids: Counter[str]

    def bad_rows_of(self, recorded: Mapping[str, Any]) -> list[str]:
        """Every bad row says where its request came from, or, of an anonymous visitor, which event it was."""
        marks = [self.addresses[recorded["id"]], *_ids([recorded])]
        return [text for text in self.bad_rows if any(mentions(text, mark) for mark in marks)]


def rows_of(rows: Rows, event: Mapping[str, Any], address: str) -> Rows:
    column = "event_id" if event.get("event_id") else "user_ipaddress"
    return [row for row in rows if row[column] == mark_of(event, address)]


@pytest.fixture(scope="module")
def outcome(traffic_pipeline: Pipeline) -> Outcome:
    requests = [parameter.values[0] for parameter in RECORDED if parameter.values[0]]
    answers = {row["id"]: send(traffic_pipeline.collector_port, n, row["request"]) for n, row in enumerate(requests)}
    addresses = {row["id"]: seen_address(n, row["request"]) for n, row in enumerate(requests)}
    sent = Counter(_ids(requests))
    marks = {mark_of(event, addresses[row["id"]]) for row in requests for event in expected_events(row["expect"])}
    traffic_pipeline.wait_for(lambda: _arrived(traffic_pipeline, marks), "every event to arrive")
    rows, failed = (traffic_pipeline.query(f"SELECT * FROM {table}") for table in ("events", "events_failed"))
    return Outcome(answers, addresses, rows, failed, _bad(traffic_pipeline), sent)


def _ids(requests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in requests:
        yield from (event["event_id"] for event in expected_events(row["expect"]) if "event_id" in event)


def _arrived(pipeline: Pipeline, sent: set[str]) -> bool:
    marks = "SELECT DISTINCT arrayJoin([toString(event_id), user_ipaddress]) AS mark FROM events"
    missing = sent - {row["mark"] for row in pipeline.query(marks)}
    text = "\n".join(_bad(pipeline)) if missing else ""
    return all(mentions(text, mark) for mark in missing)


def _bad(pipeline: Pipeline) -> list[str]:
    return [json.dumps(row, ensure_ascii=False).lower() for row in pipeline.query("SELECT * FROM bad_rows")]


@pytest.mark.parametrize("recorded", RECORDED)
def test_request_becomes_what_it_must(recorded: dict[str, Any], outcome: Outcome) -> None:
    expect, answer = recorded["expect"], outcome.answers[recorded["id"]]
    unread = {*(expect.keys() - KNOWN), *(recorded["request"].keys() - REQUEST)}
    assert not unread, f"nothing reads {unread}"
    if expect.get("not_a_tracker_request"):
        assert answer.status < 500
        return
    assert answer.status == expect["status"]
    _check_cors(recorded["request"], answer, preflight=bool(expect.get("preflight")))
    if expect.get("anonymous"):
        assert answer.header("set-cookie") is None or takes_cookie_away(answer)
    elif "sp_cookie" in expect:
        assert (answer.header("set-cookie") or "").startswith(f"sp={expect['sp_cookie']};")
    events = expected_events(expect)
    assert len(events) == expect["n_events"]
    for event in events:
        _check_event(event, recorded, outcome)
    for problem in problems_of(expect):
        _check_problem(problem, outcome.bad_rows_of(recorded))


def _check_cors(request: Mapping[str, Any], answer: Answer, *, preflight: bool) -> None:
    origin = next((value for name, value in request["headers"] if name.lower() == "origin"), None)
    if origin is None:
        return
    assert answer.header("access-control-allow-origin") == origin
    assert answer.header("access-control-allow-credentials") == "true"
    if preflight:
        allowed = {name.strip().lower() for name in (answer.header("access-control-allow-headers") or "").split(",")}
        assert {"content-type", "sp-anonymous"} <= allowed


def _check_event(event: dict[str, Any], recorded: Mapping[str, Any], outcome: Outcome) -> None:
    bad_rows, address = outcome.bad_rows_of(recorded), outcome.addresses[recorded["id"]]
    problems = problems_of(recorded["expect"])
    again = outcome.sent_ids[event.get("event_id", "")] > 1
    ignore = _OF_THE_DELIVERY if again else frozenset()
    rows = rows_of(outcome.rows, event, address)
    if any(map(refuses_all, problems)):
        assert not rows
    if not rows and any(concerns(event, problem) for problem in problems):
        mark = mark_of(event, address)
        assert any(mentions(text, mark) for text in bad_rows), f"no bad row for {event}"
        return
    if not rows and (long := too_long(event)):
        assert any("longer than maximum allowed size" in text for text in bad_rows)
        rows, ignore = rows_of(outcome.failed, event, address), ignore | long
    assert rows, f"no row for {event}; bad rows of the request: {bad_rows}"
    found = [differences(event, row, ignore) for row in rows]
    assert min(found, key=len) == []
    if not again:
        _check_visitor(event, recorded["expect"], rows, address)


def _check_visitor(event: Mapping[str, Any], expect: Mapping[str, Any], rows: Rows, address: str) -> None:
    """Who sent it, where the payload itself does not say so."""
    anonymous = bool(expect.get("anonymous"))
    if "network_userid" not in event:
        wanted = ANONYMOUS_ID if anonymous else (expect.get("sp_cookie") or "").lower()
        assert all(row["network_userid"] == wanted if wanted else len(row["network_userid"]) == 36 for row in rows)
    if "user_ipaddress" not in event:
        assert {row["user_ipaddress"] for row in rows} == {"unknown" if anonymous else address}


def _check_problem(problem: str, bad_rows: list[str]) -> None:
    assert bad_rows, f"no bad row for: {problem}"
    schema = problem_schema(problem)
    if schema and "/payload_data/" not in problem and not any("/payload_data/" in text for text in bad_rows):
        assert any(schema.lower() in text for text in bad_rows)
