"""The configuration: one frozen Struct, made of five layers, read once.

    defaults  ←  durability profile  ←  TOML file  ←  environment  ←  flags

Environment: `CONCLAVE_SECTION__KEY`, two underscores between section and key, in any case:
`CONCLAVE_SERVER__PORT=0`, `CONCLAVE_POOLS__DEFAULT__MODEL=…`; lists are split at commas, a table
is JSON. `NATS_URL` is `nats.url`, unless `CONCLAVE_NATS__URL` is set too. `CONCLAVE_CONFIG` names
the file when nobody else does.

Pools: pools named in the file stand instead of the pool `default`. In flags the name `*` means
every pool there is.

A supervisor hands its children `CONCLAVE_CONFIG_JSON`, the whole configuration as it is in
effect; then file and environment are not read again. Nothing of it is ever on a command line.
"""

import os
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from actors.settings import BusSettings, Limits, PoolSettings, Retention, SynadiaSettings
from schemas.types import Name
from supervisor import durability, layers
from supervisor.layers import ConfigError as ConfigError  # noqa: PLC0414 - re-exported for mypy

INHERITED: Final = "CONCLAVE_CONFIG_JSON"
FILE: Final = "CONCLAVE_CONFIG"
MASK: Final = "***"

Strategy = Literal["one_for_one", "rest_for_one"]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class EmbeddedServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nats-server that `conclave up` starts when `nats.url` is empty.

    Port 0 picks a free port. An empty `store_dir` is `$XDG_DATA_HOME/conclave`; with
    `temporary_store` a new directory is used instead, and removed at the end.
    `sync_interval` is how much a power failure may cost (no killed process ever costs anything);
    `always` writes through to the disk before each acknowledgement. Unless set, it follows
    `retention.durability` (supervisor/durability.py).
    User, password or token of `[nats]` are demanded by this server too. `http_port` is
    its monitoring, by which it is known to be able to store; 0 picks a free one.
    """

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 4222
    http_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    store_dir: str = ""
    temporary_store: bool = False
    max_payload_bytes: Annotated[int, Meta(ge=65_536, le=67_108_864)] = 8_388_608
    sync_interval: Annotated[
        str,
        Meta(
            pattern=r"^(always|[1-9][0-9]{0,5}(ms|s|m))(?![\s\S])",
            description="`always`, or a whole number with ms, s or m",
        ),
    ] = "10s"


class SupervisorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How children are restarted, watched and stopped.

    A child that fails more than `max_restarts` times within `period_seconds` ends the whole
    system with exit code 70. It is started anew at once after its first failure, then after
    `backoff_seconds`, doubled each time up to `backoff_limit_seconds`. A child that misses
    `missed_heartbeats` heartbeats in a row is hung. `engine_start_timeout_seconds` is for pools
    with a model to load.
    """

    strategy: Strategy = "one_for_one"
    max_restarts: Annotated[int, Meta(ge=0, le=1_000)] = 5
    period_seconds: Seconds = 30.0
    backoff_seconds: Seconds = 0.25
    backoff_limit_seconds: Seconds = 30.0
    heartbeat_seconds: Seconds = 2.0
    missed_heartbeats: Annotated[int, Meta(ge=1, le=100)] = 3
    start_timeout_seconds: Seconds = 30.0
    engine_start_timeout_seconds: Seconds = 600.0
    stop_timeout_seconds: Seconds = 10.0


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set, each part under the name of its section."""

    nats: BusSettings = BusSettings()
    server: EmbeddedServer = EmbeddedServer()
    retention: Retention = Retention()
    limits: Limits = Limits()
    pools: dict[Name, PoolSettings] = msgspec.field(
        default_factory=lambda: {"default": PoolSettings()}
    )
    synadia: SynadiaSettings = SynadiaSettings()
    supervisor: SupervisorSettings = SupervisorSettings()


def load(
    path: Path | str | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration in effect. Raises ConfigError and nothing else.

    `flags` is nested like the file; a value of None means: not given. `environ` is the process's
    own environment unless given.
    """
    env = os.environ if environ is None else environ
    over = partial(_layered, path=path, flags=flags or {}, env=env)
    values = over(_defaults())
    profile = durability.layer(values["retention"]["durability"])
    values = over(layers.merge(_defaults(), profile))
    if not values["pools"]:
        raise ConfigError("configuration", "pools", "there is no pool", "at least one [pools.NAME]")
    return msgspec.convert(values, Config)


def _layered(
    values: dict[str, Any],
    *,
    path: Path | str | None,
    flags: Mapping[str, Any],
    env: Mapping[str, str],
) -> dict[str, Any]:
    """Return `values` with file, environment and flags over them."""
    if inherited := env.get(INHERITED):
        values = layers.from_json(Config, inherited, INHERITED)
    else:
        if file := path or env.get(FILE):
            values = _with_file(values, Path(file))
        values = layers.merge(values, layers.from_environment(Config, env, values))
    return layers.merge(values, layers.from_flags(Config, flags, values))


def handed_over(config: Config) -> str:
    """Return what a child finds in `CONCLAVE_CONFIG_JSON`."""
    return msgspec.json.encode(config).decode()


def masked(config: Config) -> Config:
    """Return the configuration fit for display: what is secret in it is `***`."""
    nats = config.nats
    return replace(
        config,
        nats=replace(
            nats,
            url=masked_url(nats.url),
            password=MASK if nats.password else "",
            token=MASK if nats.token else "",
        ),
    )


def masked_url(url: str) -> str:
    """Return a NATS url, or several with commas between, without user names and passwords."""
    return ",".join(_without_login(one) for one in url.split(","))


def _without_login(url: str) -> str:
    scheme, colon, rest = url.rpartition("://")
    login, at, address = rest.rpartition("@")
    return f"{scheme}{colon}{MASK}@{address}" if at and login else url


def _defaults() -> dict[str, Any]:
    builtins: dict[str, Any] = msgspec.to_builtins(Config())
    return builtins


def _with_file(values: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise ConfigError(str(path), "", error.strerror or "cannot be read", "a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"is not TOML: {error}", "TOML 1.0 in UTF-8") from None
    checked = layers.checked(Config, found, str(path))
    if checked.get("pools"):
        values = values | {"pools": {}}
    return layers.merge(values, checked)
