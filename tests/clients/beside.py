"""What clients find when they come: prepared over a socket, which is quicker than by a client."""

import json
import time
from typing import Any

from subjects import names
from tests.clients import nats_cli
from tests.clients.nats_wire import Wire
from tests.clients.programs import asked, unique

PATIENCE_S = 20.0


class Beside:
    """Somebody beside the client who is tested."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, subject: str, message: Any) -> Any:
        """Send a request, or bytes as they are; return its reply, which must be no error."""
        reply = self._reply(subject, message)
        assert "error" not in reply, reply
        return reply

    def _reply(self, subject: str, message: Any) -> Any:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        with Wire(self._url) as wire:
            (reply,) = nats_cli.req(wire, subject, body, timeout_s=PATIENCE_S)
        return json.loads(reply.body)

    def council(self, queue: str = "DEV") -> str:
        """The role of a new council with one seat, served by the pool that serves `queue`."""
        role = unique("role")
        seat = {"id": "one", "persona": "plain", "queue": queue}
        return self.send(names.COUNCIL_CREATE, {"role": role, "seats": [seat]})["role"]

    def opened(self, **request: Any) -> str:
        """The id of a deliberation that is accepted."""
        return self.send(names.REQUEST, asked(task_id=unique(), **request))["task_id"]

    def running(self) -> str:
        """The id of a deliberation whose seat does not answer in time."""
        return self.opened(role=self.council("slow"))

    def over(self) -> str:
        """The id of a deliberation that has ended, with its ballots."""
        task_id = self.opened(protocol="ranked")
        return self.send(names.WAIT, {"task_id": task_id})["task_id"]

    def seat(self) -> dict[str, str]:
        """What a foreign program knows of the seat it holds."""
        join = {"role": unique("role"), "seat": "guest", "create": True, "persona": "plain"}
        joined = self.send(names.COUNCIL_JOIN, join)
        return {field: joined[field] for field in ("role", "seat", "lease")}

    def dead_letter(self) -> int:
        """The id of a message that no agent could read."""
        stored = self.send(names.agent_request("DEV"), b"nope")["seq"]
        deadline = time.monotonic() + PATIENCE_S
        while "error" in self._reply(names.DEAD_GET, {"id": stored}):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return stored
