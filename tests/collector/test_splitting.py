"""Payloads that are too large for a record."""

import json

import pytest

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from tests.collector.served import serve


def test_a_large_batch_is_split_with_every_event_once_and_every_number_as_it_was_written() -> None:
    events = [f'{{"e":"ue","n":{number}.10e2,"big":{"9" * 40},"s":"\\ud83d"}}' for number in range(200)]
    events.append(f'{{"longer than Python reads":-{"9" * 4_400}}}')
    body = '{"schema": "iglu:com.acme/payload/jsonschema/1-0-0", "data": [' + " , ".join(events) + "]}"
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 6_000})
    assert len(outcome.good) > 1
    assert not outcome.bad
    assert all(len(record) <= 6_001 for record in outcome.good)
    bodies = [one.body or "" for record in outcome.good for one in decode(record) if isinstance(one, CollectorPayload)]
    assert all(json.loads(one, parse_int=float)["schema"] == "iglu:com.acme/payload/jsonschema/1-0-0" for one in bodies)
    inner = [one.partition('"data":[')[2].removesuffix("]}") for one in bodies]
    assert ",".join(inner) == ",".join(events)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x" * 3_000, "not json expected json value got 'xxxxxx...' (line 1, column 1)"),
        ('{"data":"' + "x" * 3_000, "not json exhausted input"),
        ("[" + "1," * 20_000 + "x]", "not json Expecting value: line 1 column 40002"),
        ('{"data":[' + "1," * 2_000 + "1]}", "not self-describing schema key is not available"),
        ("[" + "1," * 2_000 + "1]", "not self-describing JsonObject"),
        ('{"schema":5,"data":[' + "1," * 2_000 + "1]}", "not self-describing String"),
        ('{"schema":"iglu:a/b/jsonschema/1-0-0","x":[' + "1," * 2_000 + "1]}", "data key is not available"),
        (
            '{"schema":"iglu:a/b/jsonschema/0-0-0","data":[' + "1," * 2_000 + "1]}",
            "Invalid schema version: iglu:a/b/jsonschema/0-0-0, code: INVALID_SCHEMAVER",
        ),
        ('{"schema":"s","data":[' + "1," * 2_000 + "1]}", "Invalid Iglu URI: s, code: INVALID_IGLUURI"),
        ('{"schema":"iglu:a/b/jsonschema/1-0-0","data":"' + "x" * 3_000 + '"}', "do not contain a data array"),
        ("[" * 200_000, "not json"),
        (
            '{"schema":"iglu:a/b/jsonschema/1-0-0","data":[NaN,' + "1," * 2_000 + "1]}",
            "not json expected json value got 'NaN,1,...' (line 1, column 47)",
        ),
        ("[-Infinity," + "1," * 2_000 + "1]", "not json expected digit got '-Infin...' (line 1, column 2)"),
        ("[" + "1," * 10_000 + "NaN]", "NaN is not JSON"),
    ],
)
def test_what_can_not_be_split_is_one_bad_row_and_still_a_200(body: str, words: str) -> None:
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 2_000})
    assert outcome.answer.status == 200
    assert not outcome.good
    (row,) = map(json.loads, outcome.bad)
    assert words in row["data"]["failure"]["expectation"]
    assert len(row["data"]["failure"]["expectation"]) <= 256
    assert row["data"]["payload"].startswith("CollectorPayload(schema:iglu:")


_ENVELOPE = '{"schema":"iglu:com.acme/payload/jsonschema/1-0-0","data":['


@pytest.mark.parametrize(
    "deep", ["[" * 1_500 + "]" * 1_500, '{"a":' * 1_500 + "1" + "}" * 1_500, '{"]":[1,{"b":' * 800 + "0" + "}]}" * 800]
)
def test_what_is_too_deep_to_read_costs_none_of_its_neighbours(deep: str) -> None:
    """How deep that is depends on the Python: where this can be read, it shares a record with them."""
    events = [f'{{"e":"pv","n":{number},"s":"[[{{"}}' for number in range(1_000)]
    body = _ENVELOPE + ", ".join([*events[:500], deep, *events[500:]]) + "]}"
    outcome = serve(body=body.encode(), limits={"max_record_bytes": 20_000})
    assert not outcome.bad
    bodies = [one.body or "" for record in outcome.good for one in decode(record) if isinstance(one, CollectorPayload)]
    inner = [one.partition('"data":[')[2].removesuffix("]}") for one in bodies]
    before, found, behind = ",".join(inner).partition(deep)
    assert found
    assert ",".join(part.strip(",") for part in (before, behind) if part) == ",".join(events)


@pytest.mark.parametrize("event", ["{}", json.dumps({"a": "b" * 1_000})])
def test_large_headers_are_not_repeated_for_every_few_of_many_events(event: str) -> None:
    headers = [(f"X-{number}", "x" * 33_000) for number in range(30)]
    body = _ENVELOPE + ",".join([event] * 2_000) + "]}"
    outcome = serve([*headers, ("X-Last", "x" * 9_000)], body=body.encode())
    assert not outcome.good
    (row,) = map(json.loads, outcome.bad)
    assert 'event without "data" field is still too big' in row["data"]["failure"]["expectation"]
