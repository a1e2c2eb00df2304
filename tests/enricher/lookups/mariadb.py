"""A MariaDB server of the test's own: Debian's binaries, a folder that goes away, a free port."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enricher.enrichments.parts.questions import SqlDatabase
from shared.settings import environment
from tests.ports import free_port

_SEARCH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def binaries() -> tuple[str, str] | None:
    """The installer of a data folder and the server, None where there is none."""
    install, server = (shutil.which(name, path=_SEARCH) for name in ("mariadb-install-db", "mariadbd"))
    return (install, server) if install and server else None


@contextmanager
def server(programs: tuple[str, str], folder: Path) -> Iterator[SqlDatabase]:
    install, program = programs
    data, port = folder / "data", free_port()
    # The server runs as root only when told to; as anybody else it must not be told.
    options = ["--no-defaults", f"--datadir={data}", *(["--user=root"] if os.geteuid() == 0 else [])]
    setup = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    # Two that are set up at a time take each other's temporary tables in a folder that both use.
    environ = {**environment(), "TMPDIR": str(folder)}
    subprocess.run([install, *options, *setup], check=True, capture_output=True, env=environ)
    listening = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/s", f"--pid-file={folder}/pid"]
    process = subprocess.Popen(
        [program, *options, *listening], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    )
    try:
        _wait(folder / "pid", process)
        yield SqlDatabase("mysql", "127.0.0.1", port, False, "root", "", "mysql")
    finally:
        process.terminate()
        process.wait(20)


def _wait(ready: Path, process: subprocess.Popen[bytes]) -> None:
    """The server writes its process id when it takes connections."""
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        if ready.exists() and ready.read_text().strip():
            return
        time.sleep(0.05)
    raise RuntimeError("the MariaDB server did not start")
