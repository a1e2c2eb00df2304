"""Which consumers of an embedded stream live: each holds a lock on a file of its own for as long as it does.

The kernel lets go of a lock when its process ends, however it ends, so a killed consumer is known at once, and a slow,
stopped or suspended one never loses what it was lent: no clock takes part.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one process of the folder at a time gets past here; for opening and clearing up."""
    descriptor = os.open(folder / "opening.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Presence:
    """A living consumer. Make and sweep presences inside `alone`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._file = folder / "consumers" / name
        self._file.parent.mkdir(exist_ok=True)
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self) -> None:
        with suppress(FileNotFoundError):
            self._file.unlink()
        os.close(self._descriptor)


def lives(folder: Path, name: str) -> bool:
    """Whether the consumer's process still holds its lock."""
    try:
        descriptor = os.open(folder / "consumers" / name, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sweep(folder: Path) -> None:
    """Remove the files of the dead."""
    consumers = folder / "consumers"
    for name in os.listdir(consumers) if consumers.exists() else ():
        if not lives(folder, name):
            with suppress(FileNotFoundError):
                (consumers / name).unlink()
