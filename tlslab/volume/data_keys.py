"""What a volume asks of a KMS: a data key bound to the volume's id, and the same key back later.

Volumes ask on behalf of whoever attaches them: the KMS sees that caller, by way of the service that
runs them (`kms:ViaService`: EC2's, RDS's), so key policies decide about people, not about a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tlslab.iam.caller import Caller
from tlslab.volume.descriptor import Descriptor, Kind, encryption_context


class Decrypted(Protocol):
    """What was in a ciphertext."""

    @property
    def plaintext(self) -> bytes:
        """The data key."""


class DataKey(Decrypted, Protocol):
    """A fresh data key, in plain and wrapped."""

    @property
    def ciphertext(self) -> bytes:
        """The data key as the KMS wrapped it."""

    @property
    def key_arn(self) -> str:
        """The KMS key that wrapped it."""


class KMS(Protocol):
    """The two operations of `tlslab.kms.KMS` that are needed here. Both raise KMSError."""

    async def generate_data_key(
        self,
        caller: Caller,
        key_id: str,
        *,
        region: str,
        context: Mapping[str, str],
        size: int = 32,
    ) -> DataKey:
        """A fresh data key of `size` bytes, bound to the context."""

    async def decrypt(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        region: str,
        context: Mapping[str, str],
        key_id: str | None = None,
    ) -> Decrypted:
        """What is in a ciphertext that was made with the same context, under `key_id` alone."""


async def new_data_key(
    kms: KMS, caller: Caller, *, kind: Kind, resource_id: str, size: int, region: str, key_id: str
) -> tuple[Descriptor, bytes]:
    """A descriptor with a wrapped data key of its own, and that key. Raises KMSError."""
    made = await kms.generate_data_key(
        _through_service(caller, kind, region),
        key_id,
        region=region,
        context=encryption_context(kind, resource_id),
    )
    found = Descriptor(kind, resource_id, size, region, made.key_arn, made.ciphertext)
    return found, made.plaintext


async def unwrap_data_key(kms: KMS, caller: Caller, descriptor: Descriptor) -> bytes:
    """The data key of a volume or snapshot.

    Raises KMSError if the key is disabled, gone or denied, or the descriptor is another's.
    """
    opened = await kms.decrypt(
        _through_service(caller, descriptor.kind, descriptor.region),
        descriptor.data_key,
        region=descriptor.region,
        context=descriptor.encryption_context,
        key_id=descriptor.kms_key_arn,
    )
    return opened.plaintext


def _through_service(caller: Caller, kind: Kind, region: str) -> Caller:
    service = "rds" if kind == "database" else "ec2"
    return caller.for_service(f"{service}.{region}.amazonaws.com")
