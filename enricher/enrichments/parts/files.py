"""Where the data files of enrichments lie."""

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import field_validator, model_validator

from enricher.enrichments.contract import Asset, EnrichmentRefused, Resources
from enricher.enrichments.parts.parameters import Parameters

#: Folder below the data folder that `evnt enrichments fetch` writes to.
DOWNLOADS = "enrichments"

#: Size and time of last change; None where there is no such file.
Stamp = tuple[int, int] | None

_SCHEMES = ("http", "https", "s3", "gs")
_LOGIN = re.compile(r"//[^/]*@")
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-_:\[\]@]*")


class Located(Parameters):
    """Options of what has a data file."""

    uri: str = ""
    """Where the file lies: a folder, relative to the configuration's, or a web address for `fetch`."""
    database: str | None = None
    """Name of the file."""

    @field_validator("uri")
    @classmethod
    def _uri(cls, uri: str) -> str:
        return checked_uri(uri)

    @model_validator(mode="after")
    def _named(self) -> "Located":
        if self.uri and not self.database:
            raise ValueError("expected database beside uri: the name of the file")
        return self


class DataFile(Located):
    database: str
    """Name of the file."""

    def asset(self, name: str) -> Asset:
        """The file, kept as `name` once it was fetched."""
        return asset(self.uri, self.database, name)


def asset(uri: str, database: str, name: str) -> Asset:
    """The file `database` below `uri`, kept as `name` once it was fetched."""
    return Asset(f"{uri.rstrip('/')}/{database}" if uri else database, name)


def is_remote(uri: str) -> bool:
    return urlsplit(uri).scheme in _SCHEMES


def checked_uri(uri: str) -> str:
    """Raises ValueError for what is neither a path nor a URI."""
    parts = urlsplit(uri)
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise ValueError(f"not a valid URI: {shown(uri)}")
    return uri


def shown(uri: str) -> str:
    """Without user and password, which are nothing for a log."""
    return _LOGIN.sub("//", uri, 1)


def path_of(wanted: Asset, resources: Resources) -> Path:
    """Where the file is or should be: downloads for a remote one, else relative to the configuration's folder."""
    if is_remote(wanted.uri):
        return resources.data_dir / DOWNLOADS / wanted.name
    local = unquote(urlsplit(wanted.uri).path) if wanted.uri.startswith("file:") else wanted.uri
    return resources.folder / local


def present(wanted: Asset, resources: Resources) -> Path:
    """The file's path. Raises EnrichmentRefused that says how to get it."""
    path = path_of(wanted, resources)
    if path.is_file():
        return path
    how = (
        f"run `evnt enrichments fetch` to get it from {shown(wanted.uri)}" if is_remote(wanted.uri) else "put it there"
    )
    raise EnrichmentRefused(f"data file {path} is missing: {how}")


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    return {path: stamp(path) for path in paths}


def stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except (OSError, ValueError):  # no path may hold a zero byte
        return None
    return status.st_size, status.st_mtime_ns
