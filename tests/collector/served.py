"""A request served by the rules alone: no socket, no stream."""

from collections.abc import Sequence
from typing import Any

from collector.hit import Hit, split_target
from collector.routes import Routes
from collector.settings import Settings
from collector.tracking import Outcome, Tracking
from shared.badrow import Processor
from shared.identity import uuid4
from shared.payload import CollectorPayload
from shared.payload_reader import decode

KNOWN = "dfdb716e-ecf9-4d00-8b10-44edfbc8a108"


def serve(
    headers: Sequence[tuple[str, str]] = (),
    target: str = "/com.acme/v1",
    method: str = "POST",
    peer: str = "192.0.2.9",
    body: bytes = b"b",
    **rules: Any,
) -> Outcome:
    settings = Settings.model_validate({"collector": rules})
    path, query = split_target(target.encode())
    recorded = Routes(settings).recorded_path(method, path)
    assert recorded is not None
    sent = [(name.encode(), value.encode()) for name, value in headers]
    hit = Hit(method, target, query, sent, peer.encode(), body=body if method == "POST" else None)
    tracking = Tracking(settings, "evnt-collector-1.0.0-embedded", Processor("evnt-collector", "1.0.0"), uuid4)
    return tracking.serve(hit, recorded, 1_700_000_000_000)


def payload(outcome: Outcome) -> CollectorPayload:
    (found,) = decode(outcome.good[0])
    assert isinstance(found, CollectorPayload)
    return found
