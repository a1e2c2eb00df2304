"""What the vectors about events ask of the pipeline: kind → check."""

import base64
import re
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from enricher.limits import AtomicLimits
from enricher.options import Options
from enricher.outcome import Outcome
from shared.event import INDEX
from shared.rawmessage import pack, read
from tests.enricher.harness import ETL_MS, PROCESSOR, Schemas, columns, enrich, record, rows
from tests.enricher.stand_ins import stand_ins
from tests.enricher.vector_rows import SOME_ID, expect_badrow, expect_column, expect_failed
from tests.enricher.vector_values import Check, Vector, milliseconds
from tests.vectors import every_vector


def fixtures() -> dict[str, Any]:
    """The schemas that vectors lean on, also on those of another set."""
    given = [row for row in every_vector("enrich-core") if row["kind"] == "fixture"]
    return {row["input"]["uri"]: row["expected"]["schema"] for row in given}


SCHEMAS = Schemas(fixtures())


# ---- whole events -------------------------------------------------------------------------------------------------

#: Of how many bytes upstream makes one batch changes nothing about what becomes of each.
_CONFIG = frozenset(
    (
        *("atomicFieldsLimits", "acceptInvalid", "emitFailed", "maxBytesSinglePayload", "maxBytesInBatch"),
        *("maxJsonDepth", "tryBase64Decoding", "maxRecordSize"),
    )
)


def _options(config: Mapping[str, Any]) -> Options:
    assert config.keys() <= _CONFIG, f"nothing sets {config.keys() - _CONFIG}"
    limits = AtomicLimits(config.get("atomicFieldsLimits", {}))
    return Options(
        PROCESSOR,
        json_depth=config.get("maxJsonDepth", 50),
        lengths=limits,
        accept_long=config.get("acceptInvalid", False),
        emit_failed=config.get("emitFailed", True),
        longest_payload=config.get("maxBytesSinglePayload", 10_000_000),
        max_bytes=config.get("maxRecordSize", Options(PROCESSOR).max_bytes),
    )


_COLLECTOR = (
    "collector encoding timestamp timestamp_ms ip ua referer headers nuid hostname body contentType path querystring "
    "vendor version records"
)


def query_string(parameters: Mapping[str, str | None]) -> str:
    return "&".join(
        quote(name) if value is None else f"{quote(name)}={quote(value.replace('<uuid>', SOME_ID))}"
        for name, value in parameters.items()
    )


def _record(collector: Mapping[str, Any], parameters: Mapping[str, str | None] | None) -> bytes:
    strange = collector.keys() - _COLLECTOR.split()
    assert not strange, f"nothing reads {strange}"
    moment, nuid, query = collector.get("timestamp"), collector.get("nuid"), collector.get("querystring")
    if query is None and parameters:
        query = query_string(parameters)
    vendor, version = collector.get("vendor", "com.snowplowanalytics.snowplow"), collector.get("version", "tp2")
    return record(
        collector=collector["collector"],
        encoding=collector.get("encoding", "UTF-8"),
        timestamp=milliseconds(moment) if moment else collector.get("timestamp_ms", 0),
        ip_address=collector.get("ip"),
        user_agent=collector.get("ua"),
        referer_uri=collector.get("referer"),
        headers=collector.get("headers", []),
        network_userid=SOME_ID if nuid == "<random uuid>" else nuid,
        hostname=collector.get("hostname"),
        body=collector.get("body"),
        content_type=collector.get("contentType"),
        path=collector.get("path") or f"{vendor}/{version}",
        querystring=query,
    )


def _run(row: Vector) -> Outcome:
    given = row["input"]
    clock = given.get("etl_clock")
    messages = _records(given)
    outcome = Outcome()
    for message in messages:
        made = enrich(
            message,
            schemas=SCHEMAS,
            options=_options(given.get("config", {})),
            enrichments=stand_ins(given.get("enrichments", {})),
            etl_ms=milliseconds(clock) if clock else ETL_MS,
        )
        outcome.enriched += made.enriched
        outcome.failed += made.failed
        outcome.bad += made.bad
        outcome.dropped += made.dropped
        outcome.payloads += made.payloads
    return outcome


def _records(given: Mapping[str, Any]) -> list[bytes]:
    collector, parameters = given["collector"], given.get("params")
    if "records" not in collector:
        one = _record(collector, parameters)
        return [base64.b64encode(one) if given.get("record_base64") else one]
    return [_batch(told, collector) or _told(told, collector) for told in collector["records"]]


_COUNTS = {
    name: number
    for number, name in enumerate(
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
    )
}


def _batch(told: str, collector: Mapping[str, Any]) -> bytes | None:
    """A compressed message that a vector only describes."""
    match = re.fullmatch(
        r"(gzip|zstd) (?:batch )?(?:with|of) (\w+)(?: (\d+)-byte)? (?:payload|page view|record)s?", told
    )
    if match is None:
        return None
    count = _COUNTS[match[2]] if match[2] in _COUNTS else int(match[2])
    one = _record(collector, None if match[3] else {"e": "pv"})
    if match[3]:
        one = _record({**collector, "headers": ["x" * (int(match[3]) - len(one) - 4)]}, None)
        assert len(one) == int(match[3])
    return pack([one] * count, "gzip" if match[1] == "gzip" else "zstd")


def _told(told: str, collector: Mapping[str, Any]) -> bytes:
    """A record that a vector only describes; one word is all that there is."""
    junk = re.fullmatch(r"<(\d+) bytes?\b.*>|(\w+)", told)
    if junk is not None:
        return b"\1" * int(junk[1]) if junk[1] else told.encode()
    match = re.fullmatch(r"(?:minimal )?page view(?: with (\w+)=(\w+))?", told)
    assert match, f"nothing makes a record of {told}"
    further = {match[1]: match[2]} if match[1] else {}
    return _record({**collector, "querystring": None}, {"e": "pv", **further})


def enriched(row: Vector) -> None:
    if "step" in row.get("expected", row.get("error", {})):
        _collector_version(row)
    else:
        _expect(row, _run(row))


def _expect(row: Vector, outcome: Outcome) -> None:
    expected = row.get("expected", row.get("error", {}))
    if "badrow" in expected:
        expect_badrow(row["flavor"], outcome, expected)
        _expect_oversized(row, outcome, expected)
    elif "outputs" not in expected:
        assert len(outcome.bad) == expected.get("bad", 0), rows(outcome)
    counts = {"raw": outcome.payloads, "good": len(outcome.enriched), "dropped": outcome.dropped}
    for name in counts.keys() & expected.keys():
        assert counts[name] == expected[name]
    if "outputs" in expected:
        wanted = expected["outputs"] or []
        if isinstance(wanted, int):
            assert counts["good"] + len(outcome.bad) == wanted
        else:
            assert (counts["good"], len(outcome.bad)) == (wanted.count("good"), wanted.count("bad"))
            assert "good" in wanted or not outcome.failed
    if "failed_event" in expected:
        expect_failed(outcome, expected["failed_event"])
    named = {name: value for name, value in expected.items() if name in INDEX or name == "derived_contexts_contains"}
    if named:
        assert not outcome.bad, rows(outcome)
        (line,) = outcome.enriched
        for name, value in named.items():
            expect_column(name, columns(line.body), value)


_OVERSIZED = ("maximumAllowedSizeBytes", "actualSizeBytes", "expectation")


def _expect_oversized(row: Vector, outcome: Outcome, expected: Mapping[str, Any]) -> None:
    """What a size violation says, where a vector asks; of some it only tells what they are."""
    told: dict[str, Any] = {}
    if "payload" in expected or "actualSizeBytes" in expected:
        (message,) = _records(row["input"])
        payload = next(read(message, sys.maxsize))
        told["base64 of the whole compressed record"] = base64.b64encode(message).decode()
        told["size of the uncompressed thrift payload"] = len(payload.record)
    for bad in rows(outcome):
        data = bad["data"]
        for name, found in {**data["failure"], "payload": data["payload"]}.items():
            if name in expected and (name == "payload" or name in _OVERSIZED):
                assert found == told.get(expected[name], expected[name]), name


def _collector_version(row: Vector) -> None:
    """A vector of one step: whether the step complains, whatever else is wrong with the event."""
    assert row.get("expected", row.get("error", {}))["step"] == "getCollectorVersionSet"
    outcome = _run({**row, "input": {**row["input"], "params": {"e": "pv"}}})
    complaints = [
        message["message"].get("field") for bad in rows(outcome) for message in bad["data"]["failure"]["messages"]
    ]
    assert ("v_collector" in complaints) == ("error" in row)


def end_to_end(row: Vector) -> None:
    """Here a `count` is of bad rows, elsewhere of the messages in one."""
    part = "expected" if "expected" in row else "error"
    told = dict(row[part])
    if "count" in told:
        told["bad"] = told.pop("count")
    _expect({**row, part: told}, _run(row))


_GIVEN = "collector params enrichments config etl_clock record_base64"
_EXPECTED = " ".join(
    (
        *INDEX,
        "derived_contexts_contains raw good bad dropped outputs step ok",
        "badrow badrow_messages count messages message_shape failed_event",
    )
)
_ERROR = f"{_EXPECTED} payload.enriched.derived_contexts payload {' '.join(_OVERSIZED)}"
CHECKS: dict[str, Check] = {
    "e2e": Check(end_to_end, _GIVEN, _EXPECTED, _ERROR),
    "enrich": Check(enriched, _GIVEN, _EXPECTED, _ERROR),
}
