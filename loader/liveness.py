"""A file that is touched while all is well, for probes that can only look at files."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: Between two touches, seconds.
TOUCH_S = 5.0

#: A lane that was silent for so long hangs, seconds.
SILENT_S = 60.0


class Liveness:
    """Knows when each lane was last seen alive. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def beat(self, lane: str) -> None:
        """This lane is alive now."""
        self._seen[lane] = self._clock()

    def trouble(self) -> str | None:
        """Which lane hangs, None where none does."""
        now = self._clock()
        silent = [lane for lane, seen in self._seen.items() if now - seen > SILENT_S]
        return f"nothing moves in: {', '.join(silent)}" if silent else None

    async def keep(self, file: Path, every_s: float = TOUCH_S) -> None:
        """Touch the file for as long as no lane hangs; runs until cancelled, then removes it. What the system does not
        let do, such as on a full disk, is tried again the next time."""
        try:
            while True:
                if self.trouble() is None:
                    with suppress(OSError):
                        await asyncio.to_thread(touch, file)
                await asyncio.sleep(every_s)
        finally:
            _remove(file)


def touch(file: Path) -> None:
    """Raises OSError where that can't be done."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
