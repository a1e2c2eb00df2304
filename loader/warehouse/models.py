"""Page views, sessions and users: plain SELECTs over `events_unique` in loader/models, and how they become tables."""

import re
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

from loader.warehouse import ddl
from loader.warehouse.settings import ConfigurationSettings

_FOLDER = Path(__file__).parent.parent / "models"
_ORDER_BY = re.compile(r"^-- ORDER BY (\(.+\))$", re.MULTILINE)
_EVERY = re.compile(r"[1-9][0-9]{0,3} (MINUTE|HOUR|DAY|WEEK)", re.IGNORECASE)


class Model(NamedTuple):
    """A derived table. query: a SELECT with `{events}` for its source, alone or inside the events that models share,
    `{identified}`. order_by: how the table is sorted."""

    name: str
    query: str
    order_by: str


class InvalidInterval(ValueError):
    """Not an interval that a refreshable view takes."""


def models() -> list[Model]:
    """All models, by name."""
    return [_model(file) for file in sorted(_FOLDER.glob("[a-z]*.sql"))]


def select(configuration: ConfigurationSettings, model: Model) -> str:
    """The model's SELECT over the events of this warehouse, to run by hand or by any scheduler."""
    shared = (_FOLDER / "_identified.sql").read_text().rstrip()
    query = model.query.replace("{identified}", indent(shared, "    "))
    return query.replace("{events}", ddl.full_name(configuration, ddl.UNIQUE_VIEW))


def create(configuration: ConfigurationSettings, model: Model, every: str) -> list[str]:
    """A table that the server fills now and again after each interval, such as `1 HOUR`; the old one makes way.

    Raises InvalidInterval.
    """
    if not _EVERY.fullmatch(every):
        raise InvalidInterval(f"{every!r} is no interval: write a number and MINUTE, HOUR, DAY or WEEK")
    name, cluster = ddl.full_name(configuration, model.name), ddl.on_cluster(configuration)
    engine = "ReplicatedMergeTree" if configuration.cluster_name else "MergeTree"
    view = f"CREATE MATERIALIZED VIEW {name}{cluster} REFRESH EVERY {every.upper()}"
    storage = f"ENGINE = {engine} ORDER BY {model.order_by}"
    return [drop(configuration, model), f"{view}\n{storage} AS\n{select(configuration, model)}"]


def drop(configuration: ConfigurationSettings, model: Model) -> str:
    name = ddl.full_name(configuration, model.name)
    return f"DROP VIEW IF EXISTS {name}{ddl.on_cluster(configuration)} SYNC"


def refresh(configuration: ConfigurationSettings, model: Model) -> list[str]:
    """Fill the table now, and wait for it."""
    name = ddl.full_name(configuration, model.name)
    return [f"SYSTEM REFRESH VIEW {name}", f"SYSTEM WAIT VIEW {name}"]


def _model(file: Path) -> Model:
    text = file.read_text()
    found = _ORDER_BY.search(text)
    if found is None:
        raise AssertionError(f"{file} does not say how its table is sorted")
    return Model(file.stem, text, found[1])
