"""A request whose signature, or what depends on it, does not hold: in S3's terms and in KMS's.

The codes and messages are AWS's. S3 answers them as they are; the JSON services have names of their
own for the same things. Source: Amazon S3 API Reference, "Error responses"; AWS KMS API Reference,
"Common errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tlslab.errors import TlslabError

STATUS: Final = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "IncompleteBody": 400,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidChunkSizeError": 403,
    "InvalidPolicyDocument": 400,
    "InvalidRequest": 400,
    "InvalidToken": 400,
    "MalformedTrailerError": 400,
    "MissingAuthenticationToken": 403,  # of services other than S3, where nobody is anonymous
    "MissingContentLength": 411,
    "NotImplemented": 501,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "XAmzContentSHA256Mismatch": 400,
}
"""The HTTP status of each code used here."""

_JSON: Final = {
    "AccessDenied": "IncompleteSignatureException",
    "AuthorizationHeaderMalformed": "IncompleteSignatureException",
    "AuthorizationQueryParametersError": "IncompleteSignatureException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "InvalidArgument": "IncompleteSignatureException",
    "InvalidRequest": "IncompleteSignatureException",
    "InvalidToken": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "XAmzContentSHA256Mismatch": "InvalidSignatureException",
}


class SignatureError(TlslabError):
    """A refusal: `code` and `message` are S3's, `details` the further elements of its error body.

    `details` can hold what was signed, as AWS's do: for the one who signed it, not for a log.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.details: Mapping[str, str] = dict(details or {})

    @property
    def json_code(self) -> str:
        """What KMS and the other JSON services call it (status 400, but 501 stays)."""
        return _JSON.get(self.code, "UnsupportedOperationException")


def timestamp(moment: datetime) -> str:
    """A time as error bodies give it: `2013-05-24T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mismatch(
    access_key_id: str, string_to_sign: bytes, provided: str, canonical: bytes | None = None
) -> SignatureError:
    """SignatureDoesNotMatch, with what was signed here, so that a client can be mended."""
    details = {
        "AWSAccessKeyId": access_key_id,
        "StringToSign": string_to_sign.decode("utf-8", "replace"),
        "SignatureProvided": provided,
        "StringToSignBytes": string_to_sign.hex(" "),
    }
    if canonical is not None:
        details["CanonicalRequest"] = canonical.decode("utf-8", "replace")
        details["CanonicalRequestBytes"] = canonical.hex(" ")
    return SignatureError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        details,
    )


def unknown_key(access_key_id: str) -> SignatureError:
    """InvalidAccessKeyId."""
    return SignatureError(
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        {"AWSAccessKeyId": access_key_id},
    )


def unsupported(what: str, instead: str) -> SignatureError:
    """NotImplemented, in words."""
    return SignatureError("NotImplemented", f"{what} is not implemented; {instead}")
