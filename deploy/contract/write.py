"""Write the contract as the code has it into this folder: `just contract`.

asyncapi.json     AsyncAPI 3.0
schemas/          JSON Schema of every message, each file complete
golden/           every example as captured on the wire, in JSON and MessagePack
contract.md       the same as a page, also as contract.html

    --check       change nothing; fail when something would change
    --release     freeze document and captures in released/<version>; later versions are held to it
"""

import re
import shutil
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from schemas.contract.files import files  # noqa: E402  (the checkout, found through the line above)
from schemas.version import VERSION  # noqa: E402

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border: 1px solid #ccc; padding: .2rem .5rem; text-align: left; vertical-align: top }
pre { background: #f4f4f4; padding: .75rem; overflow: auto }
pre:has(.language-json) { max-height: 24rem }
code { font-size: 90% }
h2 { border-bottom: 1px solid #ccc; margin-top: 3rem }
"""


def html(markdown: str) -> bytes:
    """Return the page as one file that needs no other; headings can be linked to."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown)
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", inline.content.lower())
            heading.attrSet("id", words.replace(" ", "-"))
    body = parser.renderer.render(tokens, parser.options, {})
    head = f'<meta charset="utf-8"><title>Conclave, contract {VERSION}</title>'
    return f'<!doctype html><html lang="en">{head}<style>{STYLE}</style>\n{body}</html>\n'.encode()


def wanted() -> Mapping[str, bytes]:
    """Return every file of this folder that is made from the code."""
    made = files()
    return {**made, "contract.html": html(made["contract.md"].decode())}


def changes(made: Mapping[str, bytes]) -> list[Path]:
    """Return the files that differ from what they should be, those that should not be included."""
    paths = {FOLDER / name: body for name, body in made.items()}
    there = {path for folder in ("golden", "schemas") for path in (FOLDER / folder).glob("*")}
    differ = [p for p, body in paths.items() if not p.exists() or p.read_bytes() != body]
    return [*differ, *sorted(there - paths.keys())]


def write(made: Mapping[str, bytes]) -> None:
    """Bring the folder in step with the code."""
    for path in changes(made):
        body = made.get(path.relative_to(FOLDER).as_posix())
        print(f"{'removed' if body is None else 'wrote'} {path.relative_to(FOLDER)}")
        if body is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(body)


def release() -> None:
    """Freeze what was written. Raises FileExistsError: what was released is never changed."""
    frozen = FOLDER / "released" / VERSION
    shutil.copytree(FOLDER / "golden", frozen / "golden")
    shutil.copy(FOLDER / "asyncapi.json", frozen)
    print(f"released {VERSION}")


def main(flags: list[str]) -> None:
    """Do as the flags say."""
    made = wanted()
    if "--check" in flags:
        differ = changes(made)
        if differ:
            names = ", ".join(path.relative_to(FOLDER).as_posix() for path in differ)
            sys.exit(f"the contract differs from the code (just contract): {names}")
        return
    write(made)
    if "--release" in flags:
        release()


if __name__ == "__main__":
    main(sys.argv[1:])
