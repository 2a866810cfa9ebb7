"""Protocols by name. A protocol is one file with one interface; adding one adds a line here."""

from actors.protocols.independent import Independent
from actors.protocols.ranked import Ranked
from actors.protocols.revised import Revised
from actors.protocols.rules import Rules
from actors.protocols.synthesized import Synthesized
from actors.protocols.vote import Vote
from schemas.deliberation import ProtocolName

PROTOCOLS: dict[ProtocolName, Rules] = {
    "independent": Independent(),
    "ranked": Ranked(),
    "revised": Revised(),
    "synthesized": Synthesized(),
    "vote": Vote(),
}

__all__ = ["PROTOCOLS", "Rules"]
