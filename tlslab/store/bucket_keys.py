"""Keys from the KMS for SSE-KMS: one for each object, or one for a bucket's many.

The encryption context holds `aws:s3:arn`: the object's ARN, or with a bucket key the bucket's; so
the key policy and the audit trail see what it is for. Every request is the caller's own, by way of
S3 (`kms:ViaService`).

A bucket key is kept in memory and used again, which keeps the plaintext of one KMS data key around
for `LIFETIME`. It spares the KMS no decision: before each use the KMS is asked, with `DryRun`,
whether this caller may use this key now. A key that was disabled, deleted or denied is therefore
refused at once, where AWS itself lets a bucket key live on for a while.

The module knows nothing of objects' data keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tlslab.iam.caller import Caller
from tlslab.kms.errors import KMSError
from tlslab.store.envelopes import Envelope
from tlslab.store.model import SSEKMS, Bucket
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tlslab.kms import KMS

LIFETIME = timedelta(hours=1)
"""How long one bucket key wraps new objects' keys."""

MAX_CACHED = 1024
"""Bucket keys in memory, the least recently used going first."""

DEFAULT_KEY = "alias/aws/s3"
"""The key that S3 uses when none is named; the KMS makes it on first use."""

_ARN = "aws:s3:arn"
_DRY_RUN = "DryRunOperationException"


@dataclass(frozen=True, slots=True)
class KMSKey:
    """A data key of the KMS that wraps keys here."""

    arn: str
    ciphertext: bytes
    plaintext: bytes = field(repr=False)
    made: datetime | None = None


class BucketKeys:
    """Gets keys from a KMS, and keeps those of buckets."""

    def __init__(self, kms: KMS, now: Callable[[], datetime]) -> None:
        self._kms = kms
        self._now = now
        self._writing: OrderedDict[tuple[str, str, str], KMSKey] = OrderedDict()
        self._reading: OrderedDict[bytes, KMSKey] = OrderedDict()

    async def new(
        self, caller: Caller, bucket: Bucket, key: str, wanted: SSEKMS, *, bucket_key: bool
    ) -> KMSKey:
        """A key to wrap with, from the KMS or a bucket key. Raises Refused."""
        key_id = wanted.key_id or DEFAULT_KEY
        context = _context(bucket, None if bucket_key else key, wanted.context)
        if not bucket_key:
            return await self._generate(caller, key_id, bucket.region, context)
        arn = await self.resolve(caller, bucket, key_id)
        place = (bucket.name, str(bucket.created), arn)
        kept = self._writing.get(place)
        if kept is not None and kept.made is not None and self._now() - kept.made < LIFETIME:
            await self._permit(
                caller,
                "GenerateDataKey",
                {"KeyId": key_id, "NumberOfBytes": 32, "EncryptionContext": context},
                bucket.region,
            )
            return kept
        made = await self._generate(caller, key_id, bucket.region, context)
        _keep(self._writing, place, made)
        _keep(self._reading, made.ciphertext, made)
        return made

    async def resolve(self, caller: Caller, bucket: Bucket, key_id: str) -> str:
        """The ARN of the key that an id, ARN or alias means in the bucket's region.

        Raises Refused.
        """
        with _refusing():
            return await self._kms.resolve(
                _via(caller, bucket.region), key_id, region=bucket.region
            )

    async def old(self, caller: Caller, bucket: Bucket, key: str, envelope: Envelope) -> KMSKey:
        """The key that an envelope was wrapped with. Raises Refused."""
        context = _context(bucket, None if envelope.bucket_key else key, envelope.context)
        kept = self._reading.get(envelope.ciphertext)
        if envelope.bucket_key and kept is not None:
            await self._permit(
                caller,
                "Decrypt",
                {
                    "CiphertextBlob": envelope.ciphertext,
                    "EncryptionContext": context,
                    "KeyId": envelope.wrapper,
                },
                bucket.region,
            )
            return kept
        with _refusing():
            opened = await self._kms.decrypt(
                _via(caller, bucket.region),
                envelope.ciphertext,
                region=bucket.region,
                context=context,
                key_id=envelope.wrapper,
            )
        got = KMSKey(opened.key_arn, envelope.ciphertext, opened.plaintext)
        if envelope.bucket_key:
            _keep(self._reading, got.ciphertext, got)
        return got

    async def _generate(
        self, caller: Caller, key_id: str, region: str, context: Mapping[str, str]
    ) -> KMSKey:
        with _refusing():
            made = await self._kms.generate_data_key(
                _via(caller, region), key_id, region=region, context=context
            )
        return KMSKey(made.key_arn, made.ciphertext, made.plaintext, self._now())

    async def _permit(
        self, caller: Caller, operation: str, parameters: Mapping[str, Any], region: str
    ) -> None:
        """Have the KMS decide, and note, a use of a key that is here already."""
        with _refusing():
            try:
                await self._kms.invoke(
                    _via(caller, region), operation, {**parameters, "DryRun": True}, region=region
                )
            except KMSError as error:
                if error.code == _DRY_RUN:
                    return
                raise
        raise Refused("InternalError")  # a dry run that was no refusal is not a permission


def _keep(cache: OrderedDict[Any, KMSKey], place: object, key: KMSKey) -> None:
    cache[place] = key
    cache.move_to_end(place)
    if len(cache) > MAX_CACHED:
        cache.popitem(last=False)


def _via(caller: Caller, region: str) -> Caller:
    return caller.for_service(f"s3.{region}.amazonaws.com")


def _context(bucket: Bucket, key: str | None, context: Mapping[str, str]) -> Mapping[str, str]:
    """The caller's context and the ARN; with a bucket key the ARN alone, as it serves many."""
    arn = f"arn:aws:s3:::{bucket.name}"
    if key is None:
        return {_ARN: arn}
    if context.get(_ARN, f"{arn}/{key}") != f"{arn}/{key}":
        raise Refused("InvalidArgument", f"{_ARN} in the encryption context is another object's.")
    return {**context, _ARN: f"{arn}/{key}"}


@contextmanager
def _refusing() -> Iterator[None]:
    """A KMS's refusal as S3 passes it on: its code with `KMS.` before it, but AccessDenied."""
    try:
        yield
    except KMSError as error:
        if error.code == "AccessDeniedException":
            raise Refused("AccessDenied", error.message) from error
        raise Refused(f"KMS.{error.code}", error.message, status=error.status) from error
