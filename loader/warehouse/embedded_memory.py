"""Give memory back that only the engine's start needed.

Loading the engine touches some 170 MB of its library, which stay mapped although most of it is not used again. They
are clean pages of a file: unmapping them loses nothing, and what is used comes back by itself.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MADV_DONTNEED = 4
_SMAPS = Path("/proc/self/smaps")
_MAPPING = re.compile(r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S{4}) \S+ \S+ \S+\s*(?P<path>.*)$")


class _Mapping(NamedTuple):
    start: int
    length: int


def release_clean_pages(library: str) -> None:
    """Unmap pages of libraries that nothing was written to; `library`: a part of their paths.

    Does nothing where there is no /proc (not Linux).
    """
    if not _SMAPS.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for mapping in _clean(_SMAPS.read_text(), library):
        madvise(mapping.start, mapping.length, _MADV_DONTNEED)


def _clean(smaps: str, library: str) -> Iterator[_Mapping]:
    """Mappings of the file that are not writable and hold no page of our own; relocated data is such a page."""
    for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
        found = _MAPPING.match(block.partition("\n")[0])
        if found is None or library not in found["path"] or "w" in found["rights"]:
            continue
        if all(re.search(rf"^{name}: +0 kB$", block, re.MULTILINE) for name in ("Private_Dirty", "Anonymous")):
            start = int(found["start"], 16)
            yield _Mapping(start, int(found["end"], 16) - start)
