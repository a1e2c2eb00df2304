"""A group commit for tests, with ids and a clock that are known."""

from collector.commit import GroupCommit
from collector.metrics import Metrics
from collector.settings import RawSettings
from collector.spool import SpoolingPublisher
from collector.state import Fate
from shared.badrow import Processor
from shared.stream.contract import Publisher

NOW = 1_700_000_000_000


def commit(
    publisher: Publisher,
    wait_s: float = 5,
    fate: Fate | None = None,
    metrics: Metrics | None = None,
    **settings: int | str,
) -> GroupCommit:
    ids = iter(range(1_000_000))
    processor = Processor("evnt-collector", "1.0.0")
    rules = RawSettings.model_validate(settings)
    ended = (fate or Fate()).watch
    metrics = metrics or Metrics()
    new_id = (f"id-{number}" for number in ids).__next__
    durable = SpoolingPublisher(publisher, None, 60, lambda _: None)
    return GroupCommit(durable, rules, wait_s, processor, lambda: NOW, new_id, metrics, ended)
