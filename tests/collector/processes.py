"""The collector as a process of its own, and what can be seen of it from outside."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from shared.payload import CollectorPayload
from shared.payload_reader import decode
from shared.settings import StreamLimits, environment
from shared.stream import embedded_store as store
from shared.stream import open_embedded_subscriber
from shared.stream.contract import Subscriber
from shared.stream.embedded import FILE
from tests.ports import free_port
from tests.vectors import ROOT

#: Seconds for a process to start on a busy machine.
START_S = 30


_COMMAND = (sys.executable, "-m", "collector")


def _variables(variables: Mapping[str, str], port: int, data_dir: Path) -> dict[str, str]:
    return {
        **environment(),
        "EVNT_DATA_DIR": str(data_dir),
        "EVNT_COLLECTOR__PORT": str(port),
        "EVNT_COLLECTOR__ADMIN__PORT": "0",
        **variables,
    }


def fails(variables: Mapping[str, str], *, port: int, data_dir: Path) -> tuple[int, str]:
    """The exit code and the last words of a collector that can't start."""
    given = _variables(variables, port, data_dir)
    done = subprocess.run(_COMMAND, cwd=ROOT, env=given, capture_output=True, text=True, timeout=START_S, check=False)
    return done.returncode, done.stderr


@contextmanager
def process(
    variables: Mapping[str, str] | None = None, *, port: int | None = None, data_dir: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`python -m collector`, ready; killed at the end if it still runs."""
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        given = _variables(variables or {}, port, data_dir or Path(folder))
        running = subprocess.Popen(_COMMAND, cwd=ROOT, env=given, stderr=subprocess.PIPE, text=True)
        try:
            _wait(running, port)
            yield running
        finally:
            running.kill()
            running.wait()
            if running.stderr:
                running.stderr.close()


def _wait(running: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise AssertionError(f"the collector left with {running.returncode}: {running.communicate()[1]}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("the collector did not start")


def track(port: int, mark: str) -> int | None:
    """Post one event; the status, or None when nobody answered."""
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/com.acme/v1?{mark}", data=b"{}"), timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except (URLError, OSError):
        return None


def get(port: int, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


async def marks(subscriber: Subscriber, quiet_s: float = 0.2) -> list[str]:
    """What is in the queue, each payload by its query string."""
    found = []
    while deliveries := await subscriber.receive(500, quiet_s):
        for delivery in deliveries:
            payloads = [one for one in decode(delivery.message.body) if isinstance(one, CollectorPayload)]
            found += [payload.querystring or "" for payload in payloads]
        await subscriber.ack(deliveries)
    return found


async def embedded_marks(folder: Path) -> list[str]:
    async with open_embedded_subscriber(folder, StreamLimits(), "raw", 10_000) as subscriber:
        return await marks(subscriber)


def spooled(folder: Path) -> int:
    """Messages in the spool, those that are on their way to the stream too."""
    with closing(store.connect(folder / "spool" / FILE, "NORMAL")) as connection:
        return store.amount(connection, "raw")[0]


def until(condition: Callable[[], object], patience_s: float = 30) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
