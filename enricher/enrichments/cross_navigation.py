"""Reads the `_sp` parameter that a tracker adds to links onto another site.

The two refr_ columns are always set; the entity with all seven parts is attached when a configuration file
switches the enrichment on.
"""

import binascii
import re
from typing import NamedTuple

from enricher import values
from enricher.enrichments.contract import Draft, Entity, Failure, Patch, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.values import tsv_safe
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow.enrichments", "cross_navigation_config", "jsonschema", 1, 0)
IDENTIFIER = "cross-navigation"

_OUTPUT = "iglu:com.snowplowanalytics.snowplow/cross_navigation/jsonschema/1-0-0"
_PARTS = 7
_JAVA_BLANKS = "".join(map(chr, range(33)))
_BASE64 = re.compile(r"[A-Za-z0-9_-]*={0,2}")


class Config(Parameters):
    attach: bool = True
    """Attach the entity. evnt's own option: without a configuration file it is off, and the columns stay."""


class State(NamedTuple):
    attach: bool


class Unreadable(Exception):
    """A part of `_sp` is not what it should be."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def prepare(config: Config, _: Resources) -> State:
    return State(config.attach)


def enrich(draft: Draft, state: State) -> Patch | None:
    text = (draft.page_query or {}).get("_sp")
    if not text:
        return None
    parts = text.split(".")
    if len(parts) > _PARTS:
        return None
    parts += [""] * (_PARTS - len(parts))
    try:
        return _patch(parts, state)
    except Unreadable as unreadable:
        return Patch(failures=(unreadable.failure,))


def _patch(parts: list[str], state: State) -> Patch:
    user, moment = tsv_safe(parts[0]), timestamp(parts[1])
    data = {
        "domain_user_id": user,
        "timestamp": f"{moment.replace(' ', 'T')}Z",
        "session_id": _said(parts[2]),
        "user_id": _decoded(parts[3]),
        "source_id": _decoded(parts[4]),
        "source_platform": _said(parts[5]),
        "reason": _decoded(parts[6]),
    }
    attached = (Entity(_OUTPUT, data),) if state.attach and user and moment else ()
    return Patch({"refr_domain_userid": user, "refr_dvce_tstamp": moment}, attached)


def timestamp(text: str) -> str:
    """`yyyy-MM-dd HH:mm:ss.SSS` of Unix milliseconds, "" of "". Raises Unreadable."""
    formatted = values.timestamp(text) if text else ""
    if isinstance(formatted, values.Refused):
        raise Unreadable(Failure(formatted.message, "sp_dtm", text))
    return formatted


def _decoded(text: str) -> str | None:
    if not _BASE64.fullmatch(text):
        raise Unreadable(Failure(f"Not in the expected format: {text} is not URL-safe base64"))
    try:
        padded = text.rstrip("=").replace("-", "+").replace("_", "/")
        decoded = binascii.a2b_base64(padded + "=" * (-len(padded) % 4)).decode("utf-8", "replace")
    except binascii.Error as error:
        raise Unreadable(Failure(f"Not in the expected format: {error}")) from error
    return _said(decoded)


def _said(text: str) -> str | None:
    """JSON holds what a column could not, so nothing is taken out of it."""
    return text if text.strip(_JAVA_BLANKS) else None
