"""Putting and getting whole objects, with their metadata.

Uploads carry a checksum of what is sent in their trailer (CRC-64/NVME, as AWS's own clients do), so
that the store refuses what arrives otherwise; downloads are compared with the checksum that the
store has. Neither protects from the store itself: that is what encryption before upload is for.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from awscrt.checksums import crc64nvme

from tlslab.clientside.remote.exchange import exchange
from tlslab.clientside.remote.settings import Settings
from tlslab.clientside.remote.sse import CUSTOMER_KEY
from tlslab.errors import IntegrityError, UsageError
from tlslab.http import ClientResponse, Headers, header
from tlslab.iam.sigv4 import EMPTY_SHA256

MAX_UPLOAD_BYTES = 5 * 1024**3
"""S3's largest object in one request; a larger one has to be sent in parts."""

MAX_KEY_BYTES = 1024

_CHECKSUM = "x-amz-checksum-crc64nvme"
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_META = "x-amz-meta-"


@dataclass(frozen=True)
class Stored:
    """What the store says of an object.

    `encryption` is how it says that it encrypts it: `AES256`, `aws:kms`, `aws:kms:dsse`, `SSE-C`,
    or None.
    """

    etag: str
    version_id: str | None
    encryption: str | None
    kms_key: str | None


@dataclass(frozen=True)
class RemoteObject:
    """An object as the store has it; `body` can be read once, and checks itself at its end."""

    metadata: Mapping[str, str]
    size: int
    stored: Stored
    body: AsyncIterator[bytes] = field(repr=False)


@dataclass(frozen=True)
class S3Client:
    """Objects in an S3 store. Errors are those of `exchange`."""

    settings: Settings

    async def put(
        self,
        bucket: str,
        key: str,
        body: AsyncIterable[bytes],
        size: int,
        *,
        metadata: Mapping[str, str] | None = None,
        headers: Headers | None = None,
    ) -> Stored:
        """Store `size` bytes. `headers` ask for encryption by the store, say.

        Raises UsageError for what does not go into one request.
        """
        check_upload_size(size)
        self._check_secrets(headers)
        fields: Headers = [
            (b"content-length", b"%d" % _framed_size(size)),
            (b"content-encoding", b"aws-chunked"),
            (b"expect", b"100-continue"),
            (b"x-amz-decoded-content-length", b"%d" % size),
            (b"x-amz-trailer", _CHECKSUM.encode()),
            *((f"{_META}{name}".encode(), v.encode()) for name, v in (metadata or {}).items()),
            *(headers or ()),
        ]
        async with exchange(
            self.settings,
            self.settings.s3,
            "s3",
            "PUT",
            _target(bucket, key),
            fields,
            _framed(body),
            payload_hash=_UNSIGNED_TRAILER,
        ) as answer:
            await answer.read()
            return _stored(answer)

    @asynccontextmanager
    async def get(
        self, bucket: str, key: str, *, headers: Headers | None = None
    ) -> AsyncGenerator[RemoteObject]:
        """The object; its body can be read inside this context."""
        self._check_secrets(headers)
        fields: Headers = [(b"x-amz-checksum-mode", b"ENABLED"), *(headers or ())]
        async with exchange(
            self.settings,
            self.settings.s3,
            "s3",
            "GET",
            _target(bucket, key),
            fields,
            payload_hash=EMPTY_SHA256,
        ) as answer:
            size = answer.header("content-length") or ""
            if not size.isdecimal():
                raise IntegrityError("the store does not say how long the object is")
            yield RemoteObject(_metadata(answer), int(size), _stored(answer), _checked(answer))

    def _check_secrets(self, headers: Headers | None) -> None:
        """No key goes over a connection that anyone can read."""
        if not self.settings.s3.secure and header(headers or [], CUSTOMER_KEY) is not None:
            raise UsageError(
                "a key for SSE-C is never sent over plain HTTP", hint="use an https endpoint"
            )


def check_upload_size(size: int) -> None:
    """Raise UsageError for more bytes than go into one upload."""
    if size > MAX_UPLOAD_BYTES:
        raise UsageError(
            f"{size} bytes are more than the {MAX_UPLOAD_BYTES} that go into one upload",
            hint="split the file",
        )


def _target(bucket: str, key: str) -> str:
    """Path style, percent-encoded as Signature Version 4 wants it."""
    if not bucket or "/" in bucket or not 0 < len(key.encode()) <= MAX_KEY_BYTES:
        raise UsageError(
            f"s3://{bucket}/{key} is not the name of an object",
            hint=f"s3://bucket/key, with a key of at most {MAX_KEY_BYTES} bytes",
        )
    return "/" + quote(bucket, safe="") + "/" + quote(key, safe="/~")


# The body in the framing `aws-chunked`: pieces with their length before them, then the trailer.
# Every piece but the last has _PIECE bytes, so that the length of the whole is known beforehand.

_PIECE = 256 * 1024
_TRAILER_BYTES = len(f"0\r\n{_CHECKSUM}:\r\n\r\n") + 12  # 8 bytes of CRC in base64


def _frame_bytes(size: int) -> int:
    return len(f"{size:x}") + size + 4


def _framed_size(size: int) -> int:
    pieces, rest = divmod(size, _PIECE)
    return pieces * _frame_bytes(_PIECE) + (_frame_bytes(rest) if rest else 0) + _TRAILER_BYTES


async def _framed(body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    crc, pending = 0, bytearray()
    async for part in body:
        crc = crc64nvme(part, crc)
        pending += part
        while len(pending) >= _PIECE:
            yield b"%x\r\n%b\r\n" % (_PIECE, bytes(pending[:_PIECE]))
            del pending[:_PIECE]
    if pending:
        yield b"%x\r\n%b\r\n" % (len(pending), bytes(pending))
    yield f"0\r\n{_CHECKSUM}:{_crc_text(crc)}\r\n\r\n".encode()


def _crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def _metadata(answer: ClientResponse) -> dict[str, str]:
    """User metadata; a name that comes twice has its values joined, as HTTP says."""
    found: dict[str, str] = {}
    for name, value in answer.headers:
        lower = name.decode("latin-1").lower()
        if lower.startswith(_META):
            name_only, text = lower[len(_META) :], value.decode("latin-1")
            found[name_only] = f"{found[name_only]}, {text}" if name_only in found else text
    return found


def _stored(answer: ClientResponse) -> Stored:
    sse = "x-amz-server-side-encryption"
    customer = answer.header(f"{sse}-customer-algorithm")
    return Stored(
        etag=(answer.header("etag") or "").strip('"'),
        version_id=answer.header("x-amz-version-id"),
        encryption="SSE-C" if customer else answer.header(sse),
        kms_key=answer.header(f"{sse}-aws-kms-key-id"),
    )


async def _checked(answer: ClientResponse) -> AsyncIterator[bytes]:
    """The body; raises IntegrityError at its end if the store's checksum is another."""
    expected, crc = answer.header(_CHECKSUM), 0
    async for part in answer:
        crc = crc64nvme(part, crc)
        yield part
    if expected is not None and "-" not in expected and expected != _crc_text(crc):
        raise IntegrityError(
            "what arrived is not what the store has, by its own checksum", hint="get it again"
        )
