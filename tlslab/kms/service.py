"""The KMS: one request after the other, each decided and recorded in one write of the database.

    validate → find the key → authorise → check its state → act → record

All of it happens inside the write, where nothing else changes: a key that was enabled when it was
looked at is enabled while it is used. What a refused request changed is undone; its record stays.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio
from sqlalchemy import Connection

from tlslab.audit import Event, Resource, Trail
from tlslab.audit.redaction import shown
from tlslab.database import Database
from tlslab.errors import IntegrityError
from tlslab.iam import Caller
from tlslab.kms.call import Call, NotPrepared, Services
from tlslab.kms.errors import KMSError
from tlslab.kms.grants import Grants
from tlslab.kms.keyring import Keyring
from tlslab.kms.material import MaterialError
from tlslab.kms.model import Key
from tlslab.kms.operations.operation import Operation
from tlslab.kms.operations.table import OPERATIONS
from tlslab.kms.schedule import SERVICE, advance, record
from tlslab.kms.shapes import validated
from tlslab.kms.usage import note_usage
from tlslab.seal import Seal

_KEY_SPECS = {32: "AES_256", 16: "AES_128"}


@dataclass(frozen=True)
class DataKey:
    """A data key, in plain and encrypted under a KMS key."""

    plaintext: bytes = field(repr=False)
    ciphertext: bytes
    key_arn: str


@dataclass(frozen=True)
class Decrypted:
    """What a ciphertext held, and the key that opened it."""

    plaintext: bytes = field(repr=False)
    key_arn: str


@dataclass(frozen=True)
class _Outcome:
    result: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error: KMSError | None = None


def utc_now() -> datetime.datetime:
    """The time, with its time zone."""
    return datetime.datetime.now(datetime.UTC)


class KMS:
    """The keys of all accounts in all regions, in a database.

    The database must have been opened with the `metadata` of this package's tables and of the
    trail's. `principal_exists` says of an ARN in a policy or grant whether there is such a
    principal (without it all are taken for existing); `regions` are those that keys can be
    replicated to (without it all).
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        trail: Trail,
        *,
        now: Callable[[], datetime.datetime] = utc_now,
        principal_exists: Callable[[str], bool] | None = None,
        regions: Collection[str] | None = None,
    ) -> None:
        keyring = Keyring(seal)
        self._database = database
        self._trail = trail
        self._now = now
        self._services = Services(
            keyring=keyring,
            grants=Grants(seal, keyring.cache),
            blob_key=seal.derive("kms ciphertext header"),
            wrap=seal.wrap,
            unwrap=seal.unwrap,
            principal_exists=principal_exists,
            regions=None if regions is None else frozenset(regions),
        )

    async def invoke(
        self,
        caller: Caller,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        region: str,
        request_id: str | None = None,
    ) -> dict[str, Any]:
        """Serve one operation of the API.

        Members have their names on the wire; blobs are bytes, times datetimes with a time zone.
        Raises KMSError, and DatabaseUnavailable.
        """
        found = OPERATIONS.get(operation)
        if found is None:
            raise await self.refuse(
                caller, operation, KMSError("UnknownOperationException"), region=region
            )
        prepared: dict[str, Any] = {}
        request = _Request(
            caller, found, parameters, region, request_id or str(uuid.uuid4()), prepared
        )
        while True:
            try:
                outcome = await self._database.write(lambda link: self._serve(link, request))
                break
            except NotPrepared as needed:
                prepared[needed.name] = await trio.to_thread.run_sync(_attempt, needed.work)
        if outcome.error is not None:
            raise outcome.error
        return dict(outcome.result)

    async def refuse(
        self,
        caller: Caller,
        operation: str,
        error: KMSError,
        *,
        region: str,
        request_id: str | None = None,
    ) -> KMSError:
        """Record a request that was refused before it could be served; `error`, to be raised."""
        event = Event(
            time=self._now(),
            source=SERVICE,
            name=operation,
            region=region,
            caller=caller,
            error=error.code,
            error_message=error.message,
            request_id=request_id or str(uuid.uuid4()),
        )
        await self._database.write(lambda connection: self._trail.append(connection, event))
        return error

    async def generate_data_key(
        self,
        caller: Caller,
        key_id: str,
        *,
        region: str,
        context: Mapping[str, str],
        size: int = 32,
    ) -> DataKey:
        """GenerateDataKey, for the services beside this one. Raises as `invoke`."""
        wanted: dict[str, Any] = {"NumberOfBytes": size}
        if size in _KEY_SPECS:
            wanted = {"KeySpec": _KEY_SPECS[size]}
        answer = await self.invoke(
            caller,
            "GenerateDataKey",
            {"KeyId": key_id, "EncryptionContext": dict(context), **wanted},
            region=region,
        )
        return DataKey(answer["Plaintext"], answer["CiphertextBlob"], answer["KeyId"])

    async def decrypt(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        region: str,
        context: Mapping[str, str],
        key_id: str | None = None,
    ) -> Decrypted:
        """Decrypt, for the services beside this one. Raises as `invoke`."""
        parameters: dict[str, Any] = {
            "CiphertextBlob": ciphertext,
            "EncryptionContext": dict(context),
        }
        if key_id is not None:
            parameters["KeyId"] = key_id
        answer = await self.invoke(caller, "Decrypt", parameters, region=region)
        return Decrypted(answer["Plaintext"], answer["KeyId"])

    async def resolve(self, caller: Caller, key_id: str, *, region: str) -> str:
        """The ARN of the key that an id, ARN or alias means, for a service to note it.

        Makes the AWS-managed key of a predefined alias, and records that; otherwise it is neither
        authorised nor recorded, as it tells nothing but the name. Raises KMSError
        (NotFoundException, InvalidArnException).
        """
        request = _Request(caller, OPERATIONS["DescribeKey"], {}, region, "", {})

        def work(connection: Connection) -> str | KMSError:
            call = self._call(connection, request, self._advance(connection))
            try:
                arn = call.find(key_id).key.arn
            except KMSError as error:
                return error
            self._record_made(call)
            return arn

        if caller.principal is None:
            raise _anonymous()
        found = await self._database.write(work)
        if isinstance(found, KMSError):
            raise found
        return found

    async def sweep(self) -> None:
        """Do what is due: deletions, rotations, expiries. Worth calling now and then.

        Requests do it too; this is for a KMS that nobody asks anything.
        """
        await self._database.write(self._advance)

    # Inside a write

    def _advance(self, connection: Connection) -> datetime.datetime:
        time = self._now()
        advance(self._services.keyring, self._trail, connection, time)
        return time

    def _call(self, connection: Connection, request: _Request, time: datetime.datetime) -> Call:
        return Call(
            services=self._services,
            connection=connection,
            operation=request.operation,
            caller=request.caller,
            region=request.region,
            time=time,
            prepared=request.prepared,
        )

    def _serve(self, connection: Connection, request: _Request) -> _Outcome:
        try:
            time = self._advance(connection)
            call = self._call(connection, request, time)
            outcome = self._outcome(call, request.parameters)
            self._record(call, request, outcome)
        except BaseException:
            self._services.keyring.cache.forget()  # all of this is undone
            raise
        return outcome

    def _outcome(self, call: Call, parameters: Mapping[str, Any]) -> _Outcome:
        try:
            if call.operation.read_only:
                return _Outcome(_answer(call, parameters))
            with call.connection.begin_nested():
                return _Outcome(_answer(call, parameters))
        except KMSError as error:
            refusal = error
        except MaterialError as error:
            refusal = KMSError(error.code, error.message)
        except IntegrityError:
            refusal = KMSError("KMSInternalException", status=500)
        if not call.operation.read_only:
            self._services.keyring.cache.forget()
        return _Outcome(error=refusal)

    def _record_made(self, call: Call) -> None:
        for key in call.made:
            record(self._trail, call.connection, key, "CreateKey", call.time)

    def _record(self, call: Call, request: _Request, outcome: _Outcome) -> None:
        self._record_made(call)
        error = outcome.error
        response = None if error or call.operation.read_only else outcome.result
        event = Event(
            time=call.time,
            source=SERVICE,
            name=call.operation.name,
            region=call.region,
            caller=call.caller,
            parameters=shown(call.parameters),
            response=shown(response) if response else None,
            error=None if error is None else error.code,
            error_message=None if error is None else error.message,
            resources=tuple(_resource(key) for key in call.touched.values()),
            read_only=call.operation.read_only,
            request_id=request.id,
            extra={"keyMaterialIds": call.material_ids} if call.material_ids else None,
        )
        self._trail.append(call.connection, event)
        if error is None:
            for key, operation in call.used.values():
                note_usage(call, key, operation, event)


@dataclass(frozen=True)
class _Request:
    caller: Caller
    operation: Operation
    parameters: Mapping[str, Any] = field(repr=False)
    region: str
    id: str
    prepared: dict[str, Any] = field(repr=False)


def _answer(call: Call, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Validate, find the key, authorise, check its state, act. Raises KMSError."""
    operation = call.operation
    call.parameters = validated(operation.members, parameters)
    if call.caller.principal is None:
        raise _anonymous()
    for token in call.parameters.get("GrantTokens", ()):
        call.services.grants.grant_id(token)
    if operation.key is not None:
        call.target = call.use(
            call.parameters[operation.key],
            operation.name,
            states=operation.states,
            alias=operation.alias,
        )
        if operation.usage is not None:
            call.require_usage(call.key, operation.usage)
        call.dry_run()
    return operation.handler(call)


def _anonymous() -> KMSError:
    return KMSError(
        "MissingAuthenticationTokenException", "Request is missing Authentication Token"
    )


def _attempt(work: Callable[[], object]) -> object:
    """What the work returns, or the error it refuses with, which the next attempt raises."""
    try:
        return work()
    except MaterialError as error:
        return error


def _resource(key: Key) -> Resource:
    return Resource(key.arn, key.account)
