"""Messages are found in a stream whatever allowed spelling their headers have, and however they arrive."""

import asyncio

import pytest

from lsp_server.framing import FramingError, read_bodies


async def bodies(*chunks: bytes) -> list[bytes]:
    """The bodies in a stream that arrives in pieces and then ends."""
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return [body async for body in read_bodies(reader)]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 2\r\n\r\n",
        b"content-length: 2\r\n\r\n",
        b"CONTENT-LENGTH:2\r\n\r\n",
        b"Content-Length:    2\t \r\n\r\n",
        b"Content-Length: 0002\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n",
        b"X-Other: a: b\r\nContent-Length: 2\r\n\r\n",
        b"\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2\n\n",
    ],
)
async def test_every_allowed_spelling_of_the_header_is_read(header: bytes) -> None:
    assert await bodies(header + b"{}" + header + b"[]") == [b"{}", b"[]"]


async def test_a_message_that_arrives_byte_by_byte_is_whole() -> None:
    stream = b"Content-Length: 4\r\n\r\n\r\n\r\nContent-Length: 1\r\n\r\n7"

    assert await bodies(*(bytes([byte]) for byte in stream)) == [b"\r\n\r\n", b"7"]


@pytest.mark.parametrize("end", [b"", b"Content-Le", b"Content-Length: 5\r\n", b"Content-Length: 5\r\n\r\n{}"])
async def test_a_stream_that_breaks_off_ends(end: bytes) -> None:
    assert await bodies(b"Content-Length: 2\r\n\r\n{}" + end) == [b"{}"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"Content-Length: many\r\n\r\n", "cannot be 'many'"),
        (b"Content-Length: -2\r\n\r\n", "cannot be '-2'"),
        (b"Content-Length: +2\r\n\r\n", "cannot be '\\+2'"),
        (b"Content-Length: 99999999999\r\n\r\n", "cannot be"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "cannot be"),
        (b"Content-Type: application/vscode-jsonrpc\r\n\r\n{}", "has no Content-Length"),
        (b'{"jsonrpc": "2.0"}\r\n', "has no field|has no Content-Length"),
        (b"hello\r\n", "has no field 'hello'"),
        (b"x" * 100_000, "has no end"),
    ],
)
async def test_what_is_no_message_is_refused_and_not_waited_for(header: bytes, words: str) -> None:
    with pytest.raises(FramingError, match=words):
        await bodies(header + b"{}\r\n\r\n")


@pytest.mark.parametrize("begun", [b"Content-", b"Content-Length: 9\r\n", b"Content-Length: 9\r\n\r\n{}", b"\r\n"])
async def test_a_message_that_never_ends_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("lsp_server.framing.MESSAGE_LIMIT_S", 0.01)
    reader = asyncio.StreamReader()
    reader.feed_data(b"Content-Length: 2\r\n\r\n{}" + begun)
    read = read_bodies(reader)

    assert await anext(read) == b"{}"
    with pytest.raises(FramingError, match="did not come to its end"):
        await anext(read)
