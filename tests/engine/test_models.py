"""Which model is used is never a surprise."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.engines import models
from actors.engines.models import BUNDLED_NAME, DEFAULT_MODEL, ModelMissing, resolve
from actors.settings import PoolSettings


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    return model_in(tmp_path / "nano")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> "Hub":
    """A hub and its cache, as huggingface_hub shows them."""
    hub = Hub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(models, "PROBE_SECONDS", 0.2)
    return hub


class NotThereError(Exception):
    """Both of the hub's errors that are told apart."""


class Hub:
    """What `actors.engines.models` asks of huggingface_hub, with a cache and models in memory."""

    errors = SimpleNamespace(GatedRepoError=PermissionError, RepositoryNotFoundError=NotThereError)

    def __init__(self) -> None:
        self.cached: dict[str, Path] = {}
        self.online: dict[str, Path] = {}
        self.asked: list[str] = []
        self.down: Exception | None = None

    def snapshot_download(self, name: str, *, local_files_only=False, **_: Any) -> str:
        if name.count("/") > 1:
            raise ValueError("Repo id must be in the form 'repo_name' or 'namespace/repo_name'")
        if local_files_only and name not in self.cached:
            raise FileNotFoundError(name)
        return str(self.cached[name] if local_files_only else self.online[name])

    def model_info(self, name: str, **_: Any) -> None:
        self.asked.append(name)
        if self.down:
            raise self.down
        if name not in self.online:
            raise NotThereError(name)


def model_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_the_default_is_what_the_settings_say():
    assert PoolSettings().model == DEFAULT_MODEL


def test_a_folder_is_used_as_it_is(tmp_path: Path):
    folder = model_in(tmp_path / "mine")
    model = resolve(str(folder))
    assert (model.path, model.name, model.note) == (str(folder), "mine", "")


def test_a_cached_model_needs_no_network(tmp_path: Path, hub: Hub):
    hub.cached["org/model"] = model_in(tmp_path / "snapshot")
    assert resolve("org/model").path == str(tmp_path / "snapshot")
    assert hub.asked == []


def test_a_model_of_the_hub_is_downloaded(tmp_path: Path, hub: Hub):
    hub.online["org/model"] = model_in(tmp_path / "new")
    model = resolve("org/model")
    assert (model.path, model.name, model.note) == (str(tmp_path / "new"), "org/model", "")


def test_a_broken_off_download_is_taken_up_again(tmp_path: Path, hub: Hub):
    hub.cached["org/model"] = half = model_in(tmp_path / "half")
    index = {"weight_map": {"layer": "model-2.safetensors"}}
    (half / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.online["org/model"] = model_in(tmp_path / "whole")
    assert resolve("org/model").path == str(tmp_path / "whole")


def test_out_of_reach_the_default_becomes_the_bundled_one_and_says_so(bundled: Path, hub: Hub):
    hub.down = ConnectionError("no route")
    model = resolve(DEFAULT_MODEL, bundled)
    assert (model.path, model.name) == (str(bundled), BUNDLED_NAME)
    assert DEFAULT_MODEL in model.note
    assert BUNDLED_NAME in model.note
    assert "\n" not in model.note


def test_the_bundled_model_may_be_asked_for_by_name(bundled: Path, hub: Hub):
    assert resolve(BUNDLED_NAME, bundled).note == ""
    assert hub.asked == []


def test_without_the_bundled_model_nothing_stands_in(tmp_path: Path, hub: Hub):
    hub.down = ConnectionError("no route")
    with pytest.raises(ModelMissing, match=BUNDLED_NAME):
        resolve(DEFAULT_MODEL, tmp_path / "empty")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("x"), "cannot be reached"),
        (NotThereError("x"), "does not have it"),
        (PermissionError("x"), "HF_TOKEN"),
    ],
)
def test_nothing_stands_in_for_a_model_that_was_chosen(bundled, hub: Hub, error, reason):
    hub.down = error
    with pytest.raises(ModelMissing, match=reason):
        resolve("org/model", bundled)


def test_offline_nobody_is_asked(bundled: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelMissing, match="HF_HUB_OFFLINE"):
        resolve("org/model", bundled)
    assert hub.asked == []


@pytest.mark.parametrize("name", ["/nowhere", "./nowhere", "~/nowhere", "a/b/c"])
def test_a_path_without_a_model_is_an_error(name: str, bundled: Path, hub: Hub):
    with pytest.raises(ModelMissing):
        resolve(name, bundled)
    assert hub.asked == []
