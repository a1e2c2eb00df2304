"""Page views, sessions and users, derived from events."""

import json
from typing import Any

import pytest

from loader.warehouse import models
from loader.warehouse.clickhouse import ClickHouse
from loader.warehouse.settings import ConfigurationSettings
from loader.warehouse.tables import WEB_PAGE
from tests.clickhouse import Server

#: seconds after noon, event name, page view, session, index, visitor, path, further columns
VISIT: list[tuple[int, str, str, str, int, str, str, dict[str, str]]] = [
    (
        0,
        "page_view",
        "v1",
        "s1",
        1,
        "anna",
        "/",
        {"refr_medium": "search", "refr_source": "Google", "mkt_campaign": "spring"},
    ),
    (
        10,
        "page_ping",
        "v1",
        "s1",
        1,
        "anna",
        "/",
        {"pp_yoffset_max": "300", "doc_height": "1000", "br_viewheight": "500"},
    ),
    (
        20,
        "page_ping",
        "v1",
        "s1",
        1,
        "anna",
        "/",
        {"pp_yoffset_max": "100", "doc_height": "1000", "br_viewheight": "500"},
    ),
    (140, "page_view", "v2", "s1", 1, "anna", "/cart", {"user_id": "anna@shop"}),
    (141, "add_to_cart", "v2", "s1", 1, "anna", "/cart", {}),
    (90_000, "page_view", "v3", "s2", 2, "anna", "/thanks", {"refr_medium": "internal"}),
    (5, "page_view", "v4", "s9", 1, "otto", "/", {}),
]

PHONE = '{"_schema_version":"1-0-2","userId":"maria","sessionId":"m1","sessionIndex":1}'


def rows() -> list[dict[str, str]]:
    web = [
        {
            "event_id": f"00000000-0000-4000-8000-{number:012}",
            "collector_tstamp": _moment(seconds),
            "derived_tstamp": _moment(seconds),
            "event_name": name,
            "app_id": "shop",
            "platform": "web",
            "domain_sessionid": session,
            "domain_sessionidx": str(index),
            "domain_userid": visitor,
            "page_url": f"https://shop{path}",
            "page_urlpath": path,
            WEB_PAGE.name: f'[\'{{"id":"{view}"}}\']',
            **more,
        }
        for number, (seconds, name, view, session, index, visitor, path, more) in enumerate(VISIT)
    ]
    phone = {
        "event_id": "00000000-0000-4000-8000-000000000099",
        "collector_tstamp": _moment(0),
        "event_name": "screen_view",
        "app_id": "shop",
        "platform": "mob",
        "contexts_com_snowplowanalytics_snowplow_client_session_1": f"['{PHONE}']",
    }
    return [*web, phone, {**web[0], "event_id": web[0]["event_id"][:-2] + "88", WEB_PAGE.name: "[]"}]


def _moment(seconds: int) -> str:
    days, seconds = divmod(12 * 3600 + seconds, 86_400)
    return f"2026-03-{1 + days:02} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000"


@pytest.fixture
async def derived(warehouse: ClickHouse, clickhouse: Server, database: str) -> dict[str, list[dict[str, Any]]]:
    """Model → its rows over the events above, some of which came twice."""
    events = rows()
    columns = sorted({name for event in events for name in event})
    lines = ["\t".join(event.get(name, "") for name in columns) for event in events]
    for token, part in [("one", lines), ("two", lines[:3])]:
        await warehouse.insert("events", "\n".join(["\t".join(columns), *part, ""]).encode(), token)
    configuration = ConfigurationSettings(database=database)
    return {
        model.name: [json.loads(row) for row in _rows(clickhouse, models.select(configuration, model))]
        for model in models.models()
    }


def _rows(clickhouse: Server, select: str) -> list[str]:
    query = f"SELECT * FROM ({select}) ORDER BY start_tstamp, 2 FORMAT JSONEachRow"
    return clickhouse.query(query, output_format_json_quote_64bit_integers="0").splitlines()


def _of(row: dict[str, Any], *names: str) -> list[Any]:
    return [row[name] for name in names]


async def test_page_views(derived: dict[str, list[dict[str, Any]]]) -> None:
    views = {row["page_view_id"]: row for row in derived["page_views"]}
    assert set(views) == {"v1", "v2", "v3", "v4"}
    first = views["v1"]
    assert first["event_id"] == "00000000-0000-4000-8000-000000000000"
    assert _of(first, "page_pings", "absolute_time_in_s", "engaged_time_in_s") == [2, 20, 20]
    assert _of(first, "vertical_pixels_scrolled", "vertical_percentage_scrolled") == [300, 80]
    assert _of(first, "refr_medium", "mkt_campaign", "page_urlpath") == ["search", "spring", "/"]
    assert _of(views["v2"], "page_pings", "engaged_time_in_s", "vertical_percentage_scrolled") == [0, 0, None]


async def test_sessions(derived: dict[str, list[dict[str, Any]]]) -> None:
    sessions = {row["session_id"]: row for row in derived["sessions"]}
    assert set(sessions) == {"s1", "s2", "s9", "m1"}
    first = sessions["s1"]
    assert _of(first, "visitor_id", "user_id", "session_index") == ["anna", "anna@shop", 1]
    assert _of(first, "events", "page_views", "distinct_event_names") == [6, 3, 3]
    assert _of(first, "absolute_time_in_s", "engaged_time_in_s", "is_engaged") == [141, 51, 1]
    assert _of(first, "first_page_urlpath", "last_page_urlpath", "refr_source") == ["/", "/cart", "Google"]
    assert _of(sessions["s9"], "page_views", "is_engaged") == [1, 0]
    assert _of(sessions["m1"], "visitor_id", "screen_views", "platform") == ["maria", 1, "mob"]


async def test_users(derived: dict[str, list[dict[str, Any]]]) -> None:
    users = {row["visitor_id"]: row for row in derived["users"]}
    assert set(users) == {"anna", "otto", "maria"}
    anna = users["anna"]
    assert _of(anna, "user_id", "sessions", "active_days", "events", "page_views") == ["anna@shop", 2, 2, 7, 4]
    assert _of(anna, "first_page_urlpath", "refr_medium", "mkt_campaign") == ["/", "search", "spring"]


def test_every_model_says_how_its_table_is_sorted() -> None:
    assert [model.name for model in models.models()] == ["page_views", "sessions", "users"]
    assert all(model.order_by.startswith("(app_id, start_tstamp, ") for model in models.models())
