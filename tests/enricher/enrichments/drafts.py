"""Drafts as the pipeline would hand them over, from what a test says of the event, and what is wrong with a patch."""

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from enricher.enrichments.contract import Draft, Entity, Patch
from enricher.enrichments.javascript_script import envelope
from shared.event import FIELDS, INDEX, WIDTH
from shared.payload import CollectorPayload

_UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
_JSON_COLUMNS = ("contexts", "unstruct_event", "derived_contexts")


def draft(
    event: Mapping[str, Any] | None = None,
    *,
    parameters: Mapping[str, str | None] | None = None,
    headers: Iterable[str] = (),
    query: Mapping[str, str | None] | None = None,
    contexts: Iterable[Any] = (),
    unstruct: Any = None,
    derived: Iterable[Any] = (),
) -> Draft:
    values = [""] * WIDTH
    for name, value in (event or {}).items():
        if name in INDEX and name not in _JSON_COLUMNS:
            values[INDEX[name]] = "" if value is None else str(value)
    lines = list(headers)
    attached = entities(contexts)
    if attached:
        values[INDEX["contexts"]] = envelope(attached)
    if unstruct:
        values[INDEX["unstruct_event"]] = json.dumps({"schema": _UNSTRUCT, "data": unstruct})
    return Draft(
        values=values,
        parameters=dict(parameters or {}),
        payload=CollectorPayload(headers=lines, user_agent=None),
        headers=[(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)],
        page_query=query,
        contexts=attached,
        event=entities([unstruct])[0] if unstruct else None,
        derived=entities(derived),
    )


def entities(documents: Iterable[Any]) -> list[Entity]:
    return [Entity(document["schema"], document["data"]) for document in documents]


def documents(attached: Iterable[Entity]) -> list[Any]:
    """Entities as self-describing JSON; where one carries its text, the text must say the same."""
    found = []
    for one in attached:
        document = {"schema": one.schema, "data": one.data}
        assert one.text is None or json.loads(one.text) == document
        found.append(document)
    return found


def value(column: str, text: str) -> Any:
    """A column's text as the number that it stands for; "" is None."""
    kind = next(field.kind for field in FIELDS if field.name == column)
    if not text:
        return None
    return float32(float(text)) if kind == "float" else int(text) if kind in ("int", "bool") else text


def float32(number: float) -> float:
    """The number as 32 bits keep it: several decimals stand for the same one."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def applied(before: Draft, patch: Patch | None) -> dict[str, Any]:
    """Every column after the patch, null as None."""
    after = list(before.values)
    for name, text in (patch.fields if patch else {}).items():
        after[INDEX[name]] = text
    return {field.name: value(field.name, after[INDEX[field.name]]) for field in FIELDS}


def derived(before: Draft, patch: Patch | None) -> list[Any]:
    """derived_contexts after the patch."""
    if patch is None:
        return documents(before.derived)
    kept = before.derived if patch.derived is None else patch.derived
    return documents([*patch.contexts, *kept])


def failure(patch: Patch | None) -> str:
    """What the one failure of a patch says."""
    assert patch is not None
    (found,) = patch.failures
    return found.message
