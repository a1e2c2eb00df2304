"""Everything that `evnt` can do: look at a pipeline and tend it, from outside."""

import errno
import os
import sys
from io import TextIOWrapper

import typer

from cli import archive, bad_rows, configuration, db, dead, enrichments, queue, schema, scripts
from cli.bad_row_replay import replay
from cli.load import load
from cli.ready import ready
from shared import telemetry
from shared.compiled import refusal
from shared.process import EXIT_MISCONFIGURED, Misconfigured
from shared.settings import LoggingSettings, SettingsError
from shared.stream.contract import StreamUnavailable
from shared.version import VERSION

#: Exit code when a broker or database can't be reached (sysexits EX_UNAVAILABLE).
EXIT_UNAVAILABLE = 69

#: Exit code when the output can't be written (sysexits EX_IOERR).
EXIT_UNWRITTEN = 74

#: What a write meets when nobody reads the output, and when its disk has no room or is broken.
_NO_READER, _NO_ROOM = errno.EPIPE, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="evnt",
    help="Look at an evnt pipeline and tend it. The processes themselves start with `make run`, `honcho start`, "
    "or `python -m collector`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bad_rows.app.command()(replay)
app.add_typer(bad_rows.app, name="bad-rows")
app.add_typer(archive.app, name="archive")
app.add_typer(dead.app, name="dead")
app.add_typer(configuration.app, name="settings")
app.add_typer(schema.app, name="schema")
app.add_typer(queue.app, name="queue")
app.add_typer(db.app, name="db")
app.add_typer(enrichments.app, name="enrichments")
app.add_typer(scripts.app, name="scripts")
app.command()(load)
app.command()(ready)


@app.command()
def version() -> None:
    """Print the version of evnt."""
    sys.stdout.write(VERSION + "\n")


def run() -> None:
    """Exit 0 when done, 1 when the answer is no, 2 on a wrong command line, 69 when a server can't be reached, 74 when
    the output can't be written, 78 on a configuration that can't be used or a source that changed since it was
    compiled."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what trackers send may be half a character
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()  # Python would do it where nothing can be said any more
    except OSError as error:
        if error.errno not in (_NO_READER, *_NO_ROOM) or error.filename:
            raise
        _drop_output()
        if error.errno == _NO_READER:
            raise SystemExit(1) from error
        _leave(f"the output can't be written: {error.strerror}", EXIT_UNWRITTEN)


def _run() -> None:
    if reason := refusal():
        _leave(reason, EXIT_MISCONFIGURED)
    telemetry.configure(LoggingSettings(level="warning"), "evnt", libraries="critical")
    try:
        app()
    except SettingsError as error:
        _leave("\n".join(f"configuration: {problem}" for problem in error.problems), EXIT_MISCONFIGURED)
    except Misconfigured as error:
        _leave(str(error), EXIT_MISCONFIGURED)
    except StreamUnavailable as error:
        _leave(f"the stream can't be reached: {error}", EXIT_UNAVAILABLE)


def _drop_output() -> None:
    """What is left of it goes nowhere, or Python would try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(message: str, code: int) -> None:
    sys.stderr.write(message + "\n")
    raise SystemExit(code)
