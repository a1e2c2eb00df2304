"""What the vectors about failures ask: which entity a failure becomes, and where it stands; kind → check."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from enricher.enrichments.contract import Enrichment, Failure
from enricher.iglu.contract import InvalidSchema, NotResolved, Report, SchemaIssue
from enricher.violations import (
    CriterionMismatch,
    EnrichmentError,
    Invalid,
    NotIglu,
    NotJson,
    Violation,
    entity,
)
from shared.badrow import Processor
from tests.enricher.harness import columns, enrich, post
from tests.enricher.stand_ins import stand_ins
from tests.enricher.vector_events import SCHEMAS
from tests.enricher.vector_rows import entities
from tests.enricher.vector_values import Check, Vector


def failure_entity(row: Vector) -> None:
    given = row["input"]
    made = dict(entity(_problem(given), "<etl timestamp>", Processor(**given["processor"])).data)
    assert made == row["expected"]


_ENRICHMENT = frozenset(("enrichment", "message", "processor"))
_VIOLATION = frozenset(("violation", "source", "data", "processor"))


def _problem(given: Mapping[str, Any]) -> Violation | EnrichmentError:
    assert given.keys() in (_ENRICHMENT, _VIOLATION)
    if "enrichment" in given:
        info, message = given["enrichment"], given["message"]
        failure = (
            Failure(message["error"])
            if "error" in message
            else Failure(message["expectation"], message["field"], message["value"])
        )
        named = Enrichment("test", info["identifier"], info["schemaKey"], None, lambda *_: None) if info else None
        return EnrichmentError(named, failure)
    return _violation(given["violation"], given["source"], given["data"])


def _violation(violation: Mapping[str, Any], source: str, data: Any) -> Violation:
    """Told apart by what they have, whatever they are called; a bad row has the half of it inside of `error`."""
    inner = violation.get("error")
    match {**violation, **inner} if isinstance(inner, dict) else violation:
        case {"schemaKey": uri, "schemaCriterion": criterion}:
            return CriterionMismatch(source, uri, criterion, data)
        case {"schemaKey": uri, "lookupHistory": history}:
            named = history.items() if isinstance(history, dict) else [(seen["repository"], seen) for seen in history]
            return Invalid(source, uri, NotResolved([{"repository": name, **seen} for name, seen in named]), data)
        case {"schemaKey": uri, "dataReports": reports} | {"schemaKey": uri, "reports": reports}:
            made = [Report(one["message"], one["path"], one["keyword"], tuple(one["targets"])) for one in reports]
            return Invalid(source, uri, tuple(made), data)
        case {"schemaKey": uri, "schemaIssues": issues} | {"schemaKey": uri, "issues": issues}:
            return Invalid(source, uri, InvalidSchema(tuple(SchemaIssue(**one) for one in issues)), data)
        case {"error": str(code)} if code.startswith("INVALID_"):
            return NotIglu(source, data, code)
        case {"error": str(error)} if violation.get("type", "NotJson") in ("NotJson", "NotJSON"):
            return NotJson(source, data if isinstance(data, str) else violation["value"], error)
    raise AssertionError(f"nothing makes {violation}")


def derived_order(row: Vector) -> None:
    """As many failing parameters of different phases as asked, and as many contexts of a script."""
    given = row["input"]
    email = {"emailAddress": "a@b.c", "emailAddress2": "d@e.f"}
    made = [{"schema": "iglu:com.acme/email_sent/jsonschema/1-0-0", "data": email}] * given["contexts"]
    broken = {"vid": "x", "ue_pr": "{", "co": "[", "url": "http://"}
    parameters = {"e": "pv", "p": "web", "tv": "t", **dict(list(broken.items())[: given["failures"]])}
    outcome = enrich(post(parameters), schemas=SCHEMAS, enrichments=stand_ins({"javascript_returns": made}))
    found = columns((outcome.enriched or outcome.failed)[0].body)
    names = [one["schema"].split("/")[1] for one in entities(found, "derived_contexts")]
    assert names == row["expected"]["schema_names"]
    assert all(first <= second for first, second in pairwise([name != "failure" for name in names]))


_FAILURE = "failureType errors schema data componentName componentVersion timestamp"
CHECKS: dict[str, Check] = {
    "derived_contexts_order": Check(derived_order, "failures contexts", "schema_names"),
    "failure_entity": Check(failure_entity, "enrichment message violation source data processor", _FAILURE),
}
