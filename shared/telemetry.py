"""Log entries: one event name and fields each, to standard error. Nothing else configures or imports logging.

Normal operation is silent above start and stop lines. Libraries are heard from `warning` upwards.
"""

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor

from shared.settings import LoggingSettings

#: Parent of all our loggers, so that the level of an operator applies to evnt and not to its libraries.
ROOT = "evnt"

_ENTRY: tuple[Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


Logger = BoundLogger


def logger(name: str) -> Logger:
    """A logger of events: `logger("loader").warning("insert.retried", rows=500)`. Silent until `configure`."""
    processors = [structlog.stdlib.filter_by_level, *_ENTRY, ProcessorFormatter.wrap_for_formatter]
    wrapped: Logger = structlog.wrap_logger(logging.getLogger(f"{ROOT}.{name}"), processors, wrapper_class=BoundLogger)
    return wrapped


def configure(settings: LoggingSettings, process: str, libraries: Literal["warning", "critical"] = "warning") -> None:
    """Once, in a composition root: write entries of this process as text, or as one JSON object a line.

    libraries: least severe entry of theirs that is written; a command that tells its errors itself wants `critical`.
    """

    def named(_logger: Any, _method: str, entry: EventDict) -> EventDict:
        return {"process": process, **entry}

    render = structlog.processors.JSONRenderer() if settings.json_format else _text()
    steps = [ProcessorFormatter.remove_processors_meta, named, render]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ProcessorFormatter(processors=steps, foreign_pre_chain=_ENTRY))
    logging.basicConfig(handlers=[handler], level=libraries.upper(), force=True)
    logging.getLogger(ROOT).setLevel(settings.level.upper())
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # shared.stream reports lost connections, once
    logging.captureWarnings(True)


def _text() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
