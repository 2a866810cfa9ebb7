"""The replayed commands are those of the official library, byte by byte."""

import re
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.clients import languages, nats_cli, nats_wire
from tests.clients.nats_wire import Wire

INFO = b'INFO {"server_id":"X","version":"2.15.1","proto":1,"headers":true,"max_payload":1024}\r\n'
SHORT_S = 0.1


def recorded(run: Callable[[str], object]) -> bytes:
    """What a client sends to a server that never answers; random parts as `N` and `T`."""
    received = b""

    def serve() -> None:
        nonlocal received
        with listening.accept()[0] as connection, suppress(ConnectionResetError):
            connection.sendall(INFO)
            while more := connection.recv(65_536):
                received += more
                connection.sendall(b"PONG\r\n" * more.count(b"PING\r\n"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        run(f"nats://127.0.0.1:{listening.getsockname()[1]}")
        server.join()
    masked = re.sub(rb"_INBOX\.\w{22}(\.\w{8})?", lambda m: b"N.T" if m[1] else b"N", received)
    return re.sub(rb'"version":"[^"]+"', b"", masked)


def replayed(url: str) -> None:
    with Wire(url) as wire:
        nats_cli.req(wire, "deliberation.list", b'{"limit": 1}', timeout_s=SHORT_S)
        nats_cli.gathered(wire, dict, "$SRV.INFO.conclave-agent", wait_for=1)
        with pytest.raises(TimeoutError):
            wire.request("$JS.API.STREAM.INFO.DELIBERATIONS", b"")
        wire.publish("$JS.ACK.x", "", b"+ACK")
        wire.send(b"PING\r\n")  # nats.go's Flush


def test_they_are_sent_as_nats_go_sends_them(
    make_client: Callable[[str, str], object], monkeypatch: pytest.MonkeyPatch
):
    make_client("go", "")
    monkeypatch.setattr(nats_cli, "TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(nats_wire, "REPLY_S", SHORT_S)
    program = languages.go_program("as_the_cli")
    official = recorded(lambda url: subprocess.run([program, url], check=True))
    assert recorded(replayed).split(b"\r\n") == official.split(b"\r\n")
