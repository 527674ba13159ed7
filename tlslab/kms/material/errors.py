"""What can be wrong with key material or with a request for it, as AWS KMS names it.

`code` is the name of KMS's exception, so that the service hands it on without a table; `message`
is AWS's own wording where it is recorded, which is sometimes empty on purpose: KMS does not say why
a ciphertext or a signature is wrong.
"""

from __future__ import annotations

from typing import ClassVar

from tlslab.errors import TlslabError


class MaterialError(TlslabError):
    """A cryptographic operation that was refused; `code` is KMS's name for why."""

    code: ClassVar[str]


class InvalidCiphertext(MaterialError):
    """Bytes that do not decrypt, unwrap or decapsulate with this key."""

    code = "InvalidCiphertextException"

    def __init__(self) -> None:
        super().__init__("")


class InvalidSignature(MaterialError):
    """A signature that is not this key's for this message."""

    code = "KMSInvalidSignatureException"

    def __init__(self) -> None:
        super().__init__("")


class InvalidMac(MaterialError):
    """A MAC that is not this key's for this message."""

    code = "KMSInvalidMacException"

    def __init__(self) -> None:
        super().__init__("")


class InvalidKeyUsage(MaterialError):
    """An algorithm that keys of this spec, or with this usage, do not have."""

    code = "InvalidKeyUsageException"

    def __init__(self, algorithm: str, spec: str) -> None:
        super().__init__(f"Algorithm {algorithm} is incompatible with key spec {spec}.")
        self.algorithm = algorithm
        self.spec = spec


class InvalidParameter(MaterialError):
    """A message, digest or public key of the wrong size or form."""

    code = "ValidationException"


class IncorrectKeyMaterial(MaterialError):
    """Material offered for import that is none for this key spec."""

    code = "IncorrectKeyMaterialException"


class Unsupported(MaterialError):
    """Something AWS has and this KMS says in words that it has not."""

    code = "UnsupportedOperationException"
