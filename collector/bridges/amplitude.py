"""Amplitude's HTTP API, version 2: each event of a call becomes a payload (`POST /com.amplitude/2/httpapi|batch`)."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from collector import slices
from collector.bridges.envelope import text_at, tp2_body

SCHEMA = "iglu:com.amplitude/payload/jsonschema/1-0-0"

#: What a client writes where the collector knows its address.
_REMOTE = "$remote"


class Event(NamedTuple):
    """An event as it is recorded, and as it is read."""

    text: str
    value: Any


class BadCall(ValueError):
    """The call is none of the API's; the text is what the API answers."""


class TooLarge(Exception):
    """The call has more events than were allowed."""


def bodies(events: Iterable[Event], network_userid: str) -> Iterator[bytes]:
    """One tp2 body for each event."""
    return (_body(event, network_userid) for event in events)


def events(body: str, address: str, most: int) -> list[Event]:
    """The events, `most` at most, in a call of a client with this address. Raises BadCall and TooLarge."""
    try:
        document = slices.parse(body)
    except slices.NotJson as error:
        raise BadCall(f"Invalid JSON: {error}") from error
    if text_at(document, "api_key") is None:
        raise BadCall("Missing api_key")
    if not isinstance(document.get("events"), list):
        raise BadCall("Missing or invalid events array")
    if not document["events"]:
        raise BadCall("Events array is empty")
    if len(document["events"]) > most:
        raise TooLarge
    texts = slices.items(slices.members(slices.compact(body))["events"])
    sent = zip(texts, document["events"], strict=True)
    return [Event(_with_address(text, value, address), value) for text, value in sent]


def _with_address(text: str, event: Any, address: str) -> str:
    if text_at(event, "ip") != _REMOTE:
        return text
    members = slices.members(text) | {"ip": json.dumps(address)}
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"


def _body(sent: Event, network_userid: str) -> bytes:
    text, event = sent
    parameters = {
        "aid": "amp_bridge",
        "e": "ue",
        "p": "app",
        "tv": text_at(event, "library") or "amplitude-unknown",
        "tnuid": network_userid,
        "uid": text_at(event, "user_id"),
        "duid": text_at(event, "device_id"),
        "dtm": _time(event.get("time")) if isinstance(event, dict) else None,
    }
    return tp2_body(SCHEMA, f'{{"data":{text}}}', parameters)


def _time(value: object) -> str | None:
    """Milliseconds, as a number or as a text."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"-?\d+", text) else None


def origin_allowed(domains: Sequence[str], host: str) -> bool:
    """Whether a page of this host may call: `d` and `*.d` both mean d and its subdomains."""
    entries = [domain.removeprefix("*.") for domain in domains]
    return "*" in entries or any(host == entry or host.endswith("." + entry) for entry in entries)
