"""Which queues an agent serves."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from actors.councils import queues_of
from schemas.council import Council

EVERY = "*"
"""Stands for the queues of all councils that nobody else serves by name."""


def wanted(
    named: Iterable[str], elsewhere: AbstractSet[str], councils: Iterable[Council]
) -> frozenset[str]:
    """Every queue that is `named`, and with `*` those of `councils` but `elsewhere`."""
    own = frozenset(named)
    if EVERY not in own:
        return own
    return (own - {EVERY}) | (queues_of(councils) - elsewhere)
