"""Imports each named module by itself, in a fork that has loaded libraries and what earlier stages proved.

Reads `{"preload": […], "stages": [[…], …]}` from standard input; writes what failed, module → traceback. Stages are
there for speed: what a stage holds imports alone, and so need not be loaded anew for everything that builds on it.
"""

import importlib
import json
import os
import sys
import tempfile
from contextlib import suppress

sys.path.insert(0, os.getcwd())


def main() -> None:
    job = json.load(sys.stdin)
    for library in job["preload"]:
        with suppress(ImportError):  # an optional extra
            importlib.import_module(library)
    failed: dict[str, str] = {}
    for stage in job["stages"]:
        failed |= {name: said for name in stage if (said := _said(name))}
        for name in set(stage) - set(failed):
            importlib.import_module(name)
    json.dump(failed, sys.stdout)


def _said(name: str) -> str:
    with tempfile.TemporaryFile("w+") as report:
        child = os.fork()
        if not child:
            os.dup2(report.fileno(), sys.stderr.fileno())
            importlib.import_module(name)  # what it raises leaves this process as a traceback, into the report
            os._exit(0)
        os.waitpid(child, 0)
        report.seek(0)
        return report.read()


if __name__ == "__main__":
    main()
