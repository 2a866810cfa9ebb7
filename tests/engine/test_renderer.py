"""A short chat is rendered at once, a long one without holding up anybody else."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.engines.renderer import SHORT, Renderer
from schemas.agent import ChatMessage

transformers = pytest.importorskip("transformers")

MODEL = Path(__file__).parents[2] / "deploy" / "models" / "nano"


def chat(characters: int) -> list[ChatMessage]:
    text = "why so slow? " * characters
    return [ChatMessage(role="user", content=text[:characters])]


class Held:
    """A tokenizer that takes until it is let go; knows how many used it at a time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.most = self.users = 0

    def apply_chat_template(self, chat: Any, **_: Any) -> list[int]:
        self.users += 1
        self.most = max(self.most, self.users)
        assert self.go.wait(10)
        self.users -= 1
        return [len(chat[0]["content"])]


@pytest.fixture
def held() -> Iterator[Held]:
    tokenizer = Held()
    yield tokenizer
    tokenizer.go.set()


@pytest.mark.parametrize("characters", [1, SHORT, SHORT + 1, 5 * SHORT])
async def test_tokens_are_the_templates_whatever_the_length(characters: int):
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    renderer = Renderer(tokenizer)
    messages = chat(characters)
    tokens = await renderer.render(messages)
    text = f"<|im_start|>user\n{messages[0].content}<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(tokens) == text
    renderer.close()


async def test_a_short_chat_never_leaves_the_loop(held: Held):
    held.go.set()
    renderer = Renderer(held)
    rendering = renderer.render(chat(SHORT))
    with pytest.raises(StopIteration):
        rendering.send(None)
    renderer.close()


async def test_a_long_chat_holds_nobody_up_and_has_the_tokenizer_for_itself(held: Held):
    renderer = Renderer(held)
    long = asyncio.ensure_future(renderer.render(chat(SHORT + 1)))
    while not held.users:
        await asyncio.sleep(0.001)
    short = asyncio.ensure_future(renderer.render(chat(1)))
    await asyncio.sleep(0)
    assert not short.done()
    held.go.set()
    assert await asyncio.gather(long, short) == [[SHORT + 1], [1]]
    assert held.most == 1
    renderer.close()
