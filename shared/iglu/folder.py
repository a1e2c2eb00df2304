"""A static registry on disk, in Iglu's layout: `schemas/<vendor>/<name>/<format>/<version>`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.iglu.registry import NOT_FOUND, Document, Failure, Rank, version_order
from shared.schema import InvalidIgluUri, SchemaKey


class FolderRegistry:
    """Implements registry.Registry. `root` holds the vendors' folders, or a `schemas` folder that does."""

    rank = Rank.FOLDER

    def __init__(self, name: str, root: Path, priority: int = 0, vendor_prefixes: Sequence[str] = ()) -> None:
        self.name = name
        self.root = schemas_folder(root)
        self.priority = priority
        self.vendor_prefixes = tuple(vendor_prefixes)

    async def fetch(self, key: SchemaKey) -> Document | Failure:
        return read(self.root, key)

    async def versions(self, vendor: str, name: str, model: int) -> list[SchemaKey]:
        if not _is_plain(vendor):
            return []
        folder = self.root / vendor / name / "jsonschema"
        keys = [key for key in _keys(self.root, folder.glob("*")) if key.model == model]
        return sorted(keys, key=version_order)

    async def close(self) -> None:
        pass


def schemas_folder(root: Path) -> Path:
    """Iglu's own tools accept the folder with `schemas` in it as well as that one itself."""
    return root / "schemas" if (root / "schemas").is_dir() else root


def read(root: Path, key: SchemaKey) -> Document | Failure:
    """A schema of a static folder. A vendor of dots only is no vendor: it would lead out of the folder."""
    if not _is_plain(key.vendor):
        return NOT_FOUND
    try:
        document = json.loads((root / key.path).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return NOT_FOUND
    except OSError as error:
        return Failure("RepoFailure", f"{key.path}: {error.strerror}")
    except (ValueError, RecursionError) as error:
        return Failure("ClientFailure", f"Could not decode {key.path}. {error}")
    return document if isinstance(document, dict) else Failure("ClientFailure", f"{key.path} is not a JSON object")


def _is_plain(vendor: str) -> bool:
    return vendor.strip(".") != ""


def schema_keys(root: Path) -> list[SchemaKey]:
    """Every schema below a static folder, in order of name and version."""
    keys = _keys(root, root.glob("*/*/*/*"))
    return sorted(keys, key=lambda key: (*key[:3], version_order(key)))


def _keys(root: Path, files: Iterator[Path]) -> Iterator[SchemaKey]:
    for file in files:
        try:
            yield SchemaKey.parse("iglu:" + file.relative_to(root).as_posix())
        except InvalidIgluUri:
            continue
