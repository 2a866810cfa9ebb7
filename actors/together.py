"""Several actors in one process: ready when all are, and over when one is."""

from actors.actor import Actor


class Together:
    """Runs a main actor, whose name the process answers to, with others beside it."""

    def __init__(self, main: Actor, *others: Actor) -> None:
        self.service = main.service
        self.failed = main.failed
        self._actors = (main, *others)
        for other in others:
            other.failed = main.failed

    async def start(self) -> None:
        """See `Actor`."""
        for actor in reversed(self._actors):
            await actor.start()

    async def drain(self) -> None:
        """See `Actor`."""
        for actor in self._actors:
            await actor.drain()
