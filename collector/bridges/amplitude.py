"""Amplitude's HTTP API, version 2: each event of a call becomes a payload (`POST /com.amplitude/2/httpapi|batch`)."""

import json
import re
from collections.abc import Iterable, Sequence

from collector import slices
from collector.bridges.envelope import text_at, tp2_body

SCHEMA = "iglu:com.amplitude/payload/jsonschema/1-0-0"

#: What a client writes where the collector knows its address.
_REMOTE = "$remote"


class BadCall(ValueError):
    """The call is none of the API's; the text is what the API answers."""


def bodies(events: Iterable[str], address: str, network_userid: str) -> list[bytes]:
    """One tp2 body for each event."""
    return [_body(event, address, network_userid) for event in events]


def events(body: str) -> list[str]:
    """The texts of the events in a call. Raises BadCall."""
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
    return slices.items(slices.members(slices.compact(body))["events"])


def _body(text: str, address: str, network_userid: str) -> bytes:
    event = slices.parse(text)
    if text_at(event, "ip") == _REMOTE:
        members = slices.members(text) | {"ip": json.dumps(address)}
        text = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    time = event.get("time") if isinstance(event, dict) else None
    parameters = {
        "aid": "amp_bridge",
        "e": "ue",
        "p": "app",
        "tv": text_at(event, "library") or "amplitude-unknown",
        "tnuid": network_userid,
        "uid": text_at(event, "user_id"),
        "duid": text_at(event, "device_id"),
        "dtm": str(time) if not isinstance(time, bool) and re.fullmatch(r"-?\d+", str(time)) else None,
    }
    return tp2_body(SCHEMA, f'{{"data":{text}}}', parameters)


def origin_allowed(domains: Sequence[str], host: str) -> bool:
    """Whether a page of this host may call: `d` and `*.d` both mean d and its subdomains."""
    entries = [domain.removeprefix("*.") for domain in domains]
    return "*" in entries or any(host == entry or host.endswith("." + entry) for entry in entries)
