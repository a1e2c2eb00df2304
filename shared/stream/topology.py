"""What feeds what, the same on every transport: streams to queues and logs, and where poison goes."""

from shared.settings import StreamLimits
from shared.stream.contract import LogName, QueueName, StreamName

QUEUE_OF: dict[StreamName, QueueName] = {
    "raw": "raw",
    "enriched": "enriched",
    "failed": "failed",
    "bad": "bad-rows.load",
}

#: Headers that a buried message carries in the dead queue.
SOURCE_QUEUE_HEADER = "x-evnt-source-queue"
REASON_HEADER = "x-evnt-error"

#: Names the replay that a message comes from, whose events may be in the table already. New messages made of it have it
#: too.
REPLAY_HEADER = "replay"

#: A dead message's headers that a replay takes off again.
MARKS = (SOURCE_QUEUE_HEADER, REASON_HEADER)


def dead_queue(queue: QueueName) -> str:
    """Where poison of a queue goes, for an operator."""
    return f"{queue}.dead"


def log_of(stream: StreamName, limits: StreamLimits) -> LogName | None:
    """The log that keeps what this stream carries, if one does."""
    if stream == "bad":
        return "bad-rows" if limits.log_max_bytes else None
    return "raw.archive" if stream == "raw" and limits.raw_archive else None


def retention(log: LogName, limits: StreamLimits) -> tuple[int, int]:
    """How much a log keeps: bytes, milliseconds."""
    if log == "bad-rows":
        return limits.log_max_bytes, limits.log_max_age_hours * 3_600_000
    return limits.raw_archive_max_bytes, limits.raw_archive_max_age_hours * 3_600_000
