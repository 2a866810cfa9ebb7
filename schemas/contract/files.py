"""The contract as the files of `deploy/contract/`."""

from collections.abc import Mapping

from schemas.contract import golden, json_schema
from schemas.contract.asyncapi import document
from schemas.contract.markdown import page


def files() -> Mapping[str, bytes]:
    """Every file by its path inside that folder."""
    return {
        "asyncapi.json": golden.pretty(document()),
        "contract.md": page().encode(),
        **{
            f"schemas/{kind.__name__}.json": golden.pretty(json_schema.standalone(kind))
            for kind in json_schema.messages()
        },
        **{f"golden/{name}": body for name, body in golden.captures().items()},
    }
