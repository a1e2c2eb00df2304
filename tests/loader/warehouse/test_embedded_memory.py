"""What of a library may be unmapped: clean pages, and no relocated data."""

from loader.warehouse.embedded_memory import _clean

SMAPS = """\
7f00-7f10 r--p 00000000 fe:00 1                   /lib/_chdb.abi3.so
Rss:                  44 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
7f10-7f30 r-xp 09056000 fe:00 1                   /lib/_chdb.abi3.so
Private_Dirty:         0 kB
Anonymous:             0 kB
7f30-7f40 r--p 20627000 fe:00 1                   /lib/_chdb.abi3.so
Private_Dirty:     11432 kB
Anonymous:         11432 kB
7f40-7f50 rw-p 21154000 fe:00 1                   /lib/_chdb.abi3.so
Private_Dirty:         0 kB
Anonymous:             0 kB
7f50-7f60 r-xp 00000000 fe:00 2                   /lib/libc.so.6
Private_Dirty:         0 kB
Anonymous:             0 kB
7f60-7f70 rw-p 00000000 00:00 0
Anonymous:             0 kB
"""


def test_only_clean_read_only_pages_of_the_library_are_given_back() -> None:
    assert list(_clean(SMAPS, "_chdb")) == [(0x7F00, 0x10), (0x7F10, 0x20)]
