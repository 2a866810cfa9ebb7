"""Where we connect, as whom, and whom we trust: the settings as nats-py is told them."""

import ssl
from typing import Any

from actors.bus import Unavailable
from actors.settings import BusSettings


def login(settings: BusSettings) -> dict[str, Any]:
    """Options of `nats.connect`. Raises Unavailable, naming the setting that cannot be used."""
    return {
        "servers": settings.url.split(","),
        "user": settings.user or None,
        "password": settings.password or None,
        "token": settings.token or None,
        "inbox_prefix": settings.inbox_prefix,
        **_trusted(settings.ca_file),
        **_identity(settings.creds_file),
    }


def _trusted(file: str) -> dict[str, Any]:
    if not file:
        return {}
    try:
        return {"tls": ssl.create_default_context(cafile=file)}
    except OSError as error:
        raise Unavailable(f"nats.ca_file: {file}: {error}") from error


def _identity(file: str) -> dict[str, Any]:
    if not file:
        return {}
    # Brings cryptography, which few have a use for.
    from actors.bus.credentials import Credentials  # noqa: PLC0415

    credentials = Credentials(file)
    try:
        credentials.check()
    except (OSError, ValueError) as error:
        raise Unavailable(f"nats.creds_file: {file}: {error}") from error
    return {"user_jwt_cb": credentials.jwt, "signature_cb": credentials.sign}
