"""`read_bodies`: the bodies of the messages in a stream, whatever allowed spelling their headers have.

The base protocol of LSP: lines "Name: value", an empty line, and as many bytes as Content-Length says. Names are
read whatever their capitals and values whatever the white space around them, as in HTTP, whose rules LSP follows. It
knows no JSON and no method.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_BODY_BYTES = 1 << 30
MESSAGE_LIMIT_S = 60.0  # from a message's first byte to its last
_LENGTH_DIGITS = 20  # more of them mean no length, and int() takes long over many


class FramingError(Exception):
    """The stream holds something else than messages; where the next one would begin, nobody knows."""


async def read_bodies(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yields each message's body until the stream ends, be it inside a message.

    Raises:
        FramingError: A header gives no length, the stream holds no header, or a message does not end.
    """
    loop = asyncio.get_running_loop()
    endless = FramingError(f"a message did not come to its end within {MESSAGE_LIMIT_S:.0f} seconds")
    with contextlib.suppress(asyncio.IncompleteReadError):
        while first := await reader.read(1):
            limit = loop.call_later(MESSAGE_LIMIT_S, reader.set_exception, endless)
            try:
                n_bytes = await _read_header(reader, first)
                body = await reader.readexactly(n_bytes)
            finally:
                limit.cancel()
            yield body


async def _read_header(reader: asyncio.StreamReader, first: bytes) -> int:
    """The length of the body that follows.

    Args:
        reader: Stands behind the header's first byte.
        first: That byte.
    """
    n_bytes: int | None = None
    is_empty = True
    begun = first
    while True:
        try:
            line = begun if begun == b"\n" else begun + await reader.readline()
            begun = b""
        except ValueError as error:  # longer than the reader's limit
            raise FramingError("a line of a message's header has no end") from error
        if not line.endswith(b"\n"):
            raise asyncio.IncompleteReadError(line, None)
        field = line.strip()
        if field:
            is_empty = False
            name, colon, value = field.partition(b":")
            if not colon:
                raise FramingError(f"a message's header has no field {_shown(field)}")
            if name.strip().lower() == b"content-length":
                n_bytes = _length(value.strip())
        elif n_bytes is not None:
            return n_bytes
        elif not is_empty:
            raise FramingError("a message's header has no Content-Length")


def _length(value: bytes) -> int:
    # int() alone would take signs, underscores and digits of other scripts.
    if not (value.isdigit() and len(value) < _LENGTH_DIGITS and int(value) <= MAX_BODY_BYTES):
        raise FramingError(f"a message's Content-Length cannot be {_shown(value)}")
    return int(value)


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("ascii", "replace"))
