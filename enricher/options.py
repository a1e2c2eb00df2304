"""What an operator decides about the pipeline."""

from dataclasses import dataclass

from enricher.limits import AtomicLimits
from enricher.mending import Mend, untouched
from shared.badrow import Processor


@dataclass(slots=True, init=False)
class Options:
    """max_bytes: of an event's line and of a bad row. accept_long: over-long columns are no failure.

    mend: of JSON texts before they are read. longest_payload: bytes of one record in a compressed raw message.
    """

    processor: Processor
    max_bytes: int
    json_depth: int
    lengths: AtomicLimits
    accept_long: bool
    emit_failed: bool
    mend: Mend
    longest_payload: int

    def __init__(
        self,
        processor: Processor,
        max_bytes: int = 6_900_000,
        json_depth: int = 50,
        lengths: AtomicLimits | None = None,
        accept_long: bool = False,
        emit_failed: bool = True,
        mend: Mend = untouched,
        longest_payload: int = 10_000_000,
    ) -> None:
        self.processor = processor
        self.max_bytes = max_bytes
        self.json_depth = json_depth
        self.lengths = lengths or AtomicLimits()
        self.accept_long = accept_long
        self.emit_failed = emit_failed
        self.mend = mend
        self.longest_payload = longest_payload
