"""Make the locks: exact pins with hashes, and no index, host or path in them.

    just lock             keep the pins that still fit, add and drop what changed
    just lock --upgrade   newest of everything that pyproject.toml allows
    just audit            (--check) change nothing; fail when the locks would change

One file per kind of machine, each complete in itself (core, dev and tools included); the core lock
is held to the CPU lock's versions. The CPU build of torch is the difficulty: package registries do
not have it, and an offline machine has it for one Python only. So its wheel takes part in the
resolution as a stub (its metadata, valid for every Python), and the hashes come from TORCH_CPU.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SETUP = Path(__file__).resolve().parent
ROOT = SETUP.parent.parent
sys.path.insert(0, str(SETUP))
from install import pip_config, uv_environment  # noqa: E402  (a script's neighbour, found through the line above)

TORCH_CPU_VERSION = "2.13.0+cpu"
# sha256 of the CPU wheels as their index publishes them, Linux, CPython 3.11 to 3.14.
TORCH_CPU = {
    "cp311-x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "cp312-x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "cp313-x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    "cp314-x86_64": "d20fa53ee744502fa4c69818a720b05ca0d37abd055d4f6e66cae155114bc691",
    "cp311-aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
    "cp312-aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
    "cp313-aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    "cp314-aarch64": "ca021f9eb2f8345c83fa03e3a04587308afb8df71bd472670b3ece00df58621c",
}
PINNED = re.compile(r"[a-z0-9.-]+==\S+( ; .+?)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n$")
FORBIDDEN = re.compile(r"://|^\s*(-i|-f|--(extra-)?index-url|--find-links)\b|@ file:", re.MULTILINE)


def compile_lock(name: str, inputs: list[str], options: list[str], folder: Path) -> Path:
    """Resolve `inputs` into the folder's requirements-<name>.txt, from the pins already there."""
    out = folder / f"requirements-{name}.txt"
    fixed = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    quiet = ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    command = ["uv", "pip", "compile", *inputs, *fixed, *quiet, *upgrade, *options, "-o", str(out)]
    if subprocess.run(command, cwd=ROOT, env=uv_environment(), check=False).returncode != 0:
        sys.exit(f"lock: {name} does not resolve (see above); nothing was changed")
    return out


def torch_stub(wheel: Path, folder: Path) -> None:
    """Write a wheel of torch's metadata alone, tagged for any Python."""
    info = f"torch-{TORCH_CPU_VERSION}.dist-info"
    with zipfile.ZipFile(wheel) as real:
        metadata = real.read(f"{info}/METADATA")
    tags = b"Wheel-Version: 1.0\nGenerator: lock\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {f"{info}/METADATA": metadata, f"{info}/WHEEL": tags}
    record = f"{info}/RECORD,,\n"
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    with zipfile.ZipFile(folder / f"torch-{TORCH_CPU_VERSION}-py3-none-any.whl", "w") as stub:
        for path, data in (files | {f"{info}/RECORD": record.encode()}).items():
            stub.writestr(path, data)


def write_torch_hashes(lock: Path) -> None:
    """Put the hashes of the real CPU wheels where the stub's (or the index's own) stand."""
    block = re.compile(r"^(torch==\S+\+cpu[^\\\n]*)((?: \\\n +--hash=\S+)+)$", re.MULTILINE)
    text = lock.read_text()
    found = block.search(text)
    if found is None or not found[1].startswith(f"torch=={TORCH_CPU_VERSION}"):
        sys.exit(f"lock: {lock.name} does not pin torch=={TORCH_CPU_VERSION}: bring TORCH_CPU up")
    hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(TORCH_CPU.values()))
    lock.write_text(block.sub(lambda match: match[1] + hashes, text))


def simplify_markers(lock: Path) -> None:
    """Drop from every marker what holds on each machine that the locks are made for."""
    text = lock.read_text()
    for always in (
        " and implementation_name == 'cpython'",
        " and platform_python_implementation == 'CPython'",
        "python_full_version < '3.15' and ",
        " and python_full_version < '3.15'",
    ):
        text = text.replace(always, "")
    mac = "(platform_machine == 'arm64' and sys_platform == 'darwin')"
    arm = "(platform_machine == 'aarch64' and sys_platform == 'linux')"
    pc = "(platform_machine == 'x86_64' and sys_platform == 'linux')"
    text = text.replace(f" and ({mac} or {arm} or {pc})", "")
    text = text.replace(f" ; ({mac} or {arm} or {pc})", "")
    text = text.replace(f" ; {mac} or {arm} or {pc}", "")
    text = text.replace(f"({arm} or {pc})", "sys_platform == 'linux'")
    text = text.replace(f"{arm} or {pc}", "sys_platform == 'linux'")
    lock.write_text(text)


def make_locks(folder: Path) -> list[Path]:
    """Write the four locks into the folder."""
    engine = ["--excludes", str(SETUP / "excludes-engine.txt")]
    cpu = [*engine, "--excludes", str(SETUP / "excludes-cpu.txt"), "--extra", "cpu"]
    everything = ["--group", "dev", "--group", "tools"]
    project = ["pyproject.toml"]
    name = f"torch-{TORCH_CPU_VERSION}-*.whl"
    wheels = [w for place in pip_config("find-links") for w in sorted(Path(place).glob(name))]
    where = ["--torch-backend", "cpu"]
    if wheels:
        torch_stub(wheels[0], folder)
        where = ["--find-links", str(folder)]
    locks = [compile_lock("cpu", project, [*everything, *cpu, *where], folder)]
    write_torch_hashes(locks[0])
    held = ["--constraints", str(locks[0])]
    locks += [
        compile_lock("core", project, [*everything, *held], folder),
        compile_lock("gpu", project, [*everything, *engine, "--extra", "gpu"], folder),
        compile_lock("tools", [], ["--group", "tools", *held], folder),
    ]
    for lock in locks:
        simplify_markers(lock)
    return locks


def faults(lock: Path) -> list[str]:
    """Return what must not be in a lock that goes to other machines."""
    text = lock.read_text()
    pins = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    places = [f"names a place: {match[0]!r}" for match in FORBIDDEN.finditer(text)]
    return places + [f"not pinned by hash: {pin}" for pin in pins if not PINNED.match(pin)]


def main() -> None:
    """Make the locks beside the old ones; put them in place if they are good."""
    check = "--check" in sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for old in SETUP.glob("requirements-*.txt"):
            shutil.copy(old, folder)
        for lock in make_locks(Path(folder)):
            if found := faults(lock):
                sys.exit("\n  ".join([f"lock: {lock.name}", *found]))
            old = SETUP / lock.name
            same = old.exists() and old.read_bytes() == lock.read_bytes()
            if check and not same:
                sys.exit(f"lock: {lock.name} does not follow from pyproject.toml: run `just lock`")
            shutil.copy(lock, SETUP)
            pins = len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))
            print(f"  {lock.name}: {pins} pins, {'unchanged' if same else 'written'}")


if __name__ == "__main__":
    main()
