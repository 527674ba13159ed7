"""`aws-chunked`: a body in chunks that may be signed one by one, and a trailer after them.

    body     = *chunk last [trailer] CRLF
    chunk    = size [";chunk-signature=" signature] CRLF data CRLF
    last     = "0" [";chunk-signature=" signature] CRLF
    trailer  = 1*( name ":" value CRLF ) [ "x-amz-trailer-signature:" signature CRLF ]

Decoded from whatever pieces arrive, without a buffer: data passes through, and a chunk's signature
is compared where the chunk ends. What is handed out is good only once `finish` returned. The sizes
must add up to the decoded length declared in the head, so nothing else bounds a chunk: Go's SDK
sends a whole object as one. The module knows no requests.

Source: "Signature calculations for the Authorization header: transferring payload in multiple
chunks" and "Signature calculations for trailing headers", Amazon S3 API Reference. Which code
answers which fault was observed of S3 (versity/versitygw issues 1600, 1626, 1660, 1666, 1691,
1695).
"""

from __future__ import annotations

import enum
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

from tlslab.iam.signature_error import SignatureError
from tlslab.iam.sigv4 import ChunkChain

MAX_LINE_BYTES = 1024
"""A chunk's head has at most 97 bytes (16 digits, a signature), a trailer's field less than 150."""

MAX_TRAILER_BYTES = 4096
"""All of the trailer: S3 knows one checksum and one signature."""

MIN_SIGNED_CHUNK = 8192
"""Signed chunks, but for the last with data, have at least that many bytes (S3's own rule)."""

_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_SIGNATURE: Final = "x-amz-trailer-signature"


class _State(enum.Enum):
    HEAD = enum.auto()  # the line before a chunk's data
    DATA = enum.auto()
    DATA_END = enum.auto()  # the line break after it
    TRAILER = enum.auto()  # its fields, up to an empty line
    DONE = enum.auto()


class ChunkedDecoder:
    """Decodes one body. `seed` None means that chunks carry no signatures.

    `announced` are the trailer's fields, in lower case; `with_trailer` says whether the encoding
    has a trailer at all, which is signed if chunks are.
    """

    def __init__(
        self,
        decoded_length: int,
        seed: ChunkChain | None = None,
        announced: Collection[str] = (),
        *,
        with_trailer: bool = True,
    ) -> None:
        self._missing = decoded_length
        self._chain = None if seed is None else replace(seed)  # a copy: the chain moves on
        self._announced = frozenset(announced)
        self._with_trailer = with_trailer
        self._state = _State.HEAD
        self._line = bytearray()
        self._left = 0  # of the current chunk
        self._short = False  # a chunk below the minimum was seen: only the last may be
        self._hash = sha256()
        self._promised = ""  # the current chunk's signature
        self._trailers: dict[str, str] = {}
        self._trailer_signature: str | None = None
        self._trailer_lines = b""
        self._trailer_size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in the next piece of the body. Raises SignatureError."""
        found: list[bytes] = []
        at = 0
        while at < len(data):
            if self._state is _State.DATA:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                if self._chain is not None:
                    self._hash.update(piece)
                found.append(piece)
                if not self._left:
                    self._state = _State.DATA_END
            else:
                at = self._take_line(data, at)
        return found

    def finish(self) -> Mapping[str, str]:
        """The trailer's fields by lower-case name. Raises SignatureError if the end is missing."""
        if self._state is not _State.DONE:
            raise _incomplete()
        return self._trailers

    def _take_line(self, data: bytes, at: int) -> int:
        """Gather a line, and act on it once it is whole; where the rest of `data` starts."""
        if self._state is _State.DONE:
            raise _incomplete()  # bytes beyond the end
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        if len(self._line) > MAX_LINE_BYTES:
            raise _incomplete()
        if self._line.endswith(b"\r\n"):
            line = bytes(self._line[:-2])
            self._line.clear()
            self._act(line)
        return stop

    def _act(self, line: bytes) -> None:
        if self._state is _State.HEAD:
            self._begin_chunk(line)
        elif self._state is _State.DATA_END:
            if line:
                raise _incomplete()
            self._end_chunk()
            self._state = _State.HEAD
        elif line:
            self._take_field(line)
        else:
            self._end()

    def _begin_chunk(self, line: bytes) -> None:
        head = _HEAD.fullmatch(line)
        if head is None or (head[2] is not None) != (self._chain is not None):
            raise _incomplete()
        size = int(head[1], 16)
        self._promised = (head[2] or b"").decode("ascii")
        if size > self._missing or (size == 0 and self._missing):
            raise _incomplete()
        if self._chain is not None and self._short and size:
            raise SignatureError(
                "InvalidChunkSizeError",
                f"Only the last chunk is allowed to have a size less than {MIN_SIGNED_CHUNK} bytes",
            )
        self._short = size < MIN_SIGNED_CHUNK
        self._missing -= size
        self._left = size
        if size:
            self._state = _State.DATA
        else:
            self._end_chunk()
            self._state = _State.TRAILER

    def _end_chunk(self) -> None:
        if self._chain is None:
            return
        digest = self._hash.hexdigest()
        self._hash = sha256()
        _compare(self._chain.chunk(digest), self._promised)

    def _take_field(self, line: bytes) -> None:
        self._trailer_size += len(line)
        name, colon, value = line.decode("latin-1").partition(":")
        name, value = name.strip().lower(), value.strip()
        known = name in self._trailers or self._trailer_signature is not None
        if (
            not colon
            or known
            or not _NAME.fullmatch(name)
            or "\n" in value
            or not self._with_trailer
            or self._trailer_size > MAX_TRAILER_BYTES
        ):
            raise malformed_trailer()
        if name == _SIGNATURE and self._chain is not None:
            self._trailer_signature = value
        elif name in self._announced:
            self._trailers[name] = value
            self._trailer_lines += f"{name}:{value}\n".encode("latin-1")
        else:
            raise malformed_trailer()

    def _end(self) -> None:
        self._state = _State.DONE
        signed_trailer = self._chain is not None and self._with_trailer
        if signed_trailer and self._trailer_signature is None:
            raise _incomplete()
        if self._trailers.keys() != self._announced:
            raise _incomplete()  # unknown ones were refused, so one is missing
        if self._chain is not None and self._trailer_signature is not None:
            _compare(self._chain.trailer(self._trailer_lines), self._trailer_signature)


def _compare(expected: str, promised: str) -> None:
    if not hmac.compare_digest(expected.encode(), promised.encode()):
        raise SignatureError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            {"SignatureProvided": promised},
        )


def _incomplete() -> SignatureError:
    return SignatureError("IncompleteBody", "The request body terminated unexpectedly")


def malformed_trailer() -> SignatureError:
    """MalformedTrailerError: not the fields that were announced."""
    return SignatureError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our "
        "published schema.",
    )
