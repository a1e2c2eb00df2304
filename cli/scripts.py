"""`evnt scripts`: the JavaScript tracker, served by the collector itself below `/static/`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.script_packages import (
    PLUGIN,
    TRACKER,
    NotToBeHad,
    Package,
    from_address,
    from_npm,
    versions_in,
    with_loader,
    write,
)
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
        list[str] | None, typer.Option("--plugin", help="A plugin too, such as `link-click-tracking`; repeatable.")
    ] = None,
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
        package = from_address(cdn, version) if cdn else from_npm(npm, TRACKER, version)
        if "sp.js" not in package.files:
            raise NotToBeHad(f"{TRACKER}@{version} holds no sp.js")
        plugins = {name: from_npm(npm, PLUGIN + name, package.version) for name in plugin or ()}
    except NotToBeHad as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    files = with_loader(package.files) if create_loader_copy else package.files
    _report(folder, package, len(write(folder, files, package.version)))
    for name, found in plugins.items():
        _report(folder / "plugins" / name, found, len(write(folder / "plugins" / name, found.files, found.version)))


def _report(folder: Path, package: Package, count: int) -> None:
    typer.echo(f"{folder}: version {package.version}, {count} files")


def _served() -> Path:
    settings = load(Settings)
    return settings.collector.static_dir or settings.data_dir / "static"
