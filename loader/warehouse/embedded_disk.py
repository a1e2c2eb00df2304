"""Room on the disk of the embedded ClickHouse.

The engine takes no notice when the system refuses to write for want of room: it calls an insert stored of which there
are empty files, and replaces parts by a merged one that nobody can read. So nothing is written while little is free,
and merges that run then are cancelled, which leaves what they read from.
"""

import asyncio
import shutil
from pathlib import Path

from loader.warehouse.embedded_engine import Engine, EngineError
from shared.telemetry import logger

#: Pause between two looks at the disk, seconds: what others write meanwhile must be less than what is kept free.
PAUSE_S = 0.25


class Room:
    """Whether so many megabytes are free in a folder's file system."""

    def __init__(self, folder: Path, least_mb: int) -> None:
        self._folder = folder
        self._least_mb = least_mb

    @property
    def short(self) -> bool:
        return shutil.disk_usage(self._folder).free < self._least_mb << 20

    def require(self) -> None:
        """Raises EngineError where too little is free."""
        if self.short:
            raise EngineError(
                f"Code: 243. DB::Exception: Nothing is written while less than {self._least_mb} MB are free for "
                f"{self._folder} (clickhouse.embedded.min_free_mb): not enough space. (NOT_ENOUGH_SPACE)"
            )


async def watch(room: Room, engine: Engine) -> None:
    """Let the engine merge while there is room, and not otherwise, until cancelled."""
    merging = True
    while True:
        if room.short is merging:
            merging = not merging
            await asyncio.to_thread(engine.merge, merging)
            logger("clickhouse").warning("disk.room" if merging else "disk.full")
        await asyncio.sleep(PAUSE_S)
