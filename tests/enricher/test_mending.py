"""Broken JSON of trackers, for who wants it repaired."""

import json

import pytest

from enricher.mending import repairer
from enricher.options import Options
from tests.enricher.harness import PROCESSOR, columns, enrich, post, rows

WEB_PAGE = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0"
SOUND = json.dumps(
    {
        "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
        "data": [{"schema": WEB_PAGE, "data": {"id": "6a2f0c3e-6f6f-4f0b-9a53-6d1a3e0b2f10"}}],
    }
)


@pytest.mark.parametrize(
    ("broken", "good"),
    [
        (SOUND, True),
        (SOUND[:-1], True),
        (SOUND.replace('"', "'"), True),
        (SOUND.replace("}}", "},}"), True),
        ("", False),
        ("no json", False),
        ("[1, 2", False),
    ],
)
def test_what_can_be_repaired(broken: str, good: bool) -> None:
    event = {"e": "pv", "p": "web", "tv": "js", "co": broken}
    outcome = enrich(post(event), options=Options(PROCESSOR, mend=repairer()))
    if good:
        assert json.loads(columns(outcome.enriched[0].body)["contexts"])["data"][0]["schema"] == WEB_PAGE
    else:
        assert [row["schema"].split("/")[1] for row in rows(outcome)] == ["schema_violations"]


def test_nothing_is_repaired_unless_asked_for() -> None:
    assert len(rows(enrich(post({"e": "pv", "p": "web", "tv": "js", "co": SOUND[:-1]})))) == 1


@pytest.mark.parametrize(
    ("tail", "kind"), [("}]}", None), ("}]", None), ("", None), ("no json", "tracker_protocol_violations")]
)
def test_a_body_is_repaired_too(tail: str, kind: str | None) -> None:
    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
    sound = f'{{"schema":"{schema}","data":[{{"e":"pv","p":"web","tv":"js"'
    outcome = enrich(post(body=tail if kind else sound + tail), options=Options(PROCESSOR, mend=repairer()))
    assert [row["schema"].split("/")[1] for row in rows(outcome)] == ([kind] if kind else [])
    assert len(outcome.enriched) == (0 if kind else 1)
