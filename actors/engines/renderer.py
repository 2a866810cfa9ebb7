"""Chats turned into a prompt's tokens by the model's own template, long ones in a thread."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from schemas.agent import ChatMessage

SHORT = 4_000
"""Characters that are rendered at once. That takes a millisecond or two; to go to a thread and come
back takes half a one, a fifth of all that an agent would add to a short prompt's first token."""


class Renderer:
    """Renders one chat at a time: a tokenizer is not to be used by two threads at once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._thread = ThreadPoolExecutor(1, "render")
        self._in_use = Lock()

    async def render(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Return the tokens of a chat, the model's turn begun; nothing in it is the caller's."""
        if sum(len(message.content) for message in messages) <= SHORT and not self._in_use.locked():
            return self._tokens(messages)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._tokens, messages)

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False)

    def _tokens(self, messages: Sequence[ChatMessage]) -> list[int]:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        with self._in_use:
            tokens = self._tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=False
            )
        return list(tokens)
