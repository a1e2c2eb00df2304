"""The enricher: raw stream in; enriched, failed and bad streams out."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry

from enricher.answers import Answers
from enricher.chunks import ChunkLimits
from enricher.enrichments.contract import EnrichmentRefused
from enricher.enrichments.loading import Enrichments, Refused
from enricher.iglu.resolver import IgluResolver
from enricher.limits import AtomicLimits
from enricher.lookups.lookups import Lookups
from enricher.mending import repairer, untouched
from enricher.metrics import EnricherMetrics
from enricher.options import Options
from enricher.patience import Patience, Seldom
from enricher.pipeline import Pipeline
from enricher.script_metrics import ScriptMetrics
from enricher.settings import EnricherSection, EnricherSettings
from enricher.worker import Worker, WorkLimits
from shared.badrow import Processor
from shared.compiled import compiled
from shared.identity import now_ms
from shared.iglu.config import ResolverConfig, ResolverRefused, open_resolver
from shared.iglu.config import load as load_resolver
from shared.process import Misconfigured, admin, run
from shared.settings import load
from shared.stream import open_publisher, open_subscriber
from shared.telemetry import Logger, configure, logger
from shared.version import VERSION


async def main(stopping: asyncio.Event) -> None:
    """Composition root."""
    settings = load(EnricherSettings)
    options = settings.enricher
    configure(settings.logging, "enricher")
    log = logger("enricher")
    registry = CollectorRegistry()
    metrics = EnricherMetrics(registry)
    enrichments = _enrichments(options.enrichments_folder(), settings.data_dir)
    registry.register(ScriptMetrics(lambda: enrichments.current))
    async with AsyncExitStack() as stack:
        resolver = _resolver(options)
        stack.push_async_callback(resolver.close)
        lookups = Lookups()
        stack.push_async_callback(lookups.close)
        publisher = await stack.enter_async_context(open_publisher(settings))
        subscriber = await stack.enter_async_context(open_subscriber(settings, "raw", options.prefetch))
        patience = _patience(options, stopping, metrics, log)
        worker = Worker(
            subscriber,
            publisher,
            Pipeline(resolver.cached, lambda: enrichments.current, _pipeline_options(options)),
            Answers(resolver, {"http": lookups.ask, "sql": lookups.ask}, patience, metrics),
            patience,
            _work_limits(options),
            now_ms,
            metrics,
        )
        metrics.lag.set_function(worker.lag_s)
        metrics.held_bytes.set_function(lambda: worker.held_bytes)
        ready = {"stream": lambda: None if publisher.ready else "the transport takes nothing"}
        port = await stack.enter_async_context(admin("enricher", options.admin, registry, ready=ready))
        names = [one.name for one in enrichments.current]
        log.info("enricher.started", admin_port=port, enrichments=names, compiled=len(compiled()))
        reloading = asyncio.create_task(_reload(enrichments, options.reload_seconds, metrics, log))
        stack.callback(reloading.cancel)
        await worker.run(stopping)
    log.info("enricher.stopped")


def _enrichments(folder: Path, data_dir: Path) -> Enrichments:
    try:
        return Enrichments(folder, data_dir)
    except EnrichmentRefused as refused:
        raise Misconfigured(f"enrichments: {refused}") from refused


async def _reload(enrichments: Enrichments, every_s: float, metrics: EnricherMetrics, log: Logger) -> None:
    """A changed file takes effect without a restart; an invalid one is reported and what ran before goes on."""
    while True:
        await asyncio.sleep(every_s)
        change = enrichments.poll()
        if isinstance(change, Refused):
            metrics.reloads.labels("refused").inc()
            log.error("enrichments.refused", reason=change.message)
        elif change is not None:
            metrics.reloads.labels("applied").inc()
            log.info("enrichments.reloaded", enrichments=change.names)


def _resolver(options: EnricherSection) -> IgluResolver:
    """The default file may be absent: then only the bundled schemas are known."""
    try:
        default = EnricherSection.model_fields["iglu"].default
        absent = options.iglu == default and not options.iglu.exists()
        config = ResolverConfig() if absent else load_resolver(options.iglu)
        schemas = open_resolver(config, options.iglu.parent, time.time)
    except ResolverRefused as refused:
        raise Misconfigured("\n".join(f"iglu: {problem}" for problem in refused.problems)) from refused
    return IgluResolver(schemas, time.time, config.cache_size, options.validation.max_json_depth)


def _patience(options: EnricherSection, stopping: asyncio.Event, metrics: EnricherMetrics, log: Logger) -> Patience:
    first_s, longest_s = options.retry.first_delay_ms / 1000, options.retry.longest_delay_ms / 1000
    seldom = Seldom(longest_s, time.monotonic)

    def on_retry(what: str, error: Exception) -> None:
        metrics.retries.labels(what).inc()
        if seldom.is_due(what):
            log.warning("enricher.waiting", what=what, reason=str(error))

    return Patience(first_s, longest_s, stopping, options.shutdown_seconds, on_retry)


def _pipeline_options(options: EnricherSection) -> Options:
    validation = options.validation
    return Options(
        Processor("evnt-enrich", VERSION),
        options.max_record_bytes,
        validation.max_json_depth,
        AtomicLimits(validation.atomic_fields_limits),
        validation.accept_invalid,
        options.failed_events,
        repairer() if validation.repair_json else untouched,
        options.max_payload_bytes,
    )


def _work_limits(options: EnricherSection) -> WorkLimits:
    chunk = ChunkLimits(options.enriched.events_per_message, options.enriched.bytes_per_message)
    publishes = options.publishes_in_flight
    return WorkLimits(chunk, options.enriched.age_ms, options.held_bytes, publishes, options.prefetch)


if __name__ == "__main__":
    run(main)
