"""The file for probes that can only look at files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from loader import liveness
from loader.liveness import Liveness


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_lane_that_was_silent_for_long_is_named() -> None:
    clock = Clock()
    watch = Liveness(clock)
    watch.beat("events")
    watch.beat("bad_rows")
    clock.now = liveness.SILENT_S
    assert watch.trouble() is None
    watch.beat("events")
    clock.now += 1
    assert watch.trouble() == "nothing moves in: bad_rows"


async def test_the_file_is_there_while_the_loader_runs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "loader.alive"
    async with kept(Liveness(Clock()), file) as there:
        assert await there(5)
    assert not await there(0)


async def test_the_file_is_not_touched_while_a_lane_hangs(tmp_path: Path) -> None:
    clock = Clock()
    watch = Liveness(clock)
    watch.beat("events")
    clock.now = liveness.SILENT_S + 1
    async with kept(watch, tmp_path / "loader.alive") as there:
        assert not await there(0.2)


@asynccontextmanager
async def kept(watch: Liveness, file: Path) -> AsyncIterator[Callable[[float], Awaitable[bool]]]:
    """Keeps the file; gives a question: does it appear within so many seconds?"""

    async def there(seconds: float) -> bool:
        for _ in range(int(seconds / 0.01) + 1):
            if await asyncio.to_thread(file.exists):
                return True
            await asyncio.sleep(0.01)
        return False

    task = asyncio.create_task(watch.keep(file))
    try:
        yield there
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
