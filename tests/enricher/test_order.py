"""Everything wrong with one event at once: what is told where, and in which order."""

import json
from typing import Any

from enricher.enrichments.contract import Entity, Failure, Patch
from tests.enricher.harness import GOOD, Schemas, columns, enrich, enrichment, post, rows
from tests.enricher.vector_rows import entities

CART = "iglu:com.acme/cart/jsonschema/1-0-0"
ABSENT = "iglu:com.acme/absent/jsonschema/1-0-0"
SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"
SCHEMAS = Schemas({CART: {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}})
SENT: list[tuple[str, Any]] = [(CART, {}), (ABSENT, {}), (CART, {"sku": "a"}), (CART, {"sku": 1})]


def wrapped(name: str, data: Any) -> str:
    return json.dumps({"schema": f"{SNOWPLOW}/{name}/jsonschema/1-0-0", "data": data})


EVENT = {
    **GOOD,
    "co": wrapped("contexts", [{"schema": schema, "data": data} for schema, data in SENT]),
    "url": "http://",
    "tid": "x",
    "refr": "http://",
    "ue_pr": wrapped("unstruct_event", {"schema": CART, "data": {"sku": None}}),
    "aid": "a" * 256,
    "cd": "1" * 13,
}


def attach(*_: Any) -> Patch:
    made = [Entity(ABSENT, {}), Entity(CART, {"sku": "b"})]
    return Patch(contexts=made, failures=(Failure("first"), Failure("second")))


def test_a_bad_row_tells_of_the_first_phase_and_the_failed_event_of_all() -> None:
    outcome = enrich(post(EVENT), schemas=SCHEMAS, enrichments=[enrichment(attach)])
    (bad,) = rows(outcome)
    assert [message["schemaKey"] for message in bad["data"]["failure"]["messages"]] == [
        f"{SNOWPLOW}/atomic/jsonschema/1-0-0",
        CART,  # the self-describing event
        CART,
        ABSENT,
        CART,
    ]
    found = columns(outcome.failed[0].body)
    failures = [_told(one["data"]) for one in entities(found, "derived_contexts") if "/failure/" in one["schema"]]
    assert failures == [
        ["tid"],
        ["unstruct"],
        ["contexts"],
        ["contexts"],
        ["contexts"],
        ["first"],  # the latest enrichment, its own in their order
        ["second"],
        ["Provided URI"],  # the referrer's, and the page's before it
        ["Provided URI"],
        ["derived_contexts"],
        ["app_id", "br_colordepth"],
    ]


def test_what_is_not_wrong_stays_behind_the_failures() -> None:
    outcome = enrich(post(EVENT), schemas=SCHEMAS, enrichments=[enrichment(attach)])
    found = columns(outcome.failed[0].body)
    assert entities(found, "derived_contexts")[-1] == {"schema": CART, "data": {"sku": "b"}}
    assert entities(found, "contexts") == [{"schema": CART, "data": {"sku": "a"}}]
    assert not {"app_id", "br_colordepth", "txn_id", "unstruct_event", "page_urlscheme"} & found.keys()
    assert (found["page_url"], found["page_referrer"], found["event_name"]) == ("http://", "http://", "page_view")
    assert not outcome.enriched


def _told(failure: Any) -> list[str]:
    """Of each error the column, what it is about, or how it begins."""
    errors = failure["errors"]
    if errors[0].get("source") == "atomic_field":
        return [error["path"] for error in errors]
    return [error.get("source") or " ".join(error["message"].split()[:2]) for error in errors][:1]
