"""One endpoint for several services, told apart as their clients tell them apart.

    X-Amz-Target: TrentService.*           KMS
    X-Amz-Target: …CloudTrail_20131101.*   the audit trail
    POST / signed for sts                  who am I (GetCallerIdentity)
    anything else                          S3, which authenticates by itself

So AWS_ENDPOINT_URL alone is enough for a client. The region of a request is the one that it was
signed for. A request to KMS whose signature fails is recorded in the trail as well, as nobody's:
who it claimed to be from is a claim.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tlslab.audit.face import TARGET as CLOUDTRAIL
from tlslab.audit.face import CloudTrail, CloudTrailError
from tlslab.endpoint import sts
from tlslab.http import Request, Response
from tlslab.iam import Caller, Hop, Identities
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication, authenticate, claimed_service
from tlslab.kms import KMS, KMSError, face
from tlslab.store.s3 import S3

MAX_BODY = face.MAX_BODY
"""Of a request to a JSON service: its signature covers the whole body, so it is read first."""

_JSON = (b"Content-Type", b"application/x-amz-json-1.1")


@dataclass(frozen=True)
class Dispatch:
    """Answers requests, each by the service that it is for."""

    s3: S3
    kms: KMS
    cloudtrail: CloudTrail
    identities: Identities
    regions: tuple[str, ...]
    now: Callable[[], datetime] = field(repr=False)

    async def __call__(self, request: Request, hop: Hop) -> Response:
        """Answer a request that came over `hop`."""
        target = request.header("x-amz-target")
        if target is None and not (request.method == "POST" and claimed_service(request) == "sts"):
            return await self.s3.handle(request, hop)
        body = await request.read(MAX_BODY)
        request = replace(request, body=_once(body))
        caller = Caller(None, None, hop.source_ip, request.header("user-agent") or "", hop.secure)
        if target is None:
            return self._sts(request, body, caller)
        if target.startswith(face.TARGET):
            return await self._kms(request, body, caller, target)
        if target.rpartition(".")[0].endswith(CLOUDTRAIL):
            return await self._cloudtrail(request, body, caller, target.rpartition(".")[2])
        return _refused("UnknownOperationException", "No such service here.")

    async def _kms(self, request: Request, body: bytes, caller: Caller, target: str) -> Response:
        try:
            signed = self._authenticated(request, body, "kms")
        except SignatureError as error:
            refusal = KMSError(error.json_code, error.message)
            operation = target.removeprefix(face.TARGET)[: face.MAX_NAME]
            await self.kms.refuse(caller, operation, refusal, region=self.regions[0])
            return _refused(refusal.code, refusal.message)
        caller, region = _known(caller, signed)
        return await face.handle(self.kms, caller, request, target, region)

    async def _cloudtrail(
        self, request: Request, body: bytes, caller: Caller, operation: str
    ) -> Response:
        try:
            caller, region = _known(caller, self._authenticated(request, body, "cloudtrail"))
            parameters = _parsed(body)
            answer = await self.cloudtrail.invoke(
                caller, operation, parameters, region=region, now=self.now()
            )
        except SignatureError as error:
            return _refused(error.json_code, error.message)
        except CloudTrailError as error:
            return _refused(error.code, error.message)
        return _answer(200, answer)

    def _sts(self, request: Request, body: bytes, caller: Caller) -> Response:
        request_id = str(uuid.uuid4())
        try:
            caller, _ = _known(caller, self._authenticated(request, body, "sts"))
        except SignatureError as error:
            return sts.refuse(error.status, error.code, error.message, request_id)
        return sts.answer(caller, body, request_id)

    def _authenticated(self, request: Request, body: bytes, service: str) -> Authentication:
        """Who signed it. Raises SignatureError, also if nobody did."""
        found = authenticate(
            request,
            self.identities,
            now=self.now(),
            services=(service,),
            regions=self.regions,
            body=body,
        )
        if found.key is None:
            raise SignatureError(
                "MissingAuthenticationToken", "Request is missing Authentication Token"
            )
        return found


def _known(caller: Caller, signed: Authentication) -> tuple[Caller, str]:
    """The caller with its name, and the region it asks in."""
    assert signed.key is not None
    assert signed.region is not None
    known = replace(caller, principal=signed.key.principal, access_key_id=signed.key.id)
    return known, signed.region


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise CloudTrailError("SerializationException", "")
    return parameters


def _refused(code: str, message: str) -> Response:
    return _answer(400, {"__type": code, "message": message})


def _answer(status: int, value: dict[str, Any]) -> Response:
    headers = (_JSON, (b"x-amzn-RequestId", str(uuid.uuid4()).encode()))
    return Response(status, headers, json.dumps(value, separators=(",", ":")).encode())


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
