"""Where the commands print tables and colours."""

import sys

from rich.console import Console


def screen() -> Console:
    """As wide as the terminal; into a pipe or file nothing is cut."""
    return Console() if sys.stdout.isatty() else Console(width=1_000_000, soft_wrap=True)
