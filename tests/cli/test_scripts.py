"""`evnt scripts download`, through an npm that a test wrote and from an address that it serves."""

import gzip
import io
import json
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.scripts import app

SP = b"(function(){})();\n//# sourceMappingURL=sp.js.map\n"

#: Does what `npm pack` does, for two packages.
NPM = """#!{python}
import json, shutil, sys
name = sys.argv[2].rpartition("@")[0].replace("@snowplow/", "")
folder = sys.argv[sys.argv.index("--pack-destination") + 1]
try:
    shutil.copy("{folder}/" + name + ".tgz", folder)
except FileNotFoundError:
    print(json.dumps({{"error": {{"code": "E404", "summary": "Not Found"}}}}))
    sys.exit(1)
"""


def archive(path: Path, version: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"package.json": json.dumps({"version": version}).encode(), **files}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    folder = tmp_path / "npm"
    folder.mkdir()
    files = {"dist/sp.js": SP, "dist/sp.js.map": b"{}", "dist/sp.d.ts": b"", "src/x.js": b"", "dist/../evil.js": b""}
    archive(folder / "javascript-tracker.tgz", "4.6.8", files)
    archive(folder / "browser-plugin-form-tracking.tgz", "4.6.8", {"dist/index.umd.min.js": b"plugin"})
    archive(folder / "browser-tracker.tgz", "4.10.1", {"dist/index.umd.min.js": b"functions"})
    archive(folder / "tracker-core.tgz", "4.10.1", {"dist/core.js": b"no bundle"})
    script = folder / "npm"
    script.write_text(NPM.format(python=sys.executable, folder=folder))
    script.chmod(0o755)
    return script


def run(folder: Path, npm: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["download", "--output-dir", str(folder), "--npm", str(npm), *options])


def test_fetches_the_tracker_and_plugins_and_marks_the_version(tmp_path: Path, npm: Path) -> None:
    folder = tmp_path / "static"
    result = run(folder, npm, "--plugin", "form-tracking", "--create-loader-copy")
    assert result.exit_code == 0, result.output
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {"sp.js", "sp.js.gz", "sp.js.map", "loader.js", "loader.js.map", "VERSION_4.6.8"} <= names
    assert {"plugins/form-tracking/index.umd.min.js", "plugins/form-tracking/VERSION_4.6.8"} <= names
    assert not any("evil" in name or name.endswith(("x.js", ".d.ts", ".part")) for name in names)
    assert gzip.decompress((folder / "sp.js.gz").read_bytes()) == (folder / "sp.js").read_bytes() == SP
    assert b"sourceMappingURL=loader.js.map" in (folder / "loader.js").read_bytes()


def test_fetches_the_bundle_of_functions_and_a_plugin_of_another_version(tmp_path: Path, npm: Path) -> None:
    folder = tmp_path / "static"
    result = run(folder, npm, "--package", "@snowplow/browser-tracker", "--plugin", "form-tracking@4.6.8")
    assert result.exit_code == 0, result.output
    assert (folder / "index.umd.min.js").read_bytes() == b"functions"
    assert (folder / "VERSION_4.10.1").exists()
    assert (folder / "plugins" / "form-tracking" / "VERSION_4.6.8").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--package", "@snowplow/tracker-core"), "holds neither of sp.js, index.umd.min.js"),
        (("--package", "@snowplow/browser-tracker", "--create-loader-copy"), "no sp.js to copy"),
    ],
)
def test_a_package_without_what_is_asked_for_is_refused(
    tmp_path: Path, npm: Path, options: tuple[str, ...], said: str
) -> None:
    result = run(tmp_path / "static", npm, *options)
    assert result.exit_code == 1
    assert said in result.output
    assert not (tmp_path / "static").exists()


def test_leaves_a_version_that_is_there_unless_forced(tmp_path: Path, npm: Path) -> None:
    run(tmp_path / "static", npm)
    (tmp_path / "static" / "sp.js").write_bytes(b"changed")
    assert "already" in run(tmp_path / "static", npm).output
    assert (tmp_path / "static" / "sp.js").read_bytes() == b"changed"
    assert run(tmp_path / "static", npm, "--force").exit_code == 0
    assert (tmp_path / "static" / "sp.js").read_bytes() == SP


def test_no_twin_of_an_earlier_version_stays_beside_a_new_one(tmp_path: Path, npm: Path) -> None:
    folder = tmp_path / "static"
    run(folder, npm)
    (folder / "sp.js.br").write_bytes(b"of a time when Brotli was installed")
    assert run(folder, npm, "--force").exit_code == 0
    assert (folder / "sp.js.br").exists() == bool(find_spec("brotli"))


@pytest.mark.parametrize(
    "options", [("--plugin", "no-such"), ("--npm", "/no/such/npm"), ("--cdn", "file:///etc"), ("--cdn", "http://[::1")]
)
def test_what_is_not_to_be_had_is_said_and_nothing_written(tmp_path: Path, npm: Path, options: tuple[str, str]) -> None:
    result = run(tmp_path / "static", npm, *options)
    assert result.exit_code == 1
    assert options[1].split("/")[-1] in result.output
    assert not (tmp_path / "static").exists()


class _Cdn(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path.startswith("/tracker@4.0.0/sp.js") else 404)
        self.send_header("Content-Length", str(len(SP)))
        self.end_headers()
        self.wfile.write(SP)

    def log_message(self, *_arguments: object) -> None:
        """Silence."""


@pytest.fixture
def cdn() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Cdn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tracker@{{version}}/"
        server.shutdown()
        thread.join()


def test_fetches_from_an_address(tmp_path: Path, npm: Path, cdn: str) -> None:
    assert run(tmp_path / "static", npm, "--cdn", cdn, "--version", "4.0.0").exit_code == 0
    assert (tmp_path / "static" / "sp.js").read_bytes() == SP
    assert (tmp_path / "static" / "VERSION_4.0.0").exists()
    assert run(tmp_path / "other", npm, "--cdn", cdn, "--version", "3.0.0").exit_code == 1
