"""Who we are by a NATS credentials file: its JWT, and what its seed signs for the server.

nats-py does the same with `nkeys`, of which there is no wheel: setting up would have to build it.
A seed is base32 of two bytes that tell its kind, the 32 of an Ed25519 key, and their CRC-16, as
nats-io/nkeys writes it.
"""

import base64
import binascii
import re
from pathlib import Path

from nacl.signing import SigningKey

_JWT = re.compile(r"BEGIN NATS USER JWT-+\s+(\S+)\s+-+END")
_SEED = re.compile(r"BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END")
_KIND, _KEY = 2, 32
"""Bytes of the kind of a seed, and of its key."""


class Credentials:
    """A file as `nsc` makes it, read anew for each connection: it may have been exchanged."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def jwt(self) -> bytes:
        """The user's JWT. Raises OSError, ValueError."""
        return self._found(_JWT, "JWT").encode()

    def sign(self, nonce: str) -> bytes:
        """The server's nonce, signed, in base64. Raises OSError, ValueError."""
        return base64.b64encode(self._key().sign(nonce.encode()).signature)

    def check(self) -> None:
        """Raise OSError or ValueError if nobody could connect with it."""
        self.jwt()
        self._key()

    def _key(self) -> SigningKey:
        seed = self._found(_SEED, "seed")
        try:
            raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
        except binascii.Error:
            raw = b""
        key, crc = raw[:-2], int.from_bytes(raw[-2:], "little")
        if len(key) != _KIND + _KEY or binascii.crc_hqx(key, 0) != crc:
            raise ValueError("its seed is none")
        return SigningKey(key[_KIND:])

    def _found(self, block: re.Pattern[str], name: str) -> str:
        found = block.search(self._file.read_text(errors="replace"))
        if found is None:
            raise ValueError(f"it has no {name}")
        return found[1]
