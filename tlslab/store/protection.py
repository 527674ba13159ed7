"""Server-side encryption: wrapping an object's data keys as a request or its bucket wants it.

One class for all kinds, because an object may change from one to another (`wrap` takes the data
keys there are). Authorisation by the KMS happens here, in each request, whatever is cached: see
bucket_keys.py. The module knows neither tables nor payloads.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from tlslab.envelope import encode_context, new_key, open_box, seal_box
from tlslab.iam.caller import Caller
from tlslab.store.bucket_keys import BucketKeys
from tlslab.store.envelopes import DataKeys, Envelope
from tlslab.store.keyring import Keyring
from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    Bucket,
    CustomerKey,
    DefaultEncryption,
    Encryption,
)
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tlslab.kms import KMS

CUSTOMER_KEY_BYTES = 32
"""AES-256, the only kind that SSE-C takes."""

_SALT_BYTES = 16
_DATA_KEY = "data key"
_OUTER = "outer data key"

_BLOCKED = (
    "This bucket has blocked upload requests that specify Server Side Encryption with Customer "
    "provided keys (SSE-C). Please specify a different server-side encryption type."
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What data keys belong to: an object in the making or made; `uid` is never used twice."""

    bucket: Bucket
    key: str
    uid: bytes

    @property
    def bound(self) -> bytes:
        """What its wrapped keys are bound to."""
        names = {"bucket": self.bucket.name, "key": self.key, "uid": self.uid.hex()}
        return encode_context(names)


class Protection:
    """Wraps and unwraps data keys."""

    def __init__(
        self,
        keyring: Keyring,
        kms: KMS | None,
        now: Callable[[], datetime],
        *,
        plain: bool,
        compat: Literal["ceph"] | None,
    ) -> None:
        self._keyring = keyring
        self._kms_keys = None if kms is None else BucketKeys(kms, now)
        self._plain = plain
        self._compat = compat

    def wanted(self, bucket: Bucket, encryption: Encryption | None) -> Encryption:
        """What a write gets: what it asks for, or its bucket's default.

        Raises Refused: AccessDenied for a kind that the bucket blocks, InvalidArgument.
        """
        default = bucket.encryption or DefaultEncryption()
        if isinstance(encryption, SSEC):
            if "SSE-C" in default.blocked:
                raise Refused("AccessDenied", _BLOCKED)
            _check_customer_key(encryption.key)
        if isinstance(encryption, SSEKMS):
            if encryption.key_id is None and self._compat == "ceph":
                raise Refused("InvalidArgument", "Server Side Encryption with KMS needs a key id.")
            if encryption.bucket_key is None:
                return replace(encryption, bucket_key=default.bucket_key)
        if encryption is not None:
            return encryption
        if default.algorithm == "AES256":
            return SSES3()
        return SSEKMS(
            default.kms_key_id,
            bucket_key=default.bucket_key,
            dsse=default.algorithm == "aws:kms:dsse",
        )

    async def begin(
        self, caller: Caller, subject: Subject, encryption: Encryption
    ) -> tuple[DataKeys, Envelope]:
        """Fresh data keys for an object, and their envelope. Raises Refused."""
        if self._plain:
            return (), Envelope(None)
        layers = 2 if isinstance(encryption, SSEKMS) and encryption.dsse else 1
        keys = tuple(new_key() for _ in range(layers))
        return keys, await self.wrap(caller, subject, keys, encryption)

    async def wrap(
        self, caller: Caller, subject: Subject, keys: DataKeys, encryption: Encryption
    ) -> Envelope:
        """An envelope for data keys. Raises Refused, with a KMS's reason if it was the KMS."""
        if isinstance(encryption, SSEC):
            box = _box(_wrapping_key(encryption.key), keys[0], subject)
            return Envelope("SSE-C", box, check=_fingerprint(encryption.key, subject))
        root = await self._keyring.newest()
        if isinstance(encryption, SSES3):
            return Envelope("AES256", _box(root.key, keys[0], subject), root.id)
        bucket_key = bool(encryption.bucket_key) and not encryption.dsse
        kms_key = await self._kms(subject).new(
            caller, subject.bucket, subject.key, encryption, bucket_key=bucket_key
        )
        envelope = Envelope(
            "aws:kms",
            _box(kms_key.plaintext, keys[0], subject, encryption.context),
            kms_key.arn,
            kms_key.ciphertext,
            encryption.context,
            bucket_key,
        )
        if not encryption.dsse:
            return envelope
        outer = _box(root.key, keys[1], subject, purpose=_OUTER)
        return replace(envelope, algorithm="aws:kms:dsse", outer=outer, outer_wrapper=root.id)

    async def resolve(self, caller: Caller, bucket: Bucket, key_id: str) -> str | None:
        """The ARN of the KMS key that an id, ARN or alias means; None without a KMS.

        Raises Refused.
        """
        if self._kms_keys is None:
            return None
        return await self._kms_keys.resolve(caller, bucket, key_id)

    async def renew(self, subject: Subject, envelope: Envelope) -> Envelope:
        """The envelope with what the root key wraps under its newest version."""
        root = await self._keyring.newest()
        if envelope.root_keys <= {root.id}:
            return envelope
        if envelope.algorithm == "AES256":
            key = await self._unwrap_by_root(subject, envelope.wrapper, envelope.box)
            return replace(envelope, box=_box(root.key, key, subject), wrapper=root.id)
        key = await self._unwrap_by_root(subject, envelope.outer_wrapper, envelope.outer, _OUTER)
        outer = _box(root.key, key, subject, purpose=_OUTER)
        return replace(envelope, outer=outer, outer_wrapper=root.id)

    async def unlock(
        self, caller: Caller, subject: Subject, envelope: Envelope, unlock: CustomerKey | None
    ) -> DataKeys:
        """The data keys. Raises Refused as `check` or as the KMS does, and IntegrityError."""
        self.check(subject, envelope, unlock)
        if envelope.algorithm is None:
            return ()
        if envelope.algorithm == "AES256":
            return (await self._unwrap_by_root(subject, envelope.wrapper, envelope.box),)
        if envelope.algorithm == "SSE-C":
            assert unlock is not None
            return (_unbox(_wrapping_key(unlock.key), envelope.box, subject),)
        kms_key = await self._kms(subject).old(caller, subject.bucket, subject.key, envelope)
        inner = _unbox(kms_key.plaintext, envelope.box, subject, envelope.context)
        if envelope.algorithm == "aws:kms":
            return (inner,)
        outer = await self._unwrap_by_root(subject, envelope.outer_wrapper, envelope.outer, _OUTER)
        return inner, outer

    def check(self, subject: Subject, envelope: Envelope, unlock: CustomerKey | None) -> None:
        """Whether a request for an object has the right key, or rightly none.

        Enough for its metadata and for an object without bytes. Raises Refused: InvalidRequest
        without the key or with a needless one, AccessDenied for a wrong one.
        """
        if envelope.algorithm != "SSE-C":
            if unlock is not None and envelope.algorithm is not None:
                raise Refused(
                    "InvalidRequest",
                    "The encryption parameters are not applicable to this object.",
                )
            return
        if unlock is None:
            raise Refused(
                "InvalidRequest",
                "The object was stored using a form of Server Side Encryption. The correct "
                "parameters must be provided to retrieve the object.",
            )
        if not self.same_customer_key(subject, envelope, unlock.key):
            raise Refused(
                "AccessDenied",
                "Requests specifying Server Side Encryption with Customer provided keys must "
                "provide the correct secret key.",
                status=400 if self._compat == "ceph" else None,
            )

    def same_customer_key(self, subject: Subject, envelope: Envelope, key: bytes) -> bool:
        """Whether an object under SSE-C is under this key."""
        _check_customer_key(key)
        salt = envelope.check[:_SALT_BYTES]
        return hmac.compare_digest(_fingerprint(key, subject, salt), envelope.check)

    async def _unwrap_by_root(
        self, subject: Subject, version: str, box: bytes, purpose: str = _DATA_KEY
    ) -> bytes:
        root = await self._keyring.version(version)
        return _unbox(root.key, box, subject, purpose=purpose)

    def _kms(self, subject: Subject) -> BucketKeys:
        if self._kms_keys is None:
            raise Refused(
                "NotImplemented",
                "This store has no KMS.",
                details={"BucketName": subject.bucket.name},
            )
        return self._kms_keys


def customer_key_md5(key: bytes) -> str:
    """The MD5 that names a customer's key on the wire: base64. It protects nothing."""
    return base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()


def _check_customer_key(key: bytes) -> None:
    if len(key) != CUSTOMER_KEY_BYTES:
        raise Refused(
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
            details={"ArgumentName": "x-amz-server-side-encryption"},
        )


def _wrapping_key(customer_key: bytes) -> bytes:
    """What wraps under SSE-C. Boxes derive from it by HKDF, so it need not be derived again."""
    _check_customer_key(customer_key)
    return customer_key


def _fingerprint(customer_key: bytes, subject: Subject, salt: bytes | None = None) -> bytes:
    """A salt and a hash by which a customer's key is recognised and from which it is not found.

    The key has 256 random bits, so that nothing needs to be slow; the salt and the object make
    objects under one key look unrelated.
    """
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    message = b"tlslab customer key" + salt + subject.bound
    return salt + hmac.digest(customer_key, message, "sha256")


def _box(
    key: bytes,
    data_key: bytes,
    subject: Subject,
    context: Mapping[str, str] | None = None,
    *,
    purpose: str = _DATA_KEY,
) -> bytes:
    bound = subject.bound + encode_context(context or {})
    return seal_box(key, data_key, purpose=purpose, context=bound)


def _unbox(
    key: bytes,
    box: bytes,
    subject: Subject,
    context: Mapping[str, str] | None = None,
    *,
    purpose: str = _DATA_KEY,
) -> bytes:
    bound = subject.bound + encode_context(context or {})
    return open_box(key, box, purpose=purpose, context=bound)
