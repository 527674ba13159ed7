"""The S3 API over HTTP: a request is understood, authenticated, authorised, and only then done.

The order is AWS's where it is known: the target and the signature first, then whether the bucket is
there and the operation exists, then permission, then the validity of what is asked. What is not
understood is 501 before anything is read or changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from tlslab.errors import StoreError
from tlslab.http import Headers, Request, Response
from tlslab.iam import Caller, Hop, Identities
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication, authenticate
from tlslab.store.engine import ObjectStore
from tlslab.store.model import Bucket
from tlslab.store.refusals import Refused
from tlslab.store.s3 import answers, cors
from tlslab.store.s3.access import authorise, concealed
from tlslab.store.s3.call import Call, Setting
from tlslab.store.s3.fields import Fields
from tlslab.store.s3.handlers import HANDLERS
from tlslab.store.s3.operations import find_operation
from tlslab.store.s3.target import Target, read_target


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3:
    """An object store's wire face.

    `region` is where buckets are made that name none, `regions` all that are served; `domains` are
    those whose subdomains are buckets; `compat` "ceph" answers as Ceph's tests want it where they
    and AWS disagree.
    """

    def __init__(
        self,
        store: ObjectStore,
        identities: Identities,
        *,
        region: str,
        regions: Collection[str] = (),
        domains: Collection[str] = (),
        compat: Literal["ceph"] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._setting = Setting(
            store,
            region,
            frozenset({region, *regions}),
            compat,
            now,
            identities,
        )
        self._domains = tuple(domains)

    async def handle(self, request: Request, hop: Hop) -> Response:
        """Answer one request that came over `hop`. Errors of S3 are answers, not exceptions."""
        request_id = secrets.token_hex(8).upper()
        try:
            response = await self._answer(request, hop, request_id)
        except Refused as refusal:
            response = answers.refused(refusal, request_id)
        except SignatureError as error:
            response = answers.error(
                error.code, error.status, error.message, error.details, request_id
            )
        except StoreError as failure:
            response = answers.failed(failure, request_id)
        if request.method == "HEAD" and response.status >= 400:
            response = replace(response, body=b"")
        ids = [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", request_id.encode())]
        return replace(response, headers=[*response.headers, *ids])

    async def _answer(self, request: Request, hop: Hop, request_id: str) -> Response:
        target = read_target(request, self._domains)
        if request.method == "OPTIONS":
            return await self._preflight(target, Fields(request.headers))
        authentication = self._authenticate(request, target)
        fields = Fields(request.headers, target.query, authentication.scheme)
        operation = find_operation(request.method, target, fields, self._setting.compat)
        call = Call(
            self._setting,
            request,
            operation,
            target,
            fields,
            _caller(authentication, fields, hop),
            authentication,
            request_id,
            None if operation.scope == "service" else await self._bucket(target.bucket),
        )
        try:
            response = await _operate(call)
        except Refused as refusal:
            response = answers.refused(await concealed(call, refusal), request_id)
        return replace(response, headers=[*response.headers, *_cors_headers(call)])

    def _authenticate(self, request: Request, target: Target) -> Authentication:
        setting = self._setting
        return authenticate(
            request,
            setting.identities,
            now=setting.now(),
            regions=(setting.region, *setting.regions),
            bucket=target.bucket if target.virtual else None,
        )

    async def _bucket(self, name: str) -> Bucket | None:
        try:
            return await self._setting.store.bucket(name)
        except Refused as refusal:
            if refusal.code != "NoSuchBucket":
                raise
            return None

    async def _preflight(self, target: Target, fields: Fields) -> Response:
        bucket = await self._bucket(target.bucket) if target.bucket else None
        if bucket is None:
            raise Refused("NoSuchBucket", details={"BucketName": target.bucket})
        headers = cors.preflight(_rules(bucket), fields)
        return answers.empty(200, headers)


async def _operate(call: Call) -> Response:
    await authorise(call)
    expected = call.fields.get("x-amz-expected-bucket-owner")
    if expected is not None and call.resource is not None and expected != call.resource.owner:
        raise Refused("AccessDenied")
    return await HANDLERS[call.operation.name](call)


def _caller(authentication: Authentication, fields: Fields, hop: Hop) -> Caller:
    key = authentication.key
    return Caller(
        None if key is None else key.principal,
        None if key is None else key.id,
        source_ip=hop.source_ip,
        user_agent=fields.get("user-agent", ""),
        secure=hop.secure,
    )


def _rules(bucket: Bucket) -> tuple[cors.CORSRule, ...]:
    return cors.read_rules(bucket.cors.encode()) if bucket.cors else ()


def _cors_headers(call: Call) -> Headers:
    if "origin" not in call.fields or call.resource is None:
        return []
    return cors.response_headers(_rules(call.resource), call.fields, call.request.method)
