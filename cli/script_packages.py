"""Scripts of the JavaScript tracker: out of npm packages, or from an address of the user's."""

import gzip
import importlib
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

TRACKER = "@snowplow/javascript-tracker"
PLUGIN = "@snowplow/browser-plugin-"

#: What a page loads of a tracker's package: the script that takes calls from a queue, or the bundle of functions.
_ENTRIES = ("sp.js", "index.umd.min.js")

_TIMEOUT_S = 300

#: Name of the marker file that says which version lies in a folder.
_MARKER = "VERSION_"

#: What the collector takes for a compressed twin of a file.
_TWINS = {".gz", ".br"}

#: File name → contents.
Files = Mapping[str, bytes]


class NotToBeHad(Exception):
    """The scripts can't be had this way; the message says why."""


@dataclass(frozen=True)
class Package:
    """A package as npm delivered it: the scripts of its `dist` folder."""

    version: str
    files: Files


def tracker(npm: str, name: str, version: str) -> Package:
    """A tracker's package. Raises NotToBeHad, also when it holds nothing that a page could load."""
    package = from_npm(npm, name, version)
    if not any(entry in package.files for entry in _ENTRIES):
        raise NotToBeHad(f"{name}@{package.version} holds neither of {', '.join(_ENTRIES)}")
    return package


def plugin(npm: str, name: str, version: str) -> Package:
    """A plugin by its short name, of the tracker's version unless it names one: `form-tracking@4.6.8`."""
    short, _, own = name.partition("@")
    return from_npm(npm, PLUGIN + short, own or version)


def from_npm(npm: str, name: str, version: str) -> Package:
    """Through the user's own npm, with its registry and its settings. Raises NotToBeHad."""
    with TemporaryDirectory() as folder:
        command = [npm, "pack", f"{name}@{version}", "--json", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotToBeHad(f"{npm} can't be run: {error}") from error
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise NotToBeHad(f"npm has no {name}@{version}: {_complaint(done)}")
        return _unpacked(archives[0])


def _complaint(done: "subprocess.CompletedProcess[str]") -> str:
    try:
        return str(json.loads(done.stdout)["error"]["summary"])
    except (ValueError, KeyError, TypeError):
        return (done.stderr or done.stdout).strip()[-300:] or f"it left with {done.returncode}"


def _unpacked(archive: Path) -> Package:
    files = {}
    version = "unknown"
    with tarfile.open(archive) as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isfile() else None
            if source is None:
                continue
            folder, _, name = member.name.rpartition("/")
            if folder == "package/dist" and name.endswith((".js", ".js.map")):
                files[name] = source.read()
            elif member.name == "package/package.json":
                version = str(json.loads(source.read()).get("version", version))
    return Package(version, files)


def from_address(base: str, version: str) -> Package:
    """From below an address, in which `{version}` is filled in. Raises NotToBeHad."""
    address = base.replace("{version}", version).rstrip("/")
    if not _of_the_web(address):
        raise NotToBeHad(f"{address} is no address of the web")
    return Package(version, {name: _fetched(f"{address}/{name}") for name in ("sp.js", "sp.js.map")})


def _of_the_web(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:  # such as a bracket that is not closed
        return False


def _fetched(url: str) -> bytes:
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 # the scheme was looked at
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            raise NotToBeHad(f"{url}: answered with status {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotToBeHad(f"{url}: {error}") from error


def versions_in(folder: Path) -> list[str]:
    """The versions that markers in a folder tell of."""
    return sorted(file.name.removeprefix(_MARKER) for file in folder.glob(f"{_MARKER}*"))


def with_loader(files: Files) -> Files:
    """The scripts, and `sp.js` once more as `loader.js`, a name that fewer blockers know, with its own source map.

    Raises NotToBeHad.
    """
    if "sp.js" not in files:
        raise NotToBeHad("there is no sp.js to copy as loader.js")
    copy = files["sp.js"].replace(b"sourceMappingURL=sp.js.map", b"sourceMappingURL=loader.js.map")
    maps = {"loader.js.map": files["sp.js.map"]} if "sp.js.map" in files else {}
    return {**files, "loader.js": copy, **maps}


def write(folder: Path, files: Files, version: str) -> list[Path]:
    """Put scripts into a folder, each with its compressed twins, and mark the version; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [path for name, data in files.items() for path in _write(folder / name, data)]
    for old in versions_in(folder):
        (folder / f"{_MARKER}{old}").unlink()
    (folder / f"{_MARKER}{version}").touch()
    return written


def _write(path: Path, data: bytes) -> Iterator[Path]:
    twins = _twins(data)
    for suffix in _TWINS - twins.keys():  # the collector would go on sending what an earlier download left
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for suffix, contents in {"": data, **twins}.items():
        file = path.with_name(path.name + suffix)
        fresh = file.with_name(f".{file.name}.part")
        fresh.write_bytes(contents)
        fresh.replace(file)
        yield file


def _twins(data: bytes) -> dict[str, bytes]:
    """What the collector sends to browsers that take it: gzip always, Brotli where it is installed."""
    twins = {".gz": gzip.compress(data, mtime=0)}
    if find_spec("brotli"):
        twins[".br"] = importlib.import_module("brotli").compress(data)
    return twins
