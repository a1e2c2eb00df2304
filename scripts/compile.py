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

from shared.compiled import MODULES, ROOT, STAMP, compiled, digest, known, outdated

#: The smallest module that needs a compiler and the headers: mypyc works for a minute before it asks for them.
_PROBE = """
from pathlib import Path
from setuptools import Extension, setup
Path("probe.c").write_text("#include <Python.h>\\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\\n")
setup(name="probe", ext_modules=[Extension("probe", ["probe.c"])])
"""

#: Without information for debuggers, a third of the compiler's time; a warning of some compiler is no reason to fail.
_BUILD = """
import json, sys
from mypyc.build import mypycify
from setuptools import setup
options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
modules = mypycify([*options, *json.loads(sys.argv.pop())], opt_level="3", debug_level="0", group_name="evnt")
for module in modules:
    module.extra_compile_args.append("-Wno-error")
setup(name="evnt-compiled", ext_modules=modules)
"""

NO_COMPILER = (
    "evnt: not compiled: no C compiler that finds Python's headers, see above (Debian and Ubuntu: apt install gcc "
    "python3-dev). The modules stay interpreted: everything works, slower"
)
BROKEN = "evnt: not compiled, see above. The modules stay interpreted"

#: Lines of a failed build that are shown: compilers say at the end what was wrong.
_SHOWN = 30


def main(arguments: Sequence[str]) -> int:
    """Exit 1 when it can't be done; then nothing compiled is left that Python could take."""
    if arguments == ["--undo"]:
        forget(ROOT)
        return 0
    if set(compiled()) == set(MODULES) and not outdated():
        return 0
    forget(ROOT)
    problem = build(ROOT)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


def forget(root: Path) -> None:
    """Remove what was compiled, for whichever Python: the interpreter takes the sources again."""
    for file in [*(file for module in known(root) for file in _built(root / module)), *root.glob("*__mypyc*.so")]:
        file.unlink()
    (root / STAMP).unlink(missing_ok=True)


def _built(source: Path) -> Iterator[Path]:
    return source.parent.glob(f"{source.stem}.*.so")


def build(root: Path) -> str | None:
    """Compile the sources as they are now; what went wrong, in words, with nothing installed."""
    digests = {module: digest(root / module) for module in MODULES}
    with TemporaryDirectory() as name:
        folder = Path(name)
        if said := _run(folder, _PROBE, "probe"):
            return f"{said}\n{NO_COMPILER}"
        sys.stderr.write(f"evnt: compiling {len(MODULES)} modules (two or three minutes)\n")
        if said := _run(folder, _BUILD, "built", json.dumps([str(root / module) for module in MODULES])):
            return f"{said}\n{BROKEN}"
        _install(folder / "built", root, digests)
    return None


def _run(folder: Path, script: str, built: str, *arguments: str) -> str:
    """In a Python of its own and an empty folder: setuptools would read our pyproject.toml. What failed, or nothing."""
    command = [sys.executable, "-c", script, "build_ext", "--build-lib", built, "--build-temp", "temp", *arguments]
    environ = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return "\n".join(done.stdout.splitlines()[-_SHOWN:]) if done.returncode else ""


def _install(built: Path, root: Path, digests: dict[str, str]) -> None:
    """The library of all of them first, then each module, the stamp last: what is half there counts as outdated."""
    for file in sorted(built.rglob("*.so"), key=lambda file: len(file.parts)):
        shutil.copy2(file, root / file.relative_to(built))
    (root / STAMP).write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
