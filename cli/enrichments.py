"""`evnt enrichments`: what is on, what is missing, and what a function would do."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import BaseModel
from rich.table import Table

from cli.enrichment_download import Refused, download
from cli.enrichment_trial import Report, Trial, events, scripts_of, single_script
from cli.screen import screen
from enricher.enrichments import ORDER, Step
from enricher.enrichments.contract import Asset, EnrichmentRefused, Resources
from enricher.enrichments.loading import Chosen, Configuration, choose, configurations, prepared
from enricher.enrichments.parts.files import DOWNLOADS, is_remote, path_of, shown
from enricher.settings import EnricherSettings
from shared.process import Misconfigured
from shared.settings import load

app = typer.Typer(no_args_is_help=True, help="Look at the enrichments, fetch their data files, try functions.")

FolderOption = Annotated[
    Path | None, typer.Option("--folder", "-f", help="Folder of configurations; without it, the enricher's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]

#: What people call a file → the enrichment that reads it.
_ALSO_CALLED = {"referers": "referer_parser", "referrers": "referer_parser", "maxmind": "ip_lookups"}


@app.command("list")
def list_enrichments(
    folder: FolderOption = None,
    options: Annotated[bool, typer.Option("--options", help="Every option, its default and its meaning.")] = False,
    as_json: AsJson = False,
) -> None:
    """All enrichments in the order in which they run, and whether they are on."""
    found, _ = configurations(_resources(folder).folder)
    chosen, _ = choose(found)
    rows = [_row(step, found, chosen) for step in ORDER]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    elif options:
        for step in ORDER:
            _print_options(step)
    else:
        table = Table("enrichment", "on", "why here", box=None, pad_edge=False)
        for row in rows:
            table.add_row(row["name"], "on" if row["on"] else "-", row["reason"])
        screen().print(table)


def _row(step: Step, found: list[Configuration], chosen: list[Chosen]) -> dict[str, Any]:
    names = {criterion.name for criterion in step.criteria}
    return {
        "name": step.name,
        "on": any(one.step is step for one in chosen),
        "files": [Path(one.file).name for one in found if one.key.name in names],
        "schema": step.module.SCHEMA.text,
        "reason": step.reason,
    }


def _print_options(step: Step) -> None:
    doc = (step.module.__doc__ or "").partition("\n")[0]
    sys.stdout.write(f"{step.name}: {doc}\n")
    sys.stdout.writelines(_options(step.module.Config, ""))


def _options(model: type[BaseModel], above: str) -> Iterator[str]:
    """Options of options too, by the path that a configuration file has them at."""
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        default = "required" if field.is_required() else json.dumps(field.get_default(), default=str)
        inside = _inside(field.annotation)
        meaning = " ".join((field.description or "").split())
        yield f"  {path} ({'options' if inside and not field.is_required() else default})\n      {meaning}\n"
        if inside:
            yield from _options(inside, f"{path}.")


def _inside(annotation: Any) -> type[BaseModel] | None:
    """The model that an option is, or that it is a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_inside, get_args(annotation))), None)


@app.command()
def check(folder: FolderOption = None) -> None:
    """Say what is wrong with the configurations and which data files are missing. Exits 1 where something is."""
    resources = _resources(folder)
    chosen, problems = _chosen(resources)
    missing = [(one, asset) for one in chosen for asset in one.assets if not path_of(asset, resources).is_file()]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    for one, asset in missing:
        sys.stdout.write(f"{one.step.name}: {path_of(asset, resources)} is missing: {_remedy(asset)}\n")
    if not problems and not missing:
        problems = _unprepared(chosen, resources)
        sys.stdout.writelines(f"{problem}\n" for problem in problems)
    if problems or missing:
        raise typer.Exit(1)
    sys.stdout.write(f"on and complete: {', '.join(one.step.name for one in chosen)}\n")


def _unprepared(chosen: list[Chosen], resources: Resources) -> list[str]:
    """What only shows when the enrichment is made ready: broken files, scripts that do not compile."""
    problems: list[str] = []
    for one in chosen:
        try:
            prepared(one, resources)
        except EnrichmentRefused as refused:
            problems.append(str(refused))
    return problems


def _remedy(asset: Asset) -> str:
    return f"`evnt enrichments fetch` gets it from {shown(asset.uri)}" if is_remote(asset.uri) else "put it there"


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Enrichments whose files to get, or `referers`; without any, all.")
    ] = None,
    url: Annotated[str, typer.Option("--url", help="Address of the file, in place of the configured one.")] = "",
    folder: FolderOption = None,
) -> None:
    """Download the data files that configurations name by a web address. A running enricher takes them up by itself."""
    resources = _resources(folder)
    wanted = list(_wanted([_ALSO_CALLED.get(name, name) for name in names or []], url, resources))
    if not wanted:
        raise Misconfigured("no enrichment that is on names a file by a web address; see --url")
    for asset in wanted:
        path = resources.data_dir / DOWNLOADS / asset.name
        try:
            size = asyncio.run(download(asset.uri, path))
        except Refused as refused:
            raise Misconfigured(f"{shown(asset.uri)}: {refused}") from refused
        sys.stdout.write(f"{path}: {size} bytes from {shown(asset.uri)}\n")


def _wanted(names: list[str], url: str, resources: Resources) -> Iterator[Asset]:
    unknown = [name for name in names if name not in {step.name for step in ORDER}]
    if unknown:
        raise Misconfigured(f"there is no enrichment {', '.join(unknown)}")
    if url:
        if len(names) != 1:
            raise Misconfigured("--url needs exactly one name")
        yield Asset(url, _file_of(names[0], resources))
        return
    for one in _sound(resources):
        if not names or one.step.name in names:
            yield from (asset for asset in one.assets if is_remote(asset.uri))


def _file_of(name: str, resources: Resources) -> str:
    """What the enrichment calls its file; one that has several needs its configuration."""
    if name == "referer_parser":
        return "referer-parser.json"
    files = {asset.name for one in _chosen(resources)[0] if one.step.name == name for asset in one.assets}
    if len(files) != 1:
        raise Misconfigured(f"{name} does not have exactly one file: set `uri` in its configuration")
    return files.pop()


@app.command("test")
def try_functions(
    recorded: Annotated[
        list[Path], typer.Argument(help="Enriched events as TSV, .gz too, or - for standard input.", allow_dash=True)
    ],
    script: Annotated[
        Path | None, typer.Option("--script", "-s", help="A Python file with `enrich(event)`; without it, what is on.")
    ] = None,
    shadow: Annotated[Path | None, typer.Option("--shadow", help="A second file to compare with --script.")] = None,
    budget_ms: Annotated[int, typer.Option("--budget-ms", min=1, help="Time that one event may take.")] = 50,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Run functions on recorded events and show what they would change. Nothing is published. Exits 1 on a failure."""
    resources = _resources(folder)
    try:
        chosen = single_script(script, shadow, budget_ms) if script else scripts_of(_sound(resources), resources)
    except EnrichmentRefused as refused:
        raise Misconfigured(str(refused)) from refused
    if not chosen:
        raise Misconfigured("no python_script or javascript_script is on; see --script")
    trial = Trial(chosen)
    for place, draft in events(recorded):
        effect = trial.run(place, draft)
        if as_json:
            sys.stdout.write(json.dumps(effect, ensure_ascii=False) + "\n")
    report = trial.report()
    if not as_json:
        _print_report(report)
    if report.failures:
        raise typer.Exit(1)


def _print_report(report: Report) -> None:
    sys.stdout.write(f"{report.events} events, {report.dropped} dropped, {report.failures} failed\n")
    for title, counts in (("columns", report.columns), ("entities", report.entities), ("failures", report.messages)):
        for name, count in counts.most_common():
            sys.stdout.write(f"  {title}: {name} ({count})\n")
    for name, tally in report.tallies:
        mean_us = tally.seconds / max(1, tally.calls) * 1e6
        line = f"  {name}: {mean_us:.1f} µs a call, {tally.over_budget} over budget"
        compared = f", {tally.agreed} agreed, {tally.differed} differed" if tally.agreed or tally.differed else ""
        sys.stdout.write(line + compared + "\n")


def _resources(folder: Path | None) -> Resources:
    if folder is not None and not folder.is_dir():
        raise Misconfigured(f"there is no folder {folder}")
    settings = load(EnricherSettings)
    return Resources(folder or settings.enricher.enrichments_folder(), settings.data_dir)


def _chosen(resources: Resources) -> tuple[list[Chosen], list[str]]:
    found, unreadable = configurations(resources.folder)
    chosen, wrong = choose(found)
    return chosen, unreadable + wrong


def _sound(resources: Resources) -> list[Chosen]:
    """What is on, where nothing is wrong with any configuration."""
    chosen, problems = _chosen(resources)
    if problems:
        raise Misconfigured("\n".join(problems))
    return chosen
