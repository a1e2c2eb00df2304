"""How the work for an input grows with its size."""

from collections.abc import Callable
from time import process_time
from typing import TypeVar

T = TypeVar("T")

#: Work that grows with the size takes 8 times as long for 8 times as much, with its square 64 times.
_TIMES = 8
_MOST = 30

#: Seconds below which the clock says nothing of an algorithm.
_NOTHING = 0.02


def grows_with_size(work: Callable[[T], object], made: Callable[[int], T], size: int) -> bool:
    """Whether work on what is made of 8 times the size takes no more than some 8 times as long, at the second look."""
    return any(
        _seconds(work, made(size * _TIMES)) < max(_NOTHING, _MOST * _seconds(work, made(size))) for _ in range(2)
    )


def _seconds(work: Callable[[T], object], what: T) -> float:
    begin = process_time()
    work(what)
    return process_time() - begin
