"""What bad rows and failed events quote of what was refused: other parsers' words, and numbers as they were written."""

import pytest

from tests.enricher.harness import GOOD, enrich, post, record, rows


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"nonsense", "Unrecognized type 110"),
        (b"\xff\0\1", "Unrecognized type -1"),
        (b"\x0c\0\1\x63\0\1", "Unrecognized type 99"),
        (b"\x0f\0\1\x0b\xff\xff\xff\xff", "Negative length: -1"),
        (b"\x0f\1\x5e\x0b\xff\xff\xff\xfe", "Negative length: -2"),
        (b"\x0b\0\1\x90\0\0\0", "Negative length: -1879048192"),
        (b"\x0f\1\x5e\x0b\0\0\0\1\xff\xff\xff\xff", "Negative length: -1"),
        (b"\0", "Null charset name"),
        (b"\x0b\0\x64", "Reached end of bytes when parsing as thrift format"),
        (b"\x0f\0\1\x0f\0\0\0\1" * 40, "Reached end of bytes when parsing as thrift format"),
    ],
)
def test_what_is_no_record_is_told_in_the_words_of_thrift(message: bytes, reason: str) -> None:
    (row,) = rows(enrich(message))
    assert row["data"]["failure"]["message"] == {"error": f"error deserializing raw event: {reason}"}


@pytest.mark.parametrize(
    ("encoding", "query", "reason"),
    [
        (
            "utf8",
            "mail=me@abc.com|",
            "UTF-8: Illegal character in query at index 33: http://localhost/?mail=me@abc.com|",
        ),
        ("latin1", "a=x@0f;|\t ", "ISO-8859-1: Illegal character in query at index 25: http://localhost/?a=x@xxxxxx;|"),
    ],
)
def test_an_illegal_query_is_quoted_as_it_came_but_for_hashes(encoding: str, query: str, reason: str) -> None:
    (row,) = rows(enrich(record(encoding=encoding, querystring=query)))
    message = row["data"]["failure"]["message"]
    assert message["value"] == query
    assert message["expectation"] == f"could not extract name-value pairs from querystring with encoding {reason}"


_NUMBERS = '{"a":1.00,"b":1E5,"c":12345678901234567890.125,"d":-0,"e":1e400,"f":100000000000000000000}'
_SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"


@pytest.mark.parametrize("text", ["{}", '{"x":"\\ud800"}'])
@pytest.mark.parametrize(
    ("name", "sent", "rows_too"),
    [
        (
            "ue_pr",
            '{"schema":"%s/unstruct_event/jsonschema/1-0-0","data":{"schema":"%s/no/jsonschema/1-0-0","data":%s}}',
            False,
        ),
        (
            "ue_pr",
            '{"schema":"%s/unstruct_event/jsonschema/1-0-0","data":{"schema":"%s/geolocation_context/jsonschema/1-1-0","data":%s}}',
            False,
        ),
        (
            "co",
            '{"schema":"%s/contexts/jsonschema/1-0-0","data":[{"schema":"%s/no/jsonschema/0-0-0","data":%s}]}',
            True,
        ),
        ("co", '{"schema":"%s/contexts/jsonschema/1-0-0","data":{"schema":"%s/no/jsonschema/0-0-0","data":%s}}', False),
        ("co", '{"schema":"%s/unstruct_event/jsonschema/1-0-0","data":["%s",%s]}', False),
        ("co", '["%s","%s",%s]', True),
    ],
)
def test_numbers_of_what_is_refused_stay_as_they_were_written(name: str, sent: str, rows_too: bool, text: str) -> None:
    data = _NUMBERS[:-1] + f',"g":{text}}}'
    outcome = enrich(post({**GOOD, name: sent % (_SNOWPLOW, _SNOWPLOW, data)}))
    (line,), (row,) = outcome.failed, outcome.bad
    assert _NUMBERS[:-1].encode() in line.body
    assert (_NUMBERS[:-1].encode() in row.body) == rows_too


def test_numbers_of_a_refused_body_stay_as_they_were_written() -> None:
    (row,) = enrich(post(body=f'{{"schema":"x","data":{_NUMBERS}}}')).bad
    assert f'"json":{{"schema":"x","data":{_NUMBERS}}}'.encode() in row.body
