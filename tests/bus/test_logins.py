"""Who may connect, and what is said to those who cannot."""

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nkeys
import pytest

from actors.bus import Unavailable
from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from supervisor.nats_server import LOOPBACK, binary, bound

UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
ACCOUNT = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


def pair(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(nkeys.encode_seed(secrets.token_bytes(32), prefix))


def name_of(keys: nkeys.KeyPair) -> str:
    return keys.public_key.decode()


def signed(by: nkeys.KeyPair, of: nkeys.KeyPair, kind: str, **claims: object) -> str:
    """A JWT of NATS: what `nsc` writes."""
    told = {
        "jti": secrets.token_hex(8),
        "iat": int(time.time()),
        "iss": name_of(by),
        "sub": name_of(of),
        "name": kind,
        "nats": {"type": kind, "version": 2, **claims},
    }
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (head, told)]
    text = b".".join(part.rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(by.sign(text)).rstrip(b"=")
    return b".".join((text, signature)).decode()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[BusSettings]:
    """A server that lets in who has credentials, and ours."""
    operator = pair(nkeys.PREFIX_BYTE_OPERATOR)
    account = pair(nkeys.PREFIX_BYTE_ACCOUNT)
    user = pair(nkeys.PREFIX_BYTE_USER)
    with bound(LOOPBACK, 0) as free:
        port = free
    config = {
        "host": LOOPBACK,
        "port": port,
        "operator": signed(operator, operator, "operator"),
        "resolver": "MEMORY",
        "resolver_preload": {
            name_of(account): signed(operator, account, "account", limits=UNLIMITED | ACCOUNT)
        },
    }
    (tmp_path / "nats.conf").write_text(json.dumps(config))
    (tmp_path / "us.creds").write_text(
        "-----BEGIN NATS USER JWT-----\n"
        f"{signed(account, user, 'user', pub={}, sub={}, **UNLIMITED)}\n"
        "------END NATS USER JWT------\n\n"
        "-----BEGIN USER NKEY SEED-----\n"
        f"{user.seed.decode()}\n"
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
        ({"ca_file": "/nowhere/ca.pem"}, "nats.ca_file: /nowhere/ca.pem"),
        ({"url": "nats://127.0.0.1:99999"}, "99999"),
    ],
)
async def test_what_cannot_be_is_said_at_once(settings: dict[str, str], named: str):
    with pytest.raises(Unavailable, match=named):
        await connect(BusSettings(**settings), "test", timeout_s=5.0)
