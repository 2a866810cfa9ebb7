"""Fuzz the message boundary for as long as you like, guided by coverage (atheris, libFuzzer).

    just fuzz                        half a minute
    just fuzz -max_total_time=3600   libFuzzer's own flags

Any bytes are a message that can be passed on in either format, or a BadMessage. The first byte of
an input picks the message, the second the format. It begins with the golden captures. A finding is
left as a file `crash-*`; `just fuzz FILE` repeats it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas.codec", "schemas.errors", "schemas.version"]):
    from schemas.codec import JSON, MSGPACK, decode, encode
    from schemas.errors import BadMessage

from schemas.contract.examples import EXAMPLES
from schemas.contract.json_schema import messages

KINDS = messages()
FORMATS = (JSON, MSGPACK)
SECONDS = 30


def pass_on(data: bytes) -> None:
    """Decode an input; what was understood must say the same in either format."""
    if len(data) < 2:
        return
    kind = KINDS[data[0] % len(KINDS)]
    try:
        message = decode(kind, data[2:], FORMATS[data[1] % len(FORMATS)])
    except BadMessage:
        return
    for content_type in FORMATS:
        if decode(kind, encode(message, content_type), content_type) != message:
            raise AssertionError(f"{kind.__name__} changed on its way through {content_type}")


def seeds(folder: Path) -> None:
    """Write the examples as inputs."""
    for number, example in enumerate(EXAMPLES):
        kind = KINDS.index(type(example.message))
        for form, content_type in enumerate(FORMATS):
            body = bytes([kind, form]) + encode(example.message, content_type)
            (folder / f"{number}-{form}").write_bytes(body)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        seeds(Path(folder))
        flags = sys.argv[1:] or [f"-max_total_time={SECONDS}"]
        corpus = [] if any(Path(flag).is_file() for flag in flags) else [folder]
        atheris.Setup([sys.argv[0], *flags, *corpus], pass_on)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
