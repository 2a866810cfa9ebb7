"""A seat's request as one text, and the answer in a text: for writers that know no chat."""

from actors.engines.engine import Generation, GenerationRefused
from actors.guests.json_text import json_in
from schemas.codec import encode


def prompt_of(generation: Generation) -> str:
    """Return the chat as one prompt, and in words what an engine is told beside it."""
    parts = [message.content for message in generation.messages]
    if generation.response_schema is not None:
        schema = encode(generation.response_schema).decode()
        parts.append(f"Answer with JSON alone, which obeys this JSON Schema:\n{schema}")
    return "\n\n".join(parts)


def checked(text: str, generation: Generation) -> str:
    """Return the answer in a text: its JSON where a schema was given, else the whole of it.

    Raises GenerationRefused when there is none.
    """
    if generation.response_schema is not None:
        found = json_in(text)
        if found is None:
            raise GenerationRefused("not_json", "the seat was asked for JSON and wrote none")
        return found
    if not text.strip():
        raise GenerationRefused("empty_answer", "the seat ended without a text")
    return text
