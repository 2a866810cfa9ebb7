"""Protocols by name. A protocol is one file with one interface; adding one adds a line here."""

from actors.protocols.independent import Independent
from actors.protocols.rules import Rules, Standing

PROTOCOLS: dict[str, Rules] = {"independent": Independent()}

__all__ = ["PROTOCOLS", "Rules", "Standing"]
