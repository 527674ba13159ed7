"""A request's body, decoded and held against what its head said of it, while it is read.

`x-amz-content-sha256` says what a body is: a hash that it must have, nothing at all, or
`aws-chunked` with signatures for each chunk, a trailer, or both. `payload_rule` reads that out of a
head, `open_payload` gives the bytes. Whoever reads them may use none before the end came: the end
is where a wrong hash, length, signature or trailer is found at the latest.

Source: "Authenticating requests: using the Authorization header", Amazon S3 API Reference.
"""

from __future__ import annotations

import hmac
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tlslab.http import Request
from tlslab.iam.aws_chunked import ChunkedDecoder, malformed_trailer
from tlslab.iam.signature_error import SignatureError, unsupported
from tlslab.iam.sigv4 import UNSIGNED_PAYLOAD, ChunkChain

if TYPE_CHECKING:
    from tlslab.iam.verifier import Authentication

STREAMING_UNSIGNED: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class PayloadRule:
    """What a body must be.

    `declared` is the value of `x-amz-content-sha256`, with UNSIGNED-PAYLOAD where nothing is said.
    For chunks, `seed` is what their signatures follow on, `decoded_length` the size of what they
    carry, and `trailers` are the fields announced to come after them.
    """

    declared: str = UNSIGNED_PAYLOAD
    seed: ChunkChain | None = field(default=None, repr=False)
    decoded_length: int | None = None
    trailers: tuple[str, ...] = ()

    @property
    def chunked(self) -> bool:
        """Whether the body is in `aws-chunked`."""
        return self.declared.startswith("STREAMING-")


def payload_rule(fields: Mapping[str, bytes], seed: ChunkChain | None = None) -> PayloadRule:
    """Read the rule out of a head's fields; `seed` comes from the head's verified signature.

    Without `x-amz-content-sha256` a body marked as `aws-chunked` is one without signatures, as SDKs
    send it that do not sign or use Version 2. Raises SignatureError.
    """
    given = fields.get("x-amz-content-sha256")
    if given is not None:
        declared = given.decode("latin-1")
    else:
        encodings = fields.get("content-encoding", b"").lower().split(b",")
        chunked = b"aws-chunked" in [encoding.strip() for encoding in encodings]
        declared = STREAMING_UNSIGNED if chunked else UNSIGNED_PAYLOAD
    names = fields.get("x-amz-trailer", b"").decode("latin-1").lower().split(",")
    trailers = tuple(name.strip() for name in names if name.strip())
    if declared == UNSIGNED_PAYLOAD or _HEX.fullmatch(declared):
        return PayloadRule(declared, trailers=trailers)
    if declared in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
        if seed is None:
            message = f"{declared} needs a signature in the Authorization header to follow on"
            raise _invalid(declared, message)
    elif declared.startswith("STREAMING-AWS4-ECDSA-"):
        raise unsupported(declared, f"use {STREAMING_SIGNED_TRAILER} or {STREAMING_UNSIGNED}")
    elif declared != STREAMING_UNSIGNED:
        raise _invalid(
            declared,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a "
            "valid sha256 value.",
        )
    length = fields.get("x-amz-decoded-content-length", b"")
    if not _LENGTH.fullmatch(length):
        raise SignatureError(
            "MissingContentLength", "You must provide the Content-Length HTTP header."
        )
    signed = declared != STREAMING_UNSIGNED
    return PayloadRule(declared, seed if signed else None, int(length), trailers)


def _invalid(value: str, message: str) -> SignatureError:
    details = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value}
    return SignatureError("InvalidArgument", message, details)


class Upload(AsyncIterator[bytes]):
    """The bytes that a request carries. `trailers` holds the fields after them, once all are read.

    Iterating raises SignatureError where the body is not what it must be, at its end at the latest,
    and whatever reading the request raises. It can be read once.
    """

    def __init__(self, body: AsyncIterator[bytes], rule: PayloadRule, length: int | None) -> None:
        self.decoded_length = rule.decoded_length if rule.chunked else length
        self.trailers: Mapping[str, str] = {}
        self._body = body
        self._decoder: ChunkedDecoder | None = None
        self._ready: deque[bytes] = deque()
        self._hash = None
        self._rule = rule
        if rule.chunked:
            assert rule.decoded_length is not None
            self._decoder = ChunkedDecoder(
                rule.decoded_length,
                rule.seed,
                rule.trailers,
                with_trailer=rule.declared != STREAMING_SIGNED,
            )
        elif rule.declared != UNSIGNED_PAYLOAD:
            self._hash = sha256()

    async def __anext__(self) -> bytes:
        """The next bytes, never empty."""
        while not self._ready:
            part = await anext(self._body, None)
            if part is None:
                self._finish()
                raise StopAsyncIteration
            if self._decoder is not None:
                self._ready.extend(self._decoder.feed(part))
            elif part:
                if self._hash is not None:
                    self._hash.update(part)
                return part
        return self._ready.popleft()

    def _finish(self) -> None:
        if self._decoder is not None:
            self.trailers = self._decoder.finish()
            return
        if self._rule.trailers:
            raise malformed_trailer()  # announced, but this body cannot have one
        if self._hash is not None:
            computed = self._hash.hexdigest()
            if not hmac.compare_digest(computed, self._rule.declared):
                raise SignatureError(
                    "XAmzContentSHA256Mismatch",
                    "The provided 'x-amz-content-sha256' header does not match what was computed.",
                    {
                        "ClientComputedContentSHA256": self._rule.declared,
                        "S3ComputedContentSHA256": computed,
                    },
                )


def open_payload(request: Request, authentication: Authentication) -> Upload:
    """The body of an authenticated request, to be read once."""
    length = request.header("content-length")
    return Upload(
        request.body, authentication.payload, int(length) if length and length.isdigit() else None
    )
