"""What can be wrong with an event's data: as a message of a schema_violations row, and as a failure entity.

The failure entity travels in derived_contexts of the failed event, so that a warehouse can group failed events.
"""

from typing import Any, Final, NamedTuple

from enricher.enrichments.contract import Enrichment, Entity, Failure
from enricher.iglu.contract import InvalidSchema, NotResolved, Report
from enricher.mapping import AtomicError
from shared.badrow import Processor

ATOMIC: Final = "iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0"
_FAILURE: Final = "iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0"

_NOT_IGLU: Final = {
    "INVALID_SCHEMAVER": "Invalid schema version",
    "INVALID_IGLUURI": "Invalid Iglu URI",
    "INVALID_DATA_PAYLOAD": "Invalid data payload",
    "INVALID_SCHEMA": "Invalid schema",
    "INVALID_METASCHEMA": "Invalid metashema",
}

#: Longest texts that the badrows schemas admit.
EXPECTATION_LIMIT: Final = 256
ERROR_LIMIT: Final = 512
FIELD_LIMIT: Final = 64


class NotJson(NamedTuple):
    """`source` is what held the text: unstruct, contexts or derived_contexts."""

    source: str
    text: str
    error: str


class NotIglu(NamedTuple):
    source: str
    json: Any
    code: str


class CriterionMismatch(NamedTuple):
    source: str
    uri: str
    criterion: str
    data: Any


class Invalid(NamedTuple):
    """The schema is not there, is not valid, or the data does not conform to it. superseded_by: the version that did
    the judging, where it is another than that of the URI."""

    source: str
    uri: str
    problem: tuple[Report, ...] | InvalidSchema | NotResolved
    data: Any
    superseded_by: str | None = None


class AtomicErrors(NamedTuple):
    """Columns that do not fit, all of one phase together."""

    errors: tuple[AtomicError, ...]


class EnrichmentError(NamedTuple):
    """Why an enrichment, or a built-in step (`enrichment` is None), could not do its work."""

    enrichment: Enrichment | None
    failure: Failure


Violation = NotJson | NotIglu | CriterionMismatch | Invalid | AtomicErrors


# ---- messages of bad rows -----------------------------------------------------------------------------------------


def message(violation: Violation) -> dict[str, Any]:
    match violation:
        case NotJson(source, text, error):
            return {"field": source, "value": text, "error": error}
        case NotIglu(_, json, code):
            return {"json": json, "error": code}
        case CriterionMismatch(_, uri, criterion, _):
            return {"schemaKey": uri, "schemaCriterion": criterion}
        case Invalid(_, uri, problem, _, superseded_by):
            superseding = {"supersededBy": superseded_by} if superseded_by else {}
            return {"schemaKey": uri, "error": superseding | iglu_error(problem)}
        case AtomicErrors(errors):
            return {"schemaKey": ATOMIC, "error": iglu_error(tuple(map(_atomic_report, errors)))}


def iglu_error(problem: tuple[Report, ...] | InvalidSchema | NotResolved) -> dict[str, Any]:
    match problem:
        case NotResolved(history):
            return {"error": "ResolutionError", "lookupHistory": history}
        case InvalidSchema(issues):
            return {"error": "ValidationError", "schemaIssues": [issue._asdict() for issue in issues]}
        case _:
            return {"error": "ValidationError", "dataReports": [_report(report) for report in problem]}


def _report(report: Report) -> dict[str, Any]:
    return {"message": report.message, "path": report.path, "keyword": report.keyword, "targets": report.targets}


def _atomic_report(error: AtomicError) -> Report:
    return Report(error.message, error.path, error.keyword, ())


def enrichment_message(error: EnrichmentError) -> dict[str, Any]:
    enrichment, failure = error
    named = enrichment is not None and enrichment.schema_uri is not None
    info = {"schemaKey": enrichment.schema_uri, "identifier": enrichment.identifier} if enrichment and named else None
    if failure.field is None:
        return {"enrichment": info, "message": {"error": failure.message[:ERROR_LIMIT]}}
    details = {
        "field": failure.field[:FIELD_LIMIT],
        "value": failure.value,
        "expectation": failure.message[:EXPECTATION_LIMIT],
    }
    return {"enrichment": info, "message": details}


# ---- failure entities ---------------------------------------------------------------------------------------------


def entity(problem: Violation | EnrichmentError, timestamp: str, processor: Processor) -> Entity:
    """`timestamp` is the processing time, as java.time.Instant writes it."""
    kind, errors, schema, data = _describe(problem)
    failure = {
        "failureType": kind,
        "errors": errors,
        "schema": schema,
        "data": data,
        "timestamp": timestamp,
        "componentName": processor.artifact,
        "componentVersion": processor.version,
    }
    return Entity(_FAILURE, failure)


_Description = tuple[str, list[dict[str, Any]], str | None, Any]


def _describe(problem: Violation | EnrichmentError) -> _Description:
    match problem:
        case NotJson(source, text, error):
            return "NotJSON", [{"message": error, "source": source}], None, {source: text}
        case NotIglu(source, json, code):
            return "NotIglu", [{"message": _NOT_IGLU[code], "source": source}], None, json
        case CriterionMismatch(source, uri, criterion, data):
            text = f"Unexpected schema: {uri} does not match the criterion"
            return "CriterionMismatch", [{"message": text, "source": source, "criterion": criterion}], uri, data
        case Invalid():
            return _describe_invalid(problem)
        case AtomicErrors(errors):
            reports = [_sourced(_atomic_report(error), "atomic_field") for error in errors]
            return "ValidationError", reports, ATOMIC, {error.path: error.value for error in errors}
        case EnrichmentError(enrichment, failure):
            return _describe_enrichment(enrichment, failure)


def _describe_invalid(invalid: Invalid) -> _Description:
    source, uri, problem, data, _ = invalid
    match problem:
        case NotResolved(history):
            text = f"Resolution error: schema {uri} not found"
            return "ResolutionError", [{"message": text, "source": source, "lookupHistory": history}], uri, data
        case InvalidSchema(issues):
            texts = [(f"Invalid schema: {uri} - {issue.message}", issue.path) for issue in issues]
            errors = [{"message": text, "source": source, "path": path} for text, path in texts]
            return "ValidationError", errors, uri, data
        case _:
            return "ValidationError", [_sourced(report, source) for report in problem], uri, data


def _sourced(report: Report, source: str) -> dict[str, Any]:
    return {
        "message": report.message,
        "source": source,
        "path": report.path,
        "keyword": report.keyword,
        "targets": list(report.targets),
    }


def _describe_enrichment(enrichment: Enrichment | None, failure: Failure) -> _Description:
    named = enrichment if enrichment is not None and enrichment.schema_uri is not None else None
    kind = f"EnrichmentError: {named.identifier if named else ''}"
    schema = named.schema_uri if named else None
    if failure.field is None:
        return kind, [{"message": failure.message}], schema, None
    text = f"{failure.field} - {failure.message}"
    return kind, [{"message": text, "source": failure.field}], schema, {failure.field: failure.value}
