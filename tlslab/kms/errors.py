"""The one error of the KMS: its name on the wire and AWS's words for it.

The code is what callers match. The message goes to the client as it is, so it is AWS's own wording
where that is known, upper case included, and empty where KMS does not say why (a ciphertext, a
signature or a MAC that is wrong).
"""

from __future__ import annotations

from tlslab.errors import TlslabError


class KMSError(TlslabError):
    """A request that KMS refuses.

    `code` is the exception's name in the API's model, such as `NotFoundException`; `status` is the
    HTTP status that goes with it (400 for all that are the caller's fault).
    """

    def __init__(self, code: str, message: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def invalid(message: str) -> KMSError:
    """A request that no key could serve."""
    return KMSError("ValidationException", message)


def unsupported(message: str = "") -> KMSError:
    """Something that this key, or this KMS, does not do."""
    return KMSError("UnsupportedOperationException", message)
