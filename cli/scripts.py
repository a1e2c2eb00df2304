"""`evnt scripts`: the JavaScript tracker, served by the collector itself below `/static/`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import script_packages
from cli.script_packages import TRACKER, NotToBeHad, Package, from_address, versions_in, with_loader, write
from collector.settings import Settings
from shared.settings import load

app = typer.Typer(no_args_is_help=True, help="Get the scripts of the JavaScript tracker for the collector to serve.")


@app.callback()
def scripts() -> None:
    """Get the scripts of the JavaScript tracker for the collector to serve."""


@app.command()
def download(
    version: Annotated[str, typer.Option("--version", help="Version of the tracker.")] = "latest",
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A plugin too, `form-tracking` or `form-tracking@4.6.8`; repeatable."),
    ] = None,
    package: Annotated[
        str, typer.Option("--package", help="Of npm; `@snowplow/browser-tracker` is functions to call, without sp.js.")
    ] = TRACKER,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help="Folder; without it, the one that the collector serves.")
    ] = None,
    cdn: Annotated[
        str | None, typer.Option("--cdn", help="Address below which sp.js lies, `{version}` filled in; instead of npm.")
    ] = None,
    npm: Annotated[str, typer.Option("--npm", help="The npm to ask.")] = "npm",
    create_loader_copy: Annotated[
        bool, typer.Option("--create-loader-copy", help="Also write sp.js as loader.js.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch even if a version is there.")] = False,
) -> None:
    """Fetch sp.js and plugins, through npm or from an address, and mark the version."""
    folder = output_dir or _served()
    there = versions_in(folder)
    if there and not force and version in (*there, "latest"):
        typer.echo(f"{folder} has version {', '.join(there)} already; --force fetches again")
        return
    try:
        tracker = from_address(cdn, version) if cdn else script_packages.tracker(npm, package, version)
        files = with_loader(tracker.files) if create_loader_copy else tracker.files
        plugins = {name: script_packages.plugin(npm, name, tracker.version) for name in plugin or ()}
    except NotToBeHad as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    _put(folder, Package(tracker.version, files))
    for name, found in plugins.items():
        _put(folder / "plugins" / name.partition("@")[0], found)


def _put(folder: Path, package: Package) -> None:
    count = len(write(folder, package.files, package.version))
    typer.echo(f"{folder}: version {package.version}, {count} files")


def _served() -> Path:
    settings = load(Settings)
    return settings.collector.static_dir or settings.data_dir / "static"
