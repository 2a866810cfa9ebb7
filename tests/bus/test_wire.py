"""On the wire: headers are read as nats-py reads them, and no bytes end a connection."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from actors.bus import Message, Unavailable
from actors.bus.nats_bus import NatsBus
from actors.bus.nats_client import read_headers, written
from tests.harness.events import until

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1
)
values = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")))
lines = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode),
    st.builds("{}: {}".format, names, values).map(str.encode),
    st.builds("{}:{}".format, names, values).map(str.encode),
)


@given(lines=st.lists(lines, min_size=1))
def test_headers_are_read_as_nats_py_reads_them(lines: list[bytes]):
    """But for names that nobody may send."""
    block = b"\r\n".join((*lines, b"", b""))
    read = Client._parse_header_lines(block)
    assert read_headers(b"NATS/1.0\r\n" + block) == {
        name: value for name, value in read.items() if re.fullmatch("[!-9;-~]+", name)
    }


@given(raw=st.binary())
def test_no_bytes_make_reading_them_fail(raw: bytes):
    read_headers(raw)


@pytest.mark.parametrize(
    ("raw", "status", "words"),
    [
        (b"NATS/1.0 503\r\n\r\n", "503", None),
        (b"NATS/1.0 404 No Messages\r\n\r\n", "404", "No Messages"),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n", "100", "Idle Heartbeat"),
    ],
)
def test_what_the_server_says_itself_is_shown_as_headers(raw: bytes, status: str, words: str):
    headers = read_headers(raw)
    assert headers["Status"] == status
    assert headers.get("Description") == words
    assert (headers.get("Nats-Last-Consumer") == "7") == (b"Last" in raw)


@given(line=lines | st.binary() | st.builds("{}: x".format, st.text()).map(str.encode))
def test_whatever_header_was_read_can_be_sent_again(line: bytes):
    headers = read_headers(b"NATS/1.0\r\n" + line + b"\r\n\r\n")
    assert read_headers(written(headers)).keys() == headers.keys()


async def test_a_value_on_several_lines_arrives_on_one(bus: NatsBus):
    async def echo(message: Message) -> None:
        await bus.publish(message.reply, message.headers["Said"].encode())

    await bus.serve("echo", echo)
    reply = await bus.request("echo", b"", {"Said": "one\r\nX: two\n\u00e4 "})
    assert reply.body.decode() == "one X: two \u00e4"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "a\r\nb", "a\x7f"])
async def test_a_header_without_a_proper_name_is_not_sent(bus: NatsBus, name: str):
    with pytest.raises(Unavailable):
        await bus.publish("news", b"", {name: "value"})


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0\r\n\r\n"])
async def test_a_subject_that_would_be_another_command_is_not_sent(bus: NatsBus, subject: str):
    with pytest.raises(Unavailable):
        await bus.publish(subject, b"")


async def test_n23_a_subject_that_is_no_text_ends_nothing(bus: NatsBus):
    heard: list[bytes] = []
    await bus.listen("news.*", lambda message: heard.append(message.body))
    await bus._nc._send_command(b"PUB news.\xff \xfe 1\r\na\r\n")
    await bus.publish("news.b", b"b")
    await until(lambda: heard == [b"a", b"b"])
