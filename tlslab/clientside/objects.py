"""Encrypting and decrypting whole objects as streams, in the format of the S3 Encryption Client.

    plaintext ──► encrypt_stream ──► metadata, body ──► (any store) ──► decrypt_stream ──► plaintext

Memory is bounded by the pieces that come in. The format has one tag, at the end: `decrypt_stream`
therefore keeps everything in a temporary file without a name until the tag has been verified, and
hands out nothing of an object that does not. It knows nothing of stores or of networks.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from tlslab.clientside.application_key import ApplicationKey
from tlslab.clientside.content import (
    TAG_BYTES,
    ContentOpener,
    ContentSealer,
    commitment_of,
    new_nonce,
)
from tlslab.clientside.keyrings import ApplicationKeyring, Keyring
from tlslab.clientside.metadata import (
    Envelope,
    Format,
    check_metadata_size,
    decode_metadata,
    encode_metadata,
)
from tlslab.errors import IntegrityError
from tlslab.http.messages import iterating

IN_MEMORY_BYTES = 1024 * 1024
"""Plaintext that waits for its tag in memory; what is longer waits in a file."""

READ_BYTES = 256 * 1024

OVERHEAD_BYTES = TAG_BYTES


@dataclass(frozen=True)
class EncryptedObject:
    """What to store: metadata (names without `x-amz-meta-`), and the body, to be read once.

    The body is `OVERHEAD_BYTES` longer than the plaintext.
    """

    metadata: Mapping[str, str]
    body: AsyncIterator[bytes] = field(repr=False)


async def encrypt_stream(
    plaintext: AsyncIterable[bytes],
    keyring: Keyring,
    *,
    context: Mapping[str, str] | None = None,
    write: Format = Format.V3,
) -> EncryptedObject:
    """Encrypt an object under a fresh data key that `keyring` wraps.

    Who reads it must give the same `context`, say {"object": "s3://bucket/key"}: it keeps a store
    from passing one object off as another. Raises UsageError if it is too long, or (while the body
    is read) if the object is; and whatever the keyring raises.
    """
    suite = write.suite
    data_key = await keyring.new_data_key(suite, context or {})
    nonce = new_nonce(suite)
    commitment = commitment_of(data_key.plaintext, nonce) if write is Format.V3 else None
    envelope = Envelope(write, keyring.wrap, data_key.wrapped, nonce, commitment, data_key.context)
    metadata = encode_metadata(envelope)
    check_metadata_size(metadata)
    sealer = ContentSealer(suite, data_key.plaintext, nonce)
    return EncryptedObject(metadata, _sealed(plaintext, sealer))


async def _sealed(plaintext: AsyncIterable[bytes], sealer: ContentSealer) -> AsyncGenerator[bytes]:
    async with iterating(plaintext) as parts:
        async for piece in parts:
            yield sealer.seal(piece)
    yield sealer.finish()


async def open_envelope(
    metadata: Mapping[str, str],
    keyring: Keyring,
    *,
    context: Mapping[str, str] | None = None,
    instruction: Mapping[str, str] | None = None,
    accept: Sequence[Format] = (Format.V3,),
) -> ContentOpener:
    """What decrypts the object of this metadata, piece by piece: see `decrypt_stream`."""
    envelope = decode_metadata(metadata, instruction=instruction, accept=accept)
    if envelope.wrap is not keyring.wrap:
        raise IntegrityError(
            f"the data key is wrapped as {envelope.wrap.value}, not as {keyring.wrap.value}",
            hint="name the kind of key that the object was written with",
        )
    suite = envelope.format.suite
    data_key = await keyring.unwrap(envelope.wrapped_key, suite, envelope.context, context or {})
    return ContentOpener(suite, data_key, envelope.nonce, envelope.commitment)


async def decrypt_stream(
    metadata: Mapping[str, str],
    body: AsyncIterable[bytes],
    keyring: Keyring,
    *,
    context: Mapping[str, str] | None = None,
    instruction: Mapping[str, str] | None = None,
    accept: Sequence[Format] = (Format.V3,),
) -> AsyncGenerator[bytes]:
    """The plaintext of an object, after all of it has been verified.

    `instruction` is what `parse_instruction_file` made of the object's instruction file, if it has
    one. Raises IntegrityError, and hands out nothing, if any bit of body or metadata was changed,
    or for another key or context.
    """
    opener = await open_envelope(
        metadata, keyring, context=context, instruction=instruction, accept=accept
    )
    async with iterating(verified(body, opener)) as parts:
        async for piece in parts:
            yield piece


async def verified(body: AsyncIterable[bytes], opener: ContentOpener) -> AsyncGenerator[bytes]:
    """The plaintext, once its end has been seen and all of it verified."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        async with iterating(unverified(body, opener)) as parts:
            async for piece in parts:
                await trio.to_thread.run_sync(spool.write, piece)
        spool.seek(0)
        while piece := await trio.to_thread.run_sync(spool.read, READ_BYTES):
            yield piece


async def unverified(body: AsyncIterable[bytes], opener: ContentOpener) -> AsyncGenerator[bytes]:
    """The plaintext as it comes, which is authentic only if this ends without IntegrityError.

    For whoever can take back everything received so far, as a file that is not in place yet can.
    """
    async with iterating(body) as parts:
        async for piece in parts:
            if plaintext := opener.open(piece):
                yield plaintext
    opener.finish()


async def encrypt(
    plaintext: bytes, key: ApplicationKey | Keyring, *, context: Mapping[str, str] | None = None
) -> tuple[Mapping[str, str], bytes]:
    """Metadata and body of a small object; a large one is for `encrypt_stream`, which explains."""
    done = await encrypt_stream(_once(plaintext), _keyring(key), context=context)
    return done.metadata, b"".join([part async for part in done.body])


async def decrypt(
    metadata: Mapping[str, str],
    body: bytes,
    key: ApplicationKey | Keyring,
    *,
    context: Mapping[str, str] | None = None,
) -> bytes:
    """The plaintext of a small object. Raises as `decrypt_stream`."""
    plaintext = decrypt_stream(metadata, _once(body), _keyring(key), context=context)
    return b"".join([part async for part in plaintext])


def _keyring(key: ApplicationKey | Keyring) -> Keyring:
    return ApplicationKeyring(key) if isinstance(key, ApplicationKey) else key


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
