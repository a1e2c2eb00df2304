"""Schema documents for the type hints of new columns. Without a registry that knows them, columns have no hints."""

from collections.abc import Callable, Sequence
from pathlib import Path

from shared.iglu.config import ResolverConfig, ResolverRefused, load, open_resolver
from shared.iglu.registry import Document
from shared.iglu.resolver import Found, SchemaResolver
from shared.schema import SchemaKey
from shared.settings import SettingsError


class KnownVersions:
    """Implements columns.Documents with an Iglu resolver."""

    def __init__(self, resolver: SchemaResolver) -> None:
        self._resolver = resolver

    async def __call__(self, key: SchemaKey) -> Sequence[Document]:
        """What can be listed of the schema's major, and the version that was sent even where none can be listed."""
        sent = await self._resolver.lookup(key)
        listed = await self._resolver.known_versions(key.vendor, key.name, key.model)
        missing = isinstance(sent, Found) and sent.document not in listed
        return [*listed, sent.document] if missing and isinstance(sent, Found) else listed

    async def close(self) -> None:
        await self._resolver.close()


def open_documents(file: Path, clock: Callable[[], float]) -> KnownVersions:
    """From the resolver configuration, or from the schemas that evnt ships where there is none.

    clock: Unix seconds. Raises SettingsError.
    """
    try:
        config = load(file) if file.exists() else ResolverConfig()
        return KnownVersions(open_resolver(config, file.parent, clock))
    except ResolverRefused as error:
        raise SettingsError(error.problems) from error
