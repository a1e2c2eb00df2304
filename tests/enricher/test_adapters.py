"""The adapters of trackers, redirects and the Iglu webhook, judged by the field's vectors."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from enricher.adapters import ADAPTERS
from enricher.adapters.contract import Limits, Refusal
from enricher.request import Request, api_path
from shared.payload import CollectorPayload
from tests.enricher.harness import enrich, record, rows
from tests.vectors import vectors

#: Groups of vectors that these adapters answer.
GROUPS = ("tp1", "redir", "iglu", "reg", "absent")

OURS = [row for row in vectors("adapters") if str(row.id).split("-")[0] in GROUPS]


@pytest.mark.vectors
@pytest.mark.parametrize("row", OURS)
def test_vector(row: Mapping[str, Any]) -> None:
    key = api_path("/" + row["path"].strip("/"))
    if "response" in row:
        pytest.skip("what the collector answers is tested there")
    if key is None or key not in ADAPTERS:
        _refused(row)
        return
    pairs = list(row["query"].items()) if isinstance(row["query"], dict) else [(n, v) for n, v in row["query"] or []]
    payload = CollectorPayload(body=row["body"], content_type=row["content_type"])
    vendor, version = key
    adapted = ADAPTERS[vendor, version](Request(payload, vendor, version, pairs, None, None), Limits())
    if "error" in row:
        assert isinstance(adapted, Refusal)
        for message, wanted in zip(adapted.messages, row["error"]["messages"], strict=True):
            _alike(message._asdict(), wanted)
    else:
        assert isinstance(adapted, list)
        for parameters, expected in zip(adapted, row["expected_events"], strict=True):
            _expect(parameters, expected)


def _refused(row: Mapping[str, Any]) -> None:
    """Paths that no adapter reads."""
    (bad,) = rows(enrich(record(path=f"/{row['path'].strip('/')}", querystring="a=b")))
    assert row["error"]["bad_row"] in bad["schema"]
    failure = bad["data"]["failure"]
    for message, wanted in zip(
        failure.get("messages", [failure.get("message")]), row["error"]["messages"], strict=True
    ):
        assert message["expectation"] == wanted["expectation"]


def _alike(message: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if key.endswith("_prefix"):
            assert str(message[key.removesuffix("_prefix")]).startswith(value)
        else:
            assert message[key] == value


def _expect(parameters: Mapping[str, str | None], expected: Mapping[str, Any]) -> None:
    plain = {name: value for name, value in parameters.items() if name not in ("ue_pr", "co", "cx")}
    carried = {name: value for name, value in expected["params"].items() if name not in ("co", "cx")}
    assert plain == carried
    if expected.get("schema"):
        event = json.loads(parameters["ue_pr"] or "")["data"]
        assert (event["schema"], event["data"]) == (expected["schema"], expected["data"])


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=utf-8", "Application/JSON; Charset=UTF-8", 'application/json; charset="utf-8"'],
)
def test_media_types_are_read_not_compared(content_type: str) -> None:
    body = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"e": "pv", "p": "web", "tv": "t"}],
        }
    )
    path = "/com.snowplowanalytics.snowplow/tp2"
    assert len(enrich(record(path=path, body=body, content_type=content_type)).enriched) == 1


def test_query_parameters_win_over_every_event_of_a_post() -> None:
    events = [{"e": "pv", "p": "web", "tv": "t", "aid": "body"}] * 2
    body = json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events})
    fields = {"path": "/com.snowplowanalytics.snowplow/tp2", "body": body, "content_type": "application/json"}
    outcome = enrich(record(querystring="aid=query", **fields))
    assert [line.body.split(b"\t")[0] for line in outcome.enriched] == [b"query"] * 2
    outcome = enrich(record(querystring="aid", **fields))
    assert [line.body.split(b"\t")[0] for line in outcome.enriched] == [b""] * 2


@pytest.mark.parametrize("body", ['{"a":01}', '{"a":"\t"}', '{"a":NaN}', '{"schema":"x","data":[{"e":-}]}'])
def test_a_body_that_only_a_forgiving_parser_reads_is_no_json(body: str) -> None:
    path = "/com.snowplowanalytics.snowplow/tp2"
    (row,) = rows(enrich(record(path=path, body=body, content_type="application/json")))
    assert row["data"]["failure"]["messages"][0]["error"].startswith("invalid json: ")
