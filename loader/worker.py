"""One queue of the loader: takes deliveries in, batches them, loads several batches at once, acks what is safe."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from loader.batch import Batch, Batcher
from loader.loading import Loading
from loader.patience import GivenUp
from shared.identity import Clock
from shared.stream.contract import Subscriber

#: Longest wait for a delivery, seconds: so long may a stop, or a look at the age of a batch, be late.
LONGEST_WAIT_S = 0.25

#: Deliveries asked for at once.
TAKE = 50


class Lane:
    """Runs until it is told to stop, then loads what it holds. Memory: the batches under way and one more.

    on_beat: called whenever the lane is seen to be alive.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        batcher: Batcher,
        loading: Loading,
        most_under_way: int,
        clock: Clock,
        on_beat: Callable[[], None],
    ) -> None:
        self._subscriber = subscriber
        self._batcher = batcher
        self._loading = loading
        self._most = most_under_way
        self._clock = clock
        self._on_beat = on_beat
        self._under_way: dict[asyncio.Task[None], Batch] = {}

    def lag_s(self) -> float:
        """Age of the oldest message held and not yet loaded, seconds; 0 when there is none."""
        batches = [*self._under_way.values(), *([self._batcher.open] if self._batcher.open else [])]
        times = [delivery.message.timestamp_ms for batch in batches for delivery in batch.deliveries]
        return max(0.0, (self._clock() - min(times)) / 1000) if times else 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Raises what loading raises."""
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                self._on_beat()
                await self._turn(tasks)
            if batch := self._batcher.take():
                await self._start(tasks, batch)

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        now = self._clock()
        if batch := self._batcher.due(now):
            await self._start(tasks, batch)
        wait_s = min(LONGEST_WAIT_S, max(0.0, self._batcher.left_ms(now) / 1000))
        for delivery in await self._subscriber.receive(TAKE, wait_s):
            if batch := self._batcher.add(delivery, self._clock()):
                await self._start(tasks, batch)

    async def _start(self, tasks: asyncio.TaskGroup, batch: Batch) -> None:
        """Load a batch beside the others, once there is room; while there is none, nothing is received."""
        while len(self._under_way) >= self._most:
            await asyncio.wait(self._under_way, timeout=LONGEST_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            self._on_beat()
        task = tasks.create_task(self._load(batch))
        self._under_way[task] = batch
        task.add_done_callback(self._under_way.pop)

    async def _load(self, batch: Batch) -> None:
        with suppress(GivenUp):  # not acked: the stream gives it to somebody else
            await self._subscriber.ack(await self._loading(batch.deliveries))
