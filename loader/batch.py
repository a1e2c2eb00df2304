"""When chunks become an insert. Decisions only: time is given, nothing waits here."""

from dataclasses import dataclass, field

from loader.settings import BatchSettings
from shared.stream.contract import Delivery, Message


@dataclass(slots=True)
class Batch:
    """Deliveries that go in together, in the order they came. opened_ms: when the first one came."""

    opened_ms: int
    deliveries: list[Delivery] = field(default_factory=list)
    rows: int = 0
    size: int = 0


class Batcher:
    """Merges whole deliveries until a batch has enough rows, enough bytes, or is old enough.

    most: deliveries at which a batch is full all the same, since no more of them will come before some are acked.
    """

    def __init__(self, limits: BatchSettings, most: int) -> None:
        self._limits = limits
        self._most = most
        self._batch: Batch | None = None

    @property
    def open(self) -> Batch | None:
        """What is being filled."""
        return self._batch

    def add(self, delivery: Delivery, now_ms: int) -> Batch | None:
        """Put a delivery in; gives a batch once there is one to insert."""
        batch = self._batch = self._batch or Batch(now_ms)
        batch.deliveries.append(delivery)
        batch.rows += rows_in(delivery.message)
        batch.size += len(delivery.message.body)
        return self.take() if self._full(batch) else None

    def _full(self, batch: Batch) -> bool:
        limits = self._limits
        return batch.rows >= limits.rows or batch.size >= limits.bytes or len(batch.deliveries) >= self._most

    def due(self, now_ms: int) -> Batch | None:
        """The batch, if it is old enough by now."""
        return self.take() if self._batch and self.left_ms(now_ms) <= 0 else None

    def left_ms(self, now_ms: int) -> int:
        """Milliseconds until the batch is old enough; a whole age when it is empty. A clock that was set back tells
        no age: then it is old enough."""
        opened = self._batch.opened_ms if self._batch else now_ms
        return opened + self._limits.age_ms - now_ms if opened <= now_ms else 0

    def take(self) -> Batch | None:
        """The batch as it is."""
        batch, self._batch = self._batch, None
        return batch


def rows_in(message: Message) -> int:
    """Rows that a message holds, without looking at its lines where a header says it."""
    count = message.headers.get("events")
    return count if isinstance(count, int) else message.body.count(b"\n") + 1
