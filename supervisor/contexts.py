"""Contexts of the `nats` command line: servers and credentials by name (NATS ADR-21).

They lie in `$XDG_CONFIG_HOME/nats/context/NAME.json`; the selected one is named in
`nats/context.txt`. Only what this program can honour is honoured; the rest is an error.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.settings import BusSettings

DEFAULT_PORT = 4222
DEFAULT_URL = f"nats://127.0.0.1:{DEFAULT_PORT}"


class ContextError(Exception):
    """A context cannot be used; the text says why and what to do."""


class _Context(Struct, frozen=True):
    url: str = ""
    creds: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    ca: str = ""
    nkey: str = ""
    nsc: str = ""
    user_jwt: str = ""
    cert: str = ""
    key: str = ""
    socks_proxy: str = ""
    inbox_prefix: str = ""
    jetstream_domain: str = ""
    jetstream_api_prefix: str = ""
    tls_first: bool = False


_UNSUPPORTED = (
    "nkey",
    "nsc",
    "user_jwt",
    "cert",
    "key",
    "socks_proxy",
    "jetstream_domain",
    "jetstream_api_prefix",
    "tls_first",
)


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the `nats` command line keeps its configuration."""
    home = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "nats"


def selected(environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the selected context, or an empty string."""
    if named := environ.get("NATS_CONTEXT", ""):
        return named
    try:
        return (folder(environ) / "context.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def load(name: str, environ: Mapping[str, str] = os.environ) -> BusSettings:
    """Return the settings of a context. Raises ContextError, naming the file and the remedy."""
    path = folder(environ) / "context" / f"{name}.json"
    if not name or Path(name).name != name:
        raise ContextError(f"{name!r} is no name of a nats context")
    try:
        context = msgspec.json.decode(path.read_bytes(), type=_Context)
    except OSError:
        text = f"no nats context {name!r}: {path} cannot be read{_known(path)}"
        raise ContextError(text) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContextError(f"{path} is no nats context: {error}") from None
    foreign = [field for field in _UNSUPPORTED if getattr(context, field)]
    if foreign:
        raise ContextError(
            f"nats context {name!r} uses {', '.join(foreign)}, which conclave does not support;"
            " use creds, user and password or token, or give --server"
        )
    return BusSettings(
        url=context.url or DEFAULT_URL,
        creds_file=_path(context.creds),
        user=context.user,
        password=context.password,
        token=context.token,
        ca_file=_path(context.ca),
        inbox_prefix=context.inbox_prefix or BusSettings().inbox_prefix,
    )


def _path(text: str) -> str:
    return str(Path(text).expanduser()) if text else ""


def _known(path: Path) -> str:
    others = sorted(file.stem for file in path.parent.glob("*.json"))
    return f"; there are: {', '.join(others)}" if others else "; there are no contexts"
