"""Ballots: who ranks what where, as compact JSON."""

import json
import random
from collections.abc import Sequence

from corpus.peers import Peer

JUDGE = "For each labelled proposal write one line: its label and good, off topic or broken."


def ballot(peers: Sequence[Peer], rng: random.Random) -> str:
    """Rank good texts by how many of the task's words they cover, faulty ones last, not approved."""
    order = sorted(peers, key=lambda peer: (bool(peer.fault), -peer.covered, rng.random()))
    good = [peer.label for peer in order if not peer.fault]
    return json.dumps(
        {"ranking": [peer.label for peer in order], "approve": good}, separators=(",", ":")
    )


def judgement(peers: Sequence[Peer]) -> str:
    """An exercise that trains the same judgement: a word for every text."""
    words = {"": "good", "off topic": "off topic"}
    return "\n".join(f"{peer.label}: {words.get(peer.fault, 'broken')}" for peer in peers)
