"""Which model is used: the configured one, or, for the default alone, the bundled one, said aloud.

1. a local folder                       used as it is
2. a hub id that is cached complete     used from the cache, without network
3. a hub id that the hub has            downloaded, then used from the cache
4. the default model, out of reach      the bundled small model, with a note for people
5. anything else                        ModelMissing
"""

import json
import os
import threading
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

DEFAULT_MODEL: Final = "Qwen/Qwen3-0.6B"
BUNDLED_NAME: Final = "conclave-nano"
BUNDLED_FOLDER: Final = Path(__file__).parents[2] / "deploy" / "models" / "nano"
PROBE_SECONDS: Final = 5.0
"""How long the hub may take to say that it has a model; a name look-up that hangs counts."""

_FILES: Final = ["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model"]
_WEIGHTS: Final = "*.safetensors"


class ResolvedModel(Struct, frozen=True):
    """A model that is on this machine: its folder, the name told in responses, a note or nothing.

    `note` is one line to be shown to people: it is there when the model is not the one asked for.
    """

    path: str
    name: str
    note: str = ""


class ModelMissing(Exception):
    """The configured model cannot be had, and nothing may stand in for it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"model {name!r} cannot be used: {reason}")
        self.name = name
        self.reason = reason


def resolve(name: str, bundled: Path = BUNDLED_FOLDER) -> ResolvedModel:
    """Find the model, downloading it if need be: blocks for seconds to minutes.

    Raises ModelMissing.
    """
    if name == BUNDLED_NAME:
        return ResolvedModel(str(_complete(name, bundled)), BUNDLED_NAME)
    folder = Path(name).expanduser()
    if folder.is_dir() or name.startswith(("/", ".", "~")):
        return ResolvedModel(str(_complete(name, folder).resolve()), folder.resolve().name)
    try:
        return ResolvedModel(str(_from_hub(name)), name)
    except ModelMissing as missing:
        if name != DEFAULT_MODEL:
            raise
        note = (
            f"model {name} is not here ({missing.reason}):"
            f" using the bundled small model {BUNDLED_NAME} instead"
        )
        return ResolvedModel(str(_complete(BUNDLED_NAME, bundled)), BUNDLED_NAME, note)


def _complete(name: str, folder: Path) -> Path:
    """Return the folder if a model is in it; every shard that its index names must be there."""
    if not (folder / "config.json").is_file():
        raise ModelMissing(name, f"there is no config.json in {folder}")
    for index in folder.glob("*.safetensors.index.json"):
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
        if absent := sorted(shard for shard in shards if not (folder / shard).is_file()):
            raise ModelMissing(name, f"{absent[0]} is missing in {folder}")
    if not any(folder.glob(_WEIGHTS)):
        raise ModelMissing(name, f"there are no {_WEIGHTS} in {folder}")
    return folder


def _from_hub(name: str) -> Path:
    """The folder of a hub model in the local cache, downloaded if it is not there."""
    try:
        import huggingface_hub as hub  # noqa: PLC0415 - only agents need it
    except ImportError:
        raise ModelMissing(name, "huggingface_hub is not installed") from None
    try:
        return _complete(name, Path(hub.snapshot_download(name, local_files_only=True)))
    except ModelMissing:
        pass  # a download that was broken off
    except Exception as error:  # noqa: BLE001 - the hub's client raises many kinds
        if isinstance(error, ValueError) and "repo id" in str(error).lower():
            raise ModelMissing(name, "neither a folder nor a hub id") from None
    _probe(name, hub)
    try:
        return _complete(name, Path(hub.snapshot_download(name, allow_patterns=_FILES)))
    except ModelMissing:
        raise
    except Exception as error:
        raise ModelMissing(name, f"download failed: {type(error).__name__}") from error


def _probe(name: str, hub: Any) -> None:
    """Raise ModelMissing unless the hub says in good time that it has the model."""
    if any(_truthy(variable) for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        raise ModelMissing(name, "not cached, and HF_HUB_OFFLINE is set")
    answer: list[BaseException | None] = []

    def ask() -> None:
        try:
            hub.model_info(name, timeout=PROBE_SECONDS)
            answer.append(None)
        except BaseException as error:  # noqa: BLE001 - a thread may not raise
            answer.append(error)

    # A thread, because no time-out bounds the look-up of the hub's address.
    prober = threading.Thread(target=ask, daemon=True)
    prober.start()
    prober.join(PROBE_SECONDS)
    if not answer:
        raise ModelMissing(name, f"not cached, and the hub did not answer in {PROBE_SECONDS:g} s")
    if answer[0] is not None:
        raise ModelMissing(name, _reason(answer[0], hub))


def _reason(error: BaseException, hub: Any) -> str:
    if isinstance(error, hub.errors.GatedRepoError):
        return "not cached, and the hub wants a token with access to it (HF_TOKEN)"
    if isinstance(error, hub.errors.RepositoryNotFoundError):
        return "not cached, and the hub does not have it"
    return f"not cached, and the hub cannot be reached: {type(error).__name__}"


def _truthy(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}
