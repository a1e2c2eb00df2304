"""The repository as data: its files, and what each module imports."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

#: What is installed and runs at a user's, in the order of the data flow.
PRODUCT = ("collector", "enricher", "loader", "shared", "cli")


@dataclass(frozen=True)
class Import:
    """One name that a module imports; `where` is None at module level, else the function that does it."""

    name: str
    where: str | None
    typing_only: bool


@dataclass(frozen=True)
class Module:
    name: str
    file: Path
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    def names(self) -> set[str]:
        return {found.name for found in self.imports}


@cache
def modules(packages: tuple[str, ...] = PRODUCT) -> tuple[Module, ...]:
    """Every module of these packages."""
    files = [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]
    return tuple(_module(file) for file in files if "node_modules" not in file.parts)


def tracked() -> tuple[Path, ...]:
    """Every file that git knows or would add; of an unpacked archive, every file that is not hidden."""
    return tuple(file for file in _listed() if file.is_file())


def links() -> tuple[Path, ...]:
    """Every symbolic link among them, wherever it leads."""
    return tuple(file for file in _listed() if file.is_symlink())


@cache
def _listed() -> tuple[Path, ...]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return tuple(file for file in sorted(ROOT.rglob("*")) if not _hidden(file))
    return tuple(ROOT / name for name in listed.stdout.splitlines())


def within(name: str, prefixes: tuple[str, ...] | set[str]) -> bool:
    """Whether a dotted name is one of these or lies below one of them."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def _hidden(file: Path) -> bool:
    return any(part.startswith(".") or part in ("var", "node_modules") for part in file.relative_to(ROOT).parts)


def _module(file: Path) -> Module:
    parts = file.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    tree = ast.parse(file.read_text("utf-8"), str(file))
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    return Module(name, file.relative_to(ROOT), tuple(_imports(tree, package, None, typing_only=False)))


def _imports(node: ast.AST, package: str, where: str | None, *, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else where
        typing_here = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
        for name in _names(child, package):
            yield Import(name, inside, typing_here)
        yield from _imports(child, package, inside, typing_only=typing_here)


def _names(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    return []
