"""The file for probes that can only look at files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from loader import liveness
from loader.__main__ import liveness_file
from loader.liveness import Liveness
from loader.settings import LoaderSection, LoaderSettings
from shared.process import Misconfigured


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


async def test_the_file_comes_when_its_folder_can_be_had(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.write_text("no folder")
    async with kept(Liveness(Clock()), folder / "loader.alive", 0.01) as there:
        assert not await there(0.2)
        folder.unlink()
        assert await there(5)


def test_a_named_file_that_cannot_be_written_is_refused_and_the_default_done_without(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("no folder")
    default = LoaderSettings(data_dir=taken)
    assert liveness_file(default) == taken / "loader-1.alive"
    named = LoaderSettings(loader=LoaderSection(liveness_file=taken / "alive"))
    with pytest.raises(Misconfigured, match=r"^loader\.liveness_file: .*alive can't be written: "):
        liveness_file(named)


@asynccontextmanager
async def kept(
    watch: Liveness, file: Path, every_s: float = liveness.TOUCH_S
) -> AsyncIterator[Callable[[float], Awaitable[bool]]]:
    """Keeps the file; gives a question: does it appear within so many seconds?"""

    async def there(seconds: float) -> bool:
        for _ in range(int(seconds / 0.01) + 1):
            if await asyncio.to_thread(file.exists):
                return True
            await asyncio.sleep(0.01)
        return False

    task = asyncio.create_task(watch.keep(file, every_s))
    try:
        yield there
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
