"""A PostgreSQL server of the test's own: Debian's binaries, a folder that goes away, a free port."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enricher.enrichments.parts.questions import SqlDatabase
from tests.ports import free_port

USER = "evnt"
PASSWORD = "secret"


def binaries() -> Path | None:
    """The newest installed server, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def server(place: Path) -> Iterator[SqlDatabase]:
    """Runs as the user `postgres` where the test is root, since the server refuses to be root."""
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="evnt-postgres-"))
    if user:
        shutil.chown(folder, user)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    data, port = folder / "data", free_port()
    init = ["-D", str(data), "-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync"]
    subprocess.run([place / "initdb", *init], check=True, capture_output=True, user=user, cwd=folder)
    options = ["-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-F"]
    process = subprocess.Popen(
        [place / "postgres", *options],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(place, port, process)
        yield SqlDatabase("postgresql", "127.0.0.1", port, False, USER, PASSWORD, "postgres")
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(place: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        if (
            subprocess.run([place / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode
            == 0
        ):
            return
        time.sleep(0.05)
    raise RuntimeError("the PostgreSQL server did not start")
