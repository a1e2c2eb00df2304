"""Official trackers, unchanged, against real processes on both transports."""

import fcntl
import json
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any, Literal

import pytest
from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

from tests.e2e.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Method = Literal["get", "post"]
SCREEN = "6c84fb90-12c4-11e1-840d-7b25c5ee775a"
LINK = SelfDescribingJson(
    "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1", {"targetUrl": "https://x.example.com/"}
)
WEB_PAGE = SelfDescribingJson("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": SCREEN})

#: Names of the events that every_event sends, in the order of sending.
PYTHON_EVENTS = [
    *("page_view", "page_ping", "event", "link_click", "screen_view"),
    *("link_click", "add_to_cart", "remove_from_cart", "change_form", "submit_form", "site_search"),
    *("transaction", "transaction_item", "screen_view", "screen_view"),
]


def every_event(tracker: Tracker) -> None:
    """One of everything that the Python tracker can send, its deprecated calls included."""
    for event in (
        PageView("https://shop.example.com/a?q=caf%C3%A9#top", "Καφές 🛒", "https://ref.example.org/?x=1"),
        PagePing("https://shop.example.com/a", min_x=1, max_x=2, min_y=3, max_y=4),
        StructuredEvent("c", "a", "l", "p", 12.5),
        SelfDescribing(LINK),
        ScreenView(SCREEN, "screen"),
    ):
        event.context = [WEB_PAGE]
        tracker.track(event)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        _deprecated(tracker)
    tracker.flush()


def _deprecated(tracker: Tracker) -> None:
    tracker.track_link_click("https://y.example.com/", "id", ["class"], context=[WEB_PAGE])
    tracker.track_add_to_cart("sku", 2, "n", "c", 9.99, "EUR", context=[WEB_PAGE])
    tracker.track_remove_from_cart("sku", 1, "n", "c", 9.99, "EUR", context=[WEB_PAGE])
    tracker.track_form_change("form", "id", "INPUT", "v", "text", context=[WEB_PAGE])
    tracker.track_form_submit("form", ["class"], context=[WEB_PAGE])
    tracker.track_site_search(["a", "b"], total_results=2, page_results=1, context=[WEB_PAGE])
    items = [{"sku": "sku", "price": 9.99, "quantity": 2, "currency": "EUR"}]
    tracker.track_ecommerce_transaction(
        "o-1", 20.5, "shop", 1.5, 2.25, "Athens", "A", "GR", "EUR", items=items, context=[WEB_PAGE]
    )
    tracker.track_screen_view("screen", SCREEN, context=[WEB_PAGE])
    tracker.track_mobile_screen_view("screen", SCREEN, context=[WEB_PAGE])


@pytest.mark.parametrize("method", ["get", "post"])
def test_python_tracker(pipeline: Pipeline, method: Method) -> None:
    failures: list[Any] = []
    emitter = Emitter(
        "127.0.0.1", "http", pipeline.collector_port, method, on_failure=lambda _, unsent: failures.extend(unsent)
    )
    subject = Subject().set_user_id("κόσμος@example.com").set_screen_resolution(1920, 1080)
    app_id = f"python-{method}"
    every_event(Tracker("py", emitter, subject=subject, app_id=app_id))
    rows = arrived(pipeline, app_id, len(PYTHON_EVENTS))
    assert failures == []
    assert sorted(row["event_name"] for row in rows) == sorted(PYTHON_EVENTS)
    _check_columns({row["event"]: row for row in rows}, rows)


def _check_columns(by_event: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    view, ping, struct = by_event["page_view"], by_event["page_ping"], by_event["struct"]
    assert (view["page_urlhost"], view["page_urlpath"], view["page_urlquery"], view["page_urlfragment"]) == (
        *("shop.example.com", "/a"),
        *("q=caf%C3%A9", "top"),
    )
    assert (view["page_title"], view["refr_urlhost"], view["page_urlport"]) == ("Καφές 🛒", "ref.example.org", 443)
    assert [ping[f"pp_{axis}offset_{end}"] for axis in "xy" for end in ("min", "max")] == [1, 2, 3, 4]
    assert [struct[f"se_{part}"] for part in ("category", "action", "label", "property")] == ["c", "a", "l", "p"]
    assert float(struct["se_value"]) == 12.5
    order, item = by_event["transaction"], by_event["transaction_item"]
    assert [float(order[f"tr_{part}"]) for part in ("total", "tax", "shipping")] == [20.5, 1.5, 2.25]
    assert (order["tr_country"], item["ti_sku"], item["ti_quantity"]) == ("GR", "sku", 2)
    for row in rows:
        assert (row["user_id"], row["dvce_screenwidth"], row["v_collector"][:5]) == (
            "κόσμος@example.com",
            1920,
            "evnt-",
        )
        assert row["contexts_com_snowplowanalytics_snowplow_web_page_1"][0]["id"] == SCREEN


def arrived(pipeline: Pipeline, app_id: str, count: int) -> list[dict[str, Any]]:
    """The rows of an application once there are as many as were sent, each event once."""
    where = f"app_id = '{app_id}'"
    pipeline.wait_for(lambda: _ids(pipeline, where) >= count, f"{count} rows of {app_id}")
    rows = pipeline.query(f"SELECT * FROM events_unique WHERE {where}")
    assert len(rows) == count
    return rows


def _ids(pipeline: Pipeline, where: str) -> int:
    return int(pipeline.query(f"SELECT uniq(event_id) AS n FROM events WHERE {where}")[0]["n"])


@pytest.fixture(scope="module")
def node_tracker() -> Path:
    """The official Node tracker, installed from its lock file by the user's own npm."""
    npm, place = shutil.which("npm"), Path(__file__).parent / "node"
    if npm is None:
        pytest.skip("npm is not installed: the Node tracker can't be tried")
    with (place / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be installing it just now
        if not (place / "node_modules" / ".package-lock.json").exists():  # what npm writes last
            _output([npm, "ci", "--no-audit", "--no-fund"], place)
    return place


def _output(command: list[str], folder: Path) -> str:
    """What it prints; a failure shows what it complained about."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("method", ["get", "post"])
def test_node_tracker(pipeline: Pipeline, node_tracker: Path, method: Method) -> None:
    sent = json.loads(_output(["node", "track.mjs", str(pipeline.collector_port), method], node_tracker))
    listed = ", ".join(f"'{identifier}'" for identifier in sent)
    where = f"event_id IN ({listed})"
    pipeline.wait_for(lambda: _ids(pipeline, where) == len(sent), "every event of the Node tracker")
    rows = pipeline.query(f"SELECT * FROM events_unique WHERE {where}")
    assert len(rows) == len(sent)
    for row in rows:
        assert (row["app_id"], row["user_id"], row["platform"]) == ("e2e-node", "κόσμος@example.com", "srv")
        assert len(row["contexts_com_snowplowanalytics_snowplow_web_page_1"]) == 1
