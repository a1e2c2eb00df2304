"""Room on the disk that is left to consumers: on a disk that publishers filled nothing could be taken off a queue."""

import os
from pathlib import Path

from shared.stream.contract import StreamName, StreamUnavailable
from shared.stream.embedded_store import written_ahead

#: What leases and acks need until the upkeep has dealt with the write-ahead log, bytes.
SPARE_BYTES = 1 << 24

#: How often that much each stream leaves: a stage that reads `raw` must be able to write before it can ack.
_SPARES: dict[StreamName, int] = {"raw": 2}


def check_room(file: Path, stream: StreamName, size: int) -> None:
    """Raises StreamUnavailable where so many bytes more would leave too little.

    What is written ahead is written into the file a second time before it is gone.
    """
    disk = os.statvfs(file.parent)
    wanted = written_ahead(file) + 2 * size + _SPARES.get(stream, 1) * SPARE_BYTES
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < wanted:  # some file systems don't tell how large they are
        raise StreamUnavailable(f"the disk of {file.parent} has no room: {wanted} bytes must be free")
