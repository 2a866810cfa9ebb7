"""What an actor may be told: frozen Structs with units in their names and reasons beside limits.

`supervisor/config.py` fills them from file, environment and flags; actors only read them.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.types import Name

EngineName = Literal["vllm", "scripted"]
LoadFormat = Literal["auto", "safetensors", "fastsafetensors", "runai_streamer", "dummy"]
LONGEST_TIMEOUT_S = 3_600.0
"""No deliberation may take longer, however it is configured."""

Durability = Literal["fast", "safe", "cluster"]
Positive = Annotated[int, Meta(ge=1)]


class BusSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach NATS. An empty `url` means the embedded server.

    Replies come below `inbox_prefix`, which can then be the only one that a user may hear.
    """

    url: str = ""
    creds_file: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    ca_file: str = ""
    inbox_prefix: str = "_INBOX"


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much is stored, and on how many servers.

    At `max_bytes` new deliberations are refused (`unavailable`); nothing accepted is dropped.
    `durability` names a profile of supervisor/durability.py, which `replicas` follows unless set.
    """

    durability: Durability = "fast"

    max_age_hours: Annotated[float, Meta(gt=0)] = 168.0
    max_bytes: int = -1
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1


class SynadiaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facade that shows every council as an agent of the Synadia Agent Protocol.

    `owner` is a token of every agent's subject: `agents.prompt.conclave.<owner>.<role>`.
    """

    enabled: bool = False
    owner: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9_-]{1,63}(?![\s\S])",
            description="small letters, digits, _ and -, at most 63",
        ),
    ] = "local"
    heartbeat_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 30


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on what one actor takes in at a time; over them a request is refused, typed.

    `max_backlog` is of one council: deliberations that are open at a time. `backlog_of` sets it for
    councils by their role.
    """

    max_request_bytes: Positive = 1_048_576
    max_in_flight: Positive = 4_096
    max_waiting: Positive = 10_000
    max_backlog: Positive = 10_000
    backlog_of: dict[Name, Positive] = {}
    max_timeout_seconds: Annotated[float, Meta(gt=0, le=LONGEST_TIMEOUT_S)] = LONGEST_TIMEOUT_S


class PoolSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pool of equal agents: which queues they serve, with which engine, on how much hardware.

    `queues = ["*"]` serves every council's queue that no other pool names.
    `gpu_share` is the fraction of one GPU per replica (or a number of GPUs); on a machine
    without GPU `cpu_share` of the pool's CPUs counts instead.
    `load_format` is how vLLM reads the weights; `dummy` are random numbers in the model's shape,
    with which nothing but speed can be measured.
    `scripted_*` shape the scripted engine only: latency before the first word in ms, words per
    answer, and the share of requests that fail.
    """

    queues: tuple[str, ...] = ("*",)
    engine: EngineName = "vllm"
    model: str = "Qwen/Qwen3-0.6B"
    replicas: Positive = 1
    max_concurrency: Positive = 64
    gpu_share: Annotated[float, Meta(gt=0)] = 0.9
    cpu_share: Annotated[float, Meta(gt=0)] = 1.0
    max_model_len: Positive = 4_096
    kv_cache_mib: Positive = 512
    max_batched_tokens: Positive = 4_096
    default_max_tokens: Positive = 512
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.8
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    enforce_eager: bool | None = None
    load_format: LoadFormat = "auto"
    reasoning_parser: str = ""
    lora: dict[Name, str] = {}
    max_lora_rank: Positive = 16
    delta_ms: Annotated[int, Meta(ge=0, le=10_000)] = 30
    scripted_latency_ms: Annotated[float, Meta(ge=0)] = 0.0
    scripted_words: Positive = 24
    scripted_failure_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0
