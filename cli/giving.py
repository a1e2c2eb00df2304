"""Giving messages back to a stream: until it has room for them, and without what it never takes."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from shared.stream.contract import Message, MessageRefused, Publisher, StreamName, StreamUnavailable

#: Seconds between two attempts while the stream takes nothing.
PAUSE_S = 1.0


async def give(
    publisher: Publisher, stream: StreamName, messages: Mapping[str, Message], pause_s: float = PAUSE_S
) -> dict[str, str]:
    """What the stream will never take, by name, and why; all others are its own then."""
    try:
        await insist(publisher, stream, list(messages.values()), pause_s)
    except MessageRefused as refusal:
        if len(messages) == 1:
            return dict.fromkeys(messages, str(refusal))
        alone = [await give(publisher, stream, {name: message}, pause_s) for name, message in messages.items()]
        return {name: reason for refused in alone for name, reason in refused.items()}
    return {}


async def insist(
    publisher: Publisher, stream: StreamName, messages: Sequence[Message], pause_s: float = PAUSE_S
) -> None:
    """Until the stream has room for them. Raises MessageRefused."""
    while messages:
        try:
            await publisher.publish(stream, messages)
        except StreamUnavailable as error:
            sys.stderr.write(f"{error}; trying again, Ctrl-C to stop\n")
            await asyncio.sleep(pause_s)
        else:
            return
