"""One signed request to a service, on a connection of its own, and the answer.

It knows how services are reached and how they refuse, and nothing of what is asked of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import asynccontextmanager
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import trio

from tlslab.clientside.remote.settings import Endpoint, Settings
from tlslab.errors import NetworkError, TlslabError
from tlslab.http import ClientResponse, HTTPClient, Limits
from tlslab.iam.signing import sign_v4
from tlslab.tls import ClientPolicy, TLSStream

CONNECT_SECONDS = 10.0
"""For a connection, its TLS handshake included."""

LIMITS = Limits(body_bytes=5 * 1024**4, total_seconds=7 * 24 * 3600.0)
"""An object may be 5 TiB (S3's largest) and take days, as long as bytes keep coming."""

ERROR_BYTES = 64 * 1024
"""The body of a refusal; S3's have less than one KiB."""


class ServiceError(TlslabError):
    """The service refused. `code` is the service's own (such as NoSuchKey), `status` HTTP's."""

    def __init__(self, code: str, message: str, status: int) -> None:
        said = f": {message}" if message else ""
        hint = _HINTS.get(code.removeprefix("KMS."))
        super().__init__(f"the service answered {status} {code}{said}", hint=hint)
        self.code = code
        self.status = status


_HINTS = {
    "AccessDenied": "these credentials may not do that, or the object's key is another",
    "AccessDeniedException": "the policy of the KMS key does not let these credentials use it",
    "DisabledException": "who manages the KMS key may enable it: aws kms enable-key",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID, and that the endpoint is the one it is for",
    "InvalidRequest": "an object stored with a key of yours needs it again: --sse-c-key-file",
    "KMSInvalidStateException": "aws kms describe-key tells what became of the KMS key",
    "NoSuchBucket": "make the bucket first: aws s3 mb s3://…",
    "NoSuchKey": "check the key; aws s3 ls shows what is there",
    "NotFoundException": "check the KMS key's id or alias, and the region",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
    "UnrecognizedClientException": "check AWS_ACCESS_KEY_ID",
}


@asynccontextmanager
async def exchange(
    settings: Settings,
    endpoint: Endpoint,
    service: str,
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes | AsyncIterable[bytes] | None = None,
    *,
    payload_hash: str,
) -> AsyncGenerator[ClientResponse]:
    """Send a signed request; the answer's body can be read inside this context.

    `payload_hash` is what `x-amz-content-sha256` says. Raises ServiceError where the service
    refuses, NetworkError where it cannot be reached, TLSError and HTTPError.
    """
    signed = sign_v4(
        settings.credentials,
        method,
        target,
        headers,
        host=endpoint.authority,
        service=service,
        region=settings.region,
        now=settings.now(),
        payload_hash=payload_hash,
    )
    stream = await _connect(settings, endpoint)
    async with HTTPClient(stream, host=endpoint.authority, limits=LIMITS) as client:
        answer = await client.request(method, target, headers=signed, body=body)
        if answer.status >= 300:
            raise await _refusal(answer)
        yield answer


async def _connect(settings: Settings, endpoint: Endpoint) -> trio.abc.Stream:
    where = endpoint.authority
    hint = "is the endpoint right? AWS_ENDPOINT_URL or --endpoint-url names it"
    try:
        with trio.fail_after(CONNECT_SECONDS):
            transport = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except trio.TooSlowError:
        raise NetworkError(f"{where} did not answer in time", hint=hint) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetworkError(f"cannot reach {where}: {reason}", hint=hint) from error
    if not endpoint.secure:
        return transport
    tls = TLSStream.client(transport, ClientPolicy(trust=settings.trust), endpoint.host)
    try:
        await tls.do_handshake()
    except BaseException:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(transport)
        raise
    return tls


async def _refusal(answer: ClientResponse) -> ServiceError:
    """The error in an answer: XML from S3, JSON from KMS, or nothing after HEAD."""
    body = await answer.read(ERROR_BYTES)
    code, message = answer.reason, ""
    try:
        if body.lstrip().startswith(b"<"):
            root: Element = defusedxml.ElementTree.fromstring(body)
            code = root.findtext("Code") or code
            message = root.findtext("Message") or ""
        elif body:
            said = json.loads(body)
            code = str(said.get("__type", code)).rpartition("#")[2]
            message = str(said.get("message") or said.get("Message") or "")
    except (ValueError, AttributeError, SyntaxError):
        pass  # whatever that was, the status says enough
    return ServiceError(_plain(code), _plain(message), answer.status)


def _plain(text: str) -> str:
    """What a server says goes to a terminal: no control characters, and not a novel."""
    return "".join(c if c.isprintable() else " " for c in text)[:500]
