"""Models that are on this machine: the bundled one, and one of random weights.

The untrained one hardly ever ends a text before `max_tokens`: its seats all write equally much,
which makes it the right one to time. It is made once and kept in the machine's temporary folder.
"""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from actors.engines.models import BUNDLED_FOLDER

MAKER = Path(__file__).parents[1] / "engine" / "untrained.py"


def untrained(scale: int = 1, positions: int = 2_048) -> Path:
    """Return the folder of a model of random weights, making it if it is not there yet."""
    version = zlib.crc32(MAKER.read_bytes())
    name = f"conclave-untrained-{version:08x}-{scale}-{positions}"
    folder = Path(tempfile.gettempdir()) / name
    if not any(folder.glob("*.safetensors")):
        made = [sys.executable, str(MAKER), str(folder), str(scale), str(positions)]
        subprocess.run(made, check=True, capture_output=True)
    return folder


def available() -> dict[str, Path]:
    """Return every model there is, by the name that stands in the tables."""
    found = {"untrained": untrained(), "untrained 50M": untrained(4)}
    if (BUNDLED_FOLDER / "config.json").is_file():
        found["bundled"] = BUNDLED_FOLDER
    return found
