"""When a batch is inserted, with a clock that the test turns."""

from loader.batch import Batcher, rows_in
from loader.settings import BatchSettings
from shared.stream.contract import Message
from tests.loader.lines import delivery

LIMITS = BatchSettings(rows=10, bytes=1_000, age_ms=500)


def test_a_batch_is_full_of_rows() -> None:
    batcher = Batcher(LIMITS, 100)
    assert batcher.add(delivery(b"\n" * 5), 0) is None
    batch = batcher.add(delivery(b"\n" * 4), 1)
    assert batch is not None
    assert (batch.rows, len(batch.deliveries)) == (11, 2)
    assert batcher.open is None


def test_a_batch_is_full_of_bytes() -> None:
    assert Batcher(LIMITS, 100).add(delivery(b"x" * 1_000), 0) is not None


def test_a_batch_is_full_of_all_that_may_come_unacknowledged() -> None:
    batcher = Batcher(LIMITS, 2)
    assert batcher.add(delivery(b"x"), 0) is None
    assert batcher.add(delivery(b"x"), 0) is not None


def test_age_counts_from_the_first_chunk() -> None:
    batcher = Batcher(LIMITS, 100)
    batcher.add(delivery(b"x"), 1_000)
    batcher.add(delivery(b"x"), 1_400)
    assert batcher.left_ms(1_400) == 100
    assert batcher.due(1_499) is None
    due = batcher.due(1_500)
    assert due is not None
    assert len(due.deliveries) == 2


def test_an_empty_batcher_is_never_due_and_waits_a_whole_age() -> None:
    batcher = Batcher(LIMITS, 100)
    assert batcher.due(10**12) is None
    assert batcher.left_ms(7) == 500
    assert batcher.take() is None


def test_the_next_batch_has_an_age_of_its_own() -> None:
    batcher = Batcher(LIMITS, 1)
    batcher.add(delivery(b"x"), 0)
    later = Batcher(LIMITS, 100)
    later.add(delivery(b"x"), 400)
    assert later.due(500) is None


def test_rows_are_counted_by_the_header_or_else_by_the_lines() -> None:
    assert rows_in(Message(b"a\nb", "m", 0, "t", "c", {"events": 7})) == 7
    assert rows_in(Message(b"a\nb", "m", 0, "t", "c", {})) == 2


def test_a_clock_that_was_set_back_does_not_keep_a_batch() -> None:
    batcher = Batcher(LIMITS, 100)
    batcher.add(delivery(b"x"), 3_600_000)
    assert batcher.left_ms(0) == 0
    assert batcher.due(0) is not None
