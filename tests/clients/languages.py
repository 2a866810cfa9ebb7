"""What each language needs to be installed and built, and how its client is started.

What is missing is installed: from Debian by root, from npm into a folder that git ignores.
"""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / ".build"
INSTALL_S = 600.0


class Unavailable(Exception):
    """This machine lacks something that cannot be installed from here."""


def client(language: str) -> list[str]:
    """Return the command that starts the client, made ready. Raises Unavailable."""
    command = _once(language)
    if isinstance(command, Unavailable):
        raise command
    return command


@functools.cache
def _once(language: str) -> list[str] | Unavailable:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs one installs and the other waits
        try:
            return READY[language]()
        except Unavailable as missing:
            return missing


def node() -> list[str]:
    need("nodejs", "npm", have=("node", "npm"))
    folder = HERE / "node"
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        install(["npm", "ci"], folder)
        installed.touch()
    return ["node", str(folder / "client.mjs")]


GOCODE = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go libraries; they are a GOPATH."""


def go() -> list[str]:
    libraries = GOCODE / "src/github.com"
    need(
        "golang-go",
        "golang-github-nats-io-go-nats-dev",
        "golang-github-vmihailenco-msgpack.v5-dev",
        have=("go", libraries / "nats-io/nats.go", libraries / "vmihailenco/msgpack/v5"),
    )
    return [go_program("client")]


def go_program(name: str) -> str:
    """Build one file with Debian's libraries, without modules; return the program."""
    gopath = os.environ | {"GO111MODULE": "off", "GOPATH": str(GOCODE), "GOFLAGS": ""}
    built = BUILD / f"go-{name}"
    run(["go", "build", "-o", str(built), f"{name}.go"], HERE / "go", gopath)
    return str(built)


def c() -> list[str]:
    headers = ("nats/nats.h", "cjson/cJSON.h", "msgpack.h")
    need(
        *("gcc", "libc6-dev", "pkg-config", "libnats-dev", "libcjson-dev", "^libmsgpack(-c)?-dev$"),
        have=("cc", "pkg-config", *(Path("/usr/include") / each for each in headers)),
    )
    newer = subprocess.run(["pkg-config", "--exists", "msgpack-c"], check=False).returncode == 0
    libraries = ("libnats", "libcjson", "msgpack-c" if newer else "msgpack")
    flags = run(["pkg-config", "--cflags", "--libs", *libraries], HERE).split()
    built = BUILD / "c-client"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    command = ["cc", *warnings, "client.c", "-o", str(built), *flags, "-lm", "-lpthread"]
    run(command, HERE / "c")
    return [str(built)]


def shell() -> list[str]:
    need("bash", "jq", have=("bash", "jq"))
    return ["bash", str(HERE / "shell/client.sh")]


def python() -> list[str]:
    return [sys.executable, str(HERE / "python/client.py")]


READY: dict[str, Callable[[], list[str]]] = {
    "node": node,
    "go": go,
    "c": c,
    "shell": shell,
    "python": python,
}


def need(*packages: str, have: tuple[str | Path, ...]) -> None:
    """Install Debian packages unless all these programs and files are there."""
    missing = [str(each) for each in have if not _is_there(each)]
    if not missing:
        return
    wanted = f"{', '.join(missing)} (Debian: {' '.join(packages)})"
    if shutil.which("apt-get") is None:
        raise Unavailable(f"missing {wanted}; there is no apt-get here to install it with")
    if os.geteuid() != 0:
        raise Unavailable(f"missing {wanted}; only root can install it")
    options = ["--yes", "--no-install-recommends", "--quiet"]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install(["apt-get", "update", "--quiet"], HERE, quiet)
    install(["apt-get", "install", *options, *packages], HERE, quiet)


def _is_there(program_or_file: str | Path) -> bool:
    if isinstance(program_or_file, Path):
        return program_or_file.exists()
    return shutil.which(program_or_file) is not None


def install(command: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
    """Run a package manager. Raises Unavailable when it cannot."""
    try:
        run(command, folder, env)
    except RuntimeError as error:
        raise Unavailable(str(error)) from None


def run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """Run a program to its end; return what it said. Raises RuntimeError with its last words."""
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-800:]}")
    return done.stdout
