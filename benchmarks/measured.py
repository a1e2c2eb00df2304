"""What is measured on one core and everything else on another: cores, a broker, and what a process has used."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.broker import VHOSTS, private_node

#: Cores of what is measured and of everything else.
MEASURED, REST = 0, 1

#: Units in a second of the CPU times in /proc.
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, user and system, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kb(pid: int) -> int:
    """Kilobytes of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def broker() -> Iterator[Mapping[str, str]]:
    """A private RabbitMQ on the core of everything else; the variables that lead a process to it."""
    with tempfile.TemporaryDirectory() as folder:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {REST})  # inherited by the node
        try:
            with private_node(Path(folder) / "node") as node:
                yield {
                    "EVNT_DATA_DIR": folder,
                    "EVNT_INGEST__MODE": "rabbitmq",
                    "EVNT_INGEST__RABBITMQ__HOST": node.address.host,
                    "EVNT_INGEST__RABBITMQ__PORT": str(node.address.port),
                    "EVNT_INGEST__RABBITMQ__VIRTUALHOST": VHOSTS[0],
                }
        finally:
            os.sched_setaffinity(0, cores)
