"""Raw messages in, chunks out, acks when the stream owns everything that became of a message.

Outages hold messages, they never give them back: the stream would only deliver them again and count it against them.
"""

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from enricher.answers import Answers
from enricher.chunks import Batch, ChunkLimits, as_uuid
from enricher.enrichments.contract import Query
from enricher.metrics import EnricherMetrics
from enricher.outcome import Outcome
from enricher.patience import GivenUp, Patience
from enricher.pipeline import Pipeline
from shared.identity import Clock
from shared.stream.contract import Delivery, Message, MessageRefused, Publisher, StreamName, Subscriber
from shared.telemetry import logger

#: Longest wait for a delivery, seconds: so long may a stop, or a look at the age of a chunk, be late.
_LONGEST_WAIT_S: Final = 0.25

#: Deliveries asked for at once, and raw messages processed before the event loop gets a turn.
_TAKE: Final = 100
_TURN_BYTES: Final = 200_000

_Steps = Generator[Query, Any, Outcome]


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """chunk: of one message. age_ms: of the oldest event that waits. held_bytes: of raw messages not yet acked.

    prefetch: raw messages that the stream lends before it wants acks.
    """

    chunk: ChunkLimits
    age_ms: int
    held_bytes: int
    publishes: int
    prefetch: int


class Worker:
    """Memory is bounded: raw messages by the prefetch and `held_bytes`, what became of them by `publishes`."""

    def __init__(
        self,
        subscriber: Subscriber,
        publisher: Publisher,
        pipeline: Pipeline,
        answers: Answers,
        patience: Patience,
        limits: WorkLimits,
        clock: Clock,
        metrics: EnricherMetrics,
    ) -> None:
        self._subscriber = subscriber
        self._publisher = publisher
        self._pipeline = pipeline
        self._answers = answers
        self._patience = patience
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._log = logger("enricher")
        self._batch = Batch(0)
        self._held: dict[int, Delivery] = {}
        self._held_bytes = 0
        self._asking: set[asyncio.Task[None]] = set()
        self._publishing: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until told to stop; then finishes what it holds."""
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                await self._turn(tasks)
            while self._asking:
                await asyncio.wait(self._asking)
            self._flush(tasks)

    def lag_s(self) -> float:
        """Age of the oldest raw message held, seconds."""
        times = [delivery.message.timestamp_ms for delivery in self._held.values()]
        return max(0.0, (self._clock() - min(times)) / 1000) if times else 0.0

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        wait_s = self._until_due_s()
        if wait_s <= 0:
            self._flush(tasks)
            wait_s = _LONGEST_WAIT_S
        while len(self._publishing) >= self._limits.publishes:
            await asyncio.wait(self._publishing, return_when=asyncio.FIRST_COMPLETED)
        if self._held_bytes >= self._limits.held_bytes:
            await self._wait_for_room(tasks, wait_s)
            return
        taken = 0
        for delivery in await self._subscriber.receive(_TAKE, wait_s):
            self._hold(delivery)
            self._begin(delivery, tasks)
            taken += len(delivery.message.body)
            if taken > _TURN_BYTES:
                taken = 0
                await asyncio.sleep(0)

    async def _wait_for_room(self, tasks: asyncio.TaskGroup, wait_s: float) -> None:
        self._flush(tasks)
        await asyncio.wait([*self._asking, *self._publishing], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)

    def _until_due_s(self) -> float:
        if not self._batch.deliveries:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, (self._batch.since_ms + self._limits.age_ms - self._clock()) / 1000)

    # ---- one raw message ------------------------------------------------------------------------------------------

    def _begin(self, delivery: Delivery, tasks: asyncio.TaskGroup) -> None:
        """Most messages need nothing but what is known; one that asks goes on in a task of its own."""
        message = delivery.message
        steps = self._pipeline.process(message.body, as_uuid(message.message_id), self._clock())
        state = _resume(lambda: next(steps))
        if isinstance(state, Outcome):
            self._collect(delivery, state, tasks)
            return
        task = tasks.create_task(self._ask(delivery, steps, state, tasks))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, delivery: Delivery, steps: _Steps, query: Query, tasks: asyncio.TaskGroup) -> None:
        state: Query | Outcome = query
        try:
            while isinstance(state, Query):
                state = await self._advance(steps, state)
        except GivenUp:
            self._let_go([delivery])
        else:
            self._collect(delivery, state, tasks)

    async def _advance(self, steps: _Steps, query: Query) -> Query | Outcome:
        """A bug of who answers is thrown at the event that asked, and becomes its bad row."""
        try:
            answer = await self._answers.answer(query)
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - the pipeline reports whatever it is
            bug = error
            return _resume(lambda: steps.throw(bug))
        return _resume(lambda: steps.send(answer))

    def _collect(self, delivery: Delivery, outcome: Outcome, tasks: asyncio.TaskGroup) -> None:
        self._metrics.count(outcome)
        batch, chunk = self._batch, self._limits.chunk
        too_many = len(batch.enriched) + len(outcome.enriched) > chunk.events
        if batch.deliveries and (too_many or batch.bytes >= chunk.bytes):
            self._flush(tasks)
        if not self._batch.deliveries:
            self._batch.since_ms = self._clock()
        self._batch.add(delivery, outcome, self._clock())
        full = len(self._batch.enriched) >= chunk.events or self._batch.bytes >= chunk.bytes
        if full or self._holds_half_of_what_is_lent():
            self._flush(tasks)

    def _holds_half_of_what_is_lent(self) -> bool:
        """Small messages: the stream would run dry, and a fuller chunk never come."""
        return 2 * len(self._batch.deliveries) >= self._limits.prefetch

    # ---- publishing -----------------------------------------------------------------------------------------------

    def _flush(self, tasks: asyncio.TaskGroup) -> None:
        batch, self._batch = self._batch, Batch(0)
        if batch.deliveries:
            self._metrics.batch_events.observe(len(batch.enriched))
            task = tasks.create_task(self._publish(batch))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish(self, batch: Batch) -> None:
        """Everything of the batch at once; only then its raw messages are acked."""
        streams = batch.messages(self._limits.chunk, self._clock())
        try:
            await asyncio.gather(*(self._insist(stream, messages) for stream, messages in streams))
        except GivenUp:
            self._let_go(batch.deliveries)
        except MessageRefused as refusal:
            await self._bury(batch.deliveries, str(refusal))
        else:
            await self._subscriber.ack(batch.deliveries)
            self._let_go(batch.deliveries)

    async def _insist(self, stream: StreamName, messages: list[Message]) -> None:
        await self._patience.insist(stream, lambda: self._publisher.publish(stream, messages))

    async def _bury(self, deliveries: list[Delivery], reason: str) -> None:
        self._log.error("messages.buried", count=len(deliveries), reason=reason)
        self._metrics.buried.inc(len(deliveries))
        await self._subscriber.bury(deliveries, reason)
        self._let_go(deliveries)

    # ---- what is held ---------------------------------------------------------------------------------------------

    def _hold(self, delivery: Delivery) -> None:
        self._held[id(delivery)] = delivery
        self._held_bytes += len(delivery.message.body)

    def _let_go(self, deliveries: list[Delivery]) -> None:
        """Acked or buried; or given up, then closing the subscriber gives them to somebody else."""
        for delivery in deliveries:
            del self._held[id(delivery)]
            self._held_bytes -= len(delivery.message.body)


def _resume(step: Callable[[], Query]) -> Query | Outcome:
    """The pipeline's next question, or what became of the message."""
    try:
        return step()
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome
