"""How to reach NATS, from what was said and what the surroundings say."""

from pathlib import Path

from msgspec.structs import replace

from actors.settings import BusSettings
from supervisor import config, contexts


def bus_settings(server: str = "", context: str = "", file: Path | None = None) -> BusSettings:
    """Return how to reach NATS: server, context, `NATS_URL`, configuration, selected context.

    When nobody says anything it is where `conclave up` listens. Credentials of the
    configuration hold also for a server named directly or by environment.
    Raises ConfigError, ContextError.
    """
    if context and not server:
        return contexts.load(context)
    known = config.load(file, {"nats": {"url": server or None}})
    if known.nats.url:
        return known.nats
    if name := contexts.selected():
        return contexts.load(name)
    port = known.server.port or contexts.DEFAULT_PORT
    return replace(known.nats, url=f"nats://{known.server.host}:{port}")
