"""The wrapped data keys of one object: what has to be kept so that they can be had back.

    SSE-S3    data key ── box under a version of the store's root key
    SSE-KMS   data key ── box under a key from the KMS, whose ciphertext lies beside
    dsse      the same for the inner layer; a second data key as SSE-S3 for the outer layer
    SSE-C     data key ── box under the customer's key, of which only a salted keyed hash is kept

Every kind wraps data keys that were drawn once, at random, for this object. So changing the kind,
the key or the root key's version rewrites an envelope and never the payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tlslab.errors import IntegrityError
from tlslab.store.model import Algorithm, EncryptionFacts
from tlslab.store.sealed import to_bytes, to_text

DataKeys: TypeAlias = tuple[bytes, ...]
"""One key for each layer of encryption, the innermost first; none for an object in the clear."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """How to get an object's data keys back; `algorithm` None: there are none.

    `box` holds the innermost; `wrapper` names what it is under, a root key's id or a KMS key's ARN.
    `ciphertext` is the KMS's, `outer` and `outer_wrapper` the second layer's. `check` is the salt
    and keyed hash of a customer's key.
    """

    algorithm: Algorithm | None
    box: bytes = field(default=b"", repr=False)
    wrapper: str = ""
    ciphertext: bytes = b""
    context: Mapping[str, str] = field(default_factory=dict)
    bucket_key: bool = False
    outer: bytes = field(default=b"", repr=False)
    outer_wrapper: str = ""
    check: bytes = field(default=b"", repr=False)

    @property
    def root_keys(self) -> set[str]:
        """The ids of the root key's versions that it depends on."""
        inner = self.wrapper if self.algorithm == "AES256" else ""
        return {inner, self.outer_wrapper} - {""}

    def facts(self, customer_key_md5: str | None = None) -> EncryptionFacts:
        """What responses tell of it."""
        if self.algorithm in {None, "AES256"}:
            return EncryptionFacts(self.algorithm)
        if self.algorithm == "SSE-C":
            return EncryptionFacts("SSE-C", customer_key_md5=customer_key_md5)
        return EncryptionFacts(
            self.algorithm, self.wrapper, self.bucket_key, context=dict(self.context)
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON, without what is not set."""
        values = {
            "algorithm": self.algorithm,
            "box": to_text(self.box),
            "wrapper": self.wrapper,
            "ciphertext": to_text(self.ciphertext),
            "context": dict(self.context),
            "bucket_key": self.bucket_key,
            "outer": to_text(self.outer),
            "outer_wrapper": self.outer_wrapper,
            "check": to_text(self.check),
        }
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Envelope:
        """From what `to_json` gave. Raises IntegrityError."""
        try:
            return cls(
                values.get("algorithm"),
                to_bytes(values.get("box", "")),
                values.get("wrapper", ""),
                to_bytes(values.get("ciphertext", "")),
                values.get("context", {}),
                values.get("bucket_key", False),
                to_bytes(values.get("outer", "")),
                values.get("outer_wrapper", ""),
                to_bytes(values.get("check", "")),
            )
        except (TypeError, ValueError):
            raise IntegrityError("the envelope of an object is malformed") from None
