"""Tokens: a request carries one, and only who was asked can send it back.

A token follows from the secret in the stored opening and from task, round and seat. So whoever
folds the events can check it, a redelivered request carries the same one, and a seat that never
got a request cannot answer it. It also ends the message ids: doubles are dropped by id within the
whole stream, and an id that can be guessed would let one seat silence another.
"""

import hashlib
import hmac
import secrets

_BYTES = 16


def new_secret() -> str:
    """A secret for one deliberation: 128 random bits as hexadecimal digits."""
    return secrets.token_hex(_BYTES)


def token(secret: str, task_id: str, round_number: int, seat: str) -> str:
    """The token of one request; empty where there is no secret, as in openings of old."""
    if not secret:
        return ""
    name = f"{task_id}/{round_number}/{seat}".encode()
    return hmac.new(secret.encode(), name, hashlib.sha256).hexdigest()[: 2 * _BYTES]


def same(one: str, other: str) -> bool:
    """Whether two tokens are equal, without telling by its time how far they are."""
    return hmac.compare_digest(one.encode(), other.encode())
