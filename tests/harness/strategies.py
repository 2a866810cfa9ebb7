"""Any message of a kind, derived from its types and bounds."""

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, inspect

import schemas.agent
import schemas.council
import schemas.deliberation
import schemas.errors
import schemas.progress
import schemas.result
import schemas.service

_MODULES = (
    schemas.agent,
    schemas.council,
    schemas.deliberation,
    schemas.errors,
    schemas.progress,
    schemas.result,
    schemas.service,
)
KINDS: tuple[type[Struct], ...] = tuple(
    kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Struct) and kind.__module__ == module.__name__
)
"""Every Struct that crosses the wire."""

_FEW = 3
_PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)

_TOKEN = st.text("aZ09_-", min_size=1, max_size=6)
_PATTERNS = {
    r"^[A-Za-z0-9_-]{1,64}(?![\s\S])": _TOKEN,
    r"^[A-Za-z][A-Za-z0-9_-]{0,47}(?![\s\S])": st.builds("N{}".format, _TOKEN),
    r"\S": st.builds("{}!".format, st.text(max_size=12)),
}
"""Written out, since hypothesis is slow at regular expressions that look ahead."""


def message(kind: Any) -> st.SearchStrategy[Any]:
    """Any instance of a Struct, a union of them, or a constrained type."""
    return _of(inspect.type_info(kind))


def _of(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case inspect.Metadata():
            return _of(info.type)
        case inspect.StructType():
            return st.builds(info.cls, **{field.name: _of(field.type) for field in info.fields})
        case inspect.UnionType():
            return st.one_of([_of(each) for each in info.types])
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.VarTupleType():
            least = info.min_length or 0
            return st.lists(_of(info.item_type), min_size=least, max_size=least + _FEW).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_of(info.key_type), _of(info.value_type), max_size=_FEW)
        case inspect.StrType():
            return _text(info)
        case inspect.IntType():
            low, high = info.ge, info.le
            return st.integers(-(2**53) if low is None else low, 2**53 if high is None else high)
        case inspect.FloatType():
            return _float(info)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return _PLAIN
    raise TypeError(f"no strategy for values of {info}")


def _text(info: inspect.StrType) -> st.SearchStrategy[str]:
    least = info.min_length or 0
    if info.pattern is not None:
        return _PATTERNS[info.pattern]
    return st.text(min_size=least, max_size=min(info.max_length or 12, least + 12))


def _float(info: inspect.FloatType) -> st.SearchStrategy[float]:
    low = info.ge if info.ge is not None else info.gt
    high = info.le if info.le is not None else info.lt
    return st.floats(
        low,
        high,
        exclude_min=info.gt is not None,
        exclude_max=info.lt is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def mangled(body: bytes) -> st.SearchStrategy[bytes]:
    """A valid body with a piece cut out, replaced or repeated."""
    places = st.integers(0, len(body))
    return st.builds(
        lambda start, stop, piece: body[:start] + piece + body[stop:],
        places,
        places,
        st.binary(max_size=4),
    )
