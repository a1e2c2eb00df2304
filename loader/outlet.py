"""Where the loader's own bad rows go: the `bad` stream, owned by it before the chunk they come from is acked."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from loader import badrows
from loader.metrics import LoaderMetrics
from loader.patience import Patience
from shared.identity import Clock, uuid5
from shared.stream.contract import Message, Publisher

#: Namespace of ids that name a bad row by where it comes from: one that is published twice has the same id twice.
BAD_ROW_IDS = "6f1d4fe2-1f0e-5d0c-9a37-5a0d5a2d7c55"


class BadRow(NamedTuple):
    """One to publish. origin: tells it from a row of the same bytes that another message gave rise to."""

    body: bytes
    origin: str


class BadRowOutlet:
    """Publishes bad rows and returns once the stream has them. most_bytes: what a message may hold."""

    def __init__(
        self, publisher: Publisher, patience: Patience, clock: Clock, metrics: LoaderMetrics, most_bytes: int
    ) -> None:
        self._publisher = publisher
        self._most_bytes = most_bytes
        self._patience = patience
        self._clock = clock
        self._metrics = metrics

    async def put(self, rows: Sequence[BadRow]) -> None:
        """Raises GivenUp."""
        if not rows:
            return
        messages = [self._message(row) for row in rows]
        await self._patience(lambda: self._publisher.publish("bad", messages))
        for message in messages:
            self._metrics.bad_rows.labels(message.headers["type"]).inc()

    def _message(self, row: BadRow) -> Message:
        now_ms = self._clock()
        fits = len(row.body) <= self._most_bytes
        body = row.body if fits else badrows.too_large(row.body, self._most_bytes, now_ms)
        kind = json.loads(body)["schema"].split("/")[1]
        name = uuid5(BAD_ROW_IDS, f"{row.origin}/{sha256(row.body).hexdigest()}")
        return Message(body, name, now_ms, "bad-row", "application/json", {"type": kind})
