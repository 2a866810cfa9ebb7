"""JSON in the text of a writer that nothing forces to write JSON alone."""

import re
from collections.abc import Iterator

import msgspec

_FENCED = re.compile(r"```\w*\s*\n(.*?)```", re.DOTALL)


def json_in(text: str) -> str | None:
    """Return the JSON of a text: the whole of it, else a fenced block, else its one object."""
    return next((each for each in _candidates(text) if _is_json(each)), None)


def _candidates(text: str) -> Iterator[str]:
    yield text.strip()
    yield from (block.strip() for block in _FENCED.findall(text))
    yield text[text.find("{") : text.rfind("}") + 1]


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True
