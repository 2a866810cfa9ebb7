"""Who may connect, and what is said to those who cannot."""

import base64
import binascii
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from actors.bus import Unavailable
from actors.bus.login import login
from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from supervisor.nats_server import LOOPBACK, binary, bound

UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
ACCOUNT = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


class Keys:
    """A pair of keys of a kind: O(perator), A(ccount) or U(ser), told as NATS does."""

    def __init__(self, kind: str) -> None:
        self._key = SigningKey.generate()
        prefix = (ord(kind) - ord("A")) << 3
        seed = bytes([18 << 3 | prefix >> 5, (prefix & 31) << 3]) + bytes(self._key)
        self.seed = told(seed)
        self.name = told(bytes([prefix]) + bytes(self._key.verify_key))

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(text).signature


def told(raw: bytes) -> str:
    crc = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + crc).decode().rstrip("=")


def signed(by: Keys, of: Keys, kind: str, **claims: object) -> str:
    """A JWT of NATS: what `nsc` writes."""
    said = {
        "jti": secrets.token_hex(8),
        "iat": int(time.time()),
        "iss": by.name,
        "sub": of.name,
        "name": kind,
        "nats": {"type": kind, "version": 2, **claims},
    }
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (head, said)]
    text = b".".join(part.rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(by.sign(text)).rstrip(b"=")
    return b".".join((text, signature)).decode()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[BusSettings]:
    """A server that lets in who has credentials, and ours."""
    operator = Keys("O")
    account = Keys("A")
    user = Keys("U")
    with bound(LOOPBACK, 0) as free:
        port = free
    config = {
        "host": LOOPBACK,
        "port": port,
        "operator": signed(operator, operator, "operator"),
        "resolver": "MEMORY",
        "resolver_preload": {
            account.name: signed(operator, account, "account", limits=UNLIMITED | ACCOUNT)
        },
    }
    (tmp_path / "nats.conf").write_text(json.dumps(config))
    (tmp_path / "us.creds").write_text(
        "-----BEGIN NATS USER JWT-----\n"
        f"{signed(account, user, 'user', pub={}, sub={}, **UNLIMITED)}\n"
        "------END NATS USER JWT------\n\n"
        "-----BEGIN USER NKEY SEED-----\n"
        f"{user.seed}\n"
        "------END USER NKEY SEED------\n"
    )
    server = subprocess.Popen(
        [binary(), "-c", str(tmp_path / "nats.conf")], stderr=subprocess.DEVNULL
    )
    yield BusSettings(url=f"nats://{LOOPBACK}:{port}", creds_file=str(tmp_path / "us.creds"))
    server.kill()
    server.wait()


async def test_credentials_open_the_door(guarded: BusSettings):
    bus = await connect(guarded, "test")
    assert await bus.healthy()
    await bus.close()


async def test_without_credentials_it_is_shut(guarded: BusSettings):
    with pytest.raises(Unavailable, match="refuses our credentials"):
        await connect(BusSettings(url=guarded.url), "test")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"creds_file": "/nowhere/us.creds"}, "nats.creds_file: /nowhere/us.creds"),
        ({"creds_file": __file__}, "it has no JWT"),
        ({"ca_file": "/nowhere/ca.pem"}, "nats.ca_file: /nowhere/ca.pem"),
        ({"url": "nats://127.0.0.1:99999"}, "99999"),
    ],
)
async def test_what_cannot_be_is_said_at_once(settings: dict[str, str], named: str):
    with pytest.raises(Unavailable, match=named):
        await connect(BusSettings(**settings), "test", timeout_s=5.0)


def test_a_seed_that_was_mistyped_is_none(guarded: BusSettings):
    file = Path(guarded.creds_file)
    text = file.read_text()
    seed = text.splitlines()[5]
    file.write_text(text.replace(seed, seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:]))
    with pytest.raises(Unavailable, match="its seed is none"):
        login(guarded)
