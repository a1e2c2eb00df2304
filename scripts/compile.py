"""`make compile`: turn the hot modules into C, beside their sources; `make interpret` takes that back.

Needs a C compiler and the headers of Python. Nothing depends on it: without, the same modules are interpreted.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.compiled import MODULES, ROOT, STAMP, compiled, digest, outdated

#: Run by a Python of its own in an empty folder: setuptools would read our pyproject.toml otherwise.
_BUILD = """
import json, sys
from mypyc.build import mypycify
from setuptools import setup
options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
modules = mypycify([*options, *json.loads(sys.argv.pop())], opt_level="3", group_name="evnt")
setup(name="evnt-compiled", ext_modules=modules)
"""

MISSING = (
    "evnt: not compiled, see above. It takes a C compiler and Python's headers (Debian and Ubuntu: apt install gcc "
    "python3-dev). evnt works without, slower"
)


def main(arguments: Sequence[str]) -> int:
    if arguments == ["--undo"]:
        forget(ROOT)
        return 0
    if sorted(compiled()) == sorted(MODULES) and not outdated() and all(map(_is_there, MODULES)):
        return 0
    sys.stderr.write(f"evnt: compiling {len(MODULES)} modules (about a minute)\n")
    forget(ROOT)
    with TemporaryDirectory() as folder:
        found = _build(Path(folder))
        if found:
            sys.stderr.write(f"{found}\n{MISSING}\n")
            return 1
        _install(Path(folder) / "built", ROOT)
    return 0


def forget(root: Path) -> None:
    """Remove what was compiled: the interpreter takes the sources again."""
    for file in [*root.glob("*__mypyc*.so"), *(file for module in MODULES for file in _built(root / module))]:
        file.unlink()
    (root / STAMP).unlink(missing_ok=True)


def _is_there(module: str) -> bool:
    return any(_built(ROOT / module))


def _built(source: Path) -> Iterator[Path]:
    return source.parent.glob(f"{source.stem}.*.so")


def _build(folder: Path) -> str:
    """What went wrong, or nothing."""
    sources = json.dumps([str(ROOT / module) for module in MODULES])
    command = [sys.executable, "-c", _BUILD, "build_ext", "--build-lib", "built", "--build-temp", "temp", sources]
    environ = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout if done.returncode else ""


def _install(built: Path, root: Path) -> None:
    """The library of all of them first, the stamp last: what is half there is compiled again."""
    for file in sorted(built.rglob("*.so"), key=lambda file: len(file.parts)):
        shutil.copy2(file, root / file.relative_to(built))
    stamp = {module: digest(root / module) for module in MODULES}
    (root / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
