"""`multipart/form-data` as HTML forms send it to S3: small fields, then one file, streamed.

RFC 7578 with S3's rules: the file comes last ("the file or content must be the last form field",
Amazon S3 API Reference, POST Object), what follows it is ignored, and the fields together are
bounded. The parser is fed whatever pieces arrive and holds no more than one of them. It knows
nothing of policies or signatures.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser

from tlslab.store.refusals import Refused

MAX_FIELDS_BYTES = 20 * 1024
"""All that comes before the file: S3's limit for the form fields, 20 KB (POST Object)."""

MAX_HEAD_BYTES = 2 * 1024
"""The header of one part; three short fields."""

MAX_FIELDS = 200
"""Fields before the file: S3 knows about forty, and user metadata is 2 KB."""

MAX_BOUNDARY = 70
"""RFC 2046 section 5.1.1."""

_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]")


@dataclass(frozen=True, slots=True)
class Form:
    """A form up to its file. `fields` have lower-case names; `file` is read once, to its end.

    `filename` is what the browser calls the file, without a path.
    """

    fields: dict[str, str]
    filename: str
    content_type: str | None
    file: AsyncGenerator[bytes]


def boundary(content_type: str | None) -> str:
    """The boundary from a Content-Type.

    Raises Refused: PreconditionFailed if the enclosure type is another, MalformedPOSTRequest if it
    has no boundary that RFC 2046 allows.
    """
    message = Message()
    message["content-type"] = content_type or ""
    if message.get_content_type() != "multipart/form-data":
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise Refused("PreconditionFailed", details={"Condition": condition})
    value = message.get_param("boundary")
    if not isinstance(value, str) or not _BOUNDARY.fullmatch(value):
        raise _malformed()
    return value


async def read_form(body: AsyncIterator[bytes], boundary: str) -> Form:
    """Read a form's fields; the file is read on with `Form.file`.

    Raises Refused: MalformedPOSTRequest, MaxPostPreDataLengthExceededError; InvalidArgument if
    there is no file.
    """
    parts = _Parts(body, b"\r\n--" + boundary.encode())
    await parts.skip_preamble()
    fields: dict[str, str] = {}
    while await parts.has_next():
        head = _head(await parts.until(b"\r\n\r\n", MAX_HEAD_BYTES))
        name = head.get_param("name", header="content-disposition")
        if not isinstance(name, str) or head.get_content_disposition() != "form-data":
            raise _malformed()
        if name.lower() == "file":
            filename = re.split(r"[/\\]", head.get_filename() or "")[-1]
            return Form(fields, filename, head["content-type"], parts.file())
        if name.lower() in fields or len(fields) >= MAX_FIELDS:
            raise _malformed()
        value = await parts.until(parts.delimiter, MAX_FIELDS_BYTES)
        try:
            fields[name.lower()] = value.decode()
        except UnicodeDecodeError:
            raise _malformed() from None
    message = "POST requires exactly one file upload per request."
    raise Refused("InvalidArgument", message, details={"ArgumentName": "file"})


def _head(data: bytes) -> Message:
    try:
        return Parser().parsestr(data.decode() + "\r\n\r\n", headersonly=True)
    except UnicodeDecodeError:
        raise _malformed() from None


class _Parts:
    """A multipart body, taken apart as it is read."""

    def __init__(self, body: AsyncIterator[bytes], delimiter: bytes) -> None:
        self.delimiter = delimiter
        self._body = body
        self._buffer = bytearray(b"\r\n")  # so that the first delimiter is like all others
        self._before_file = 0

    async def skip_preamble(self) -> None:
        preamble = await self.until(self.delimiter, MAX_HEAD_BYTES)
        if preamble.strip():
            raise _malformed()  # nothing but a line break, as some clients send

    async def has_next(self) -> bool:
        """Whether another part follows the delimiter just read."""
        while len(self._buffer) < 2:
            await self._more()
        ending = bytes(self._buffer[:2])
        if ending not in {b"\r\n", b"--"}:
            raise _malformed()
        del self._buffer[:2]
        return ending == b"\r\n"

    async def until(self, mark: bytes, limit: int) -> bytes:
        """What comes before the next `mark`, of at most `limit` bytes; both are taken."""
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > limit + len(mark):
                raise Refused("MaxPostPreDataLengthExceededError")
            searched = max(len(self._buffer) - len(mark) + 1, 0)
            await self._more()
        self._before_file += at
        if at > limit or self._before_file > MAX_FIELDS_BYTES:
            raise Refused("MaxPostPreDataLengthExceededError")
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    async def file(self) -> AsyncGenerator[bytes]:
        """The current part to its end, in pieces; then the rest of the body is read away."""
        keep = len(self.delimiter) - 1  # of what may be the beginning of the delimiter
        while (at := self._buffer.find(self.delimiter)) < 0:
            ready = len(self._buffer) - keep
            if ready > 0:
                piece = bytes(self._buffer[:ready])
                del self._buffer[:ready]
                yield piece
            await self._more()
        if at:
            yield bytes(self._buffer[:at])
        del self._buffer[: at + len(self.delimiter)]
        await self.has_next()
        async for _ in self._body:
            pass

    async def _more(self) -> None:
        part = await anext(self._body, None)
        if part is None:
            raise _malformed()  # it ended before its last delimiter
        self._buffer += part


def _malformed() -> Refused:
    return Refused("MalformedPOSTRequest")
