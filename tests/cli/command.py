"""The command `evnt`, run as an operator runs it, with nothing of the developer's environment."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def environment(**variables: str) -> dict[str, str]:
    """What a bare shell has, and these settings."""
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}


def evnt(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run it in a folder and wait for its end."""
    line = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(
        line, env=environment(**variables), cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
