"""Every operation of the KMS, asked by everybody who may not: refused, recorded, nothing changes.

Its twin, the same request by somebody who may, succeeds: so it was refused for who asked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tlslab.kms.operations.table import OPERATIONS

World = Any
"""`conftest.World`; its `Ask` is a request."""

LATER = timedelta(minutes=16)
"""Long enough for every signature to be out of date."""

NO_KEY = {
    "CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants",
}  # fmt: skip
"""Anybody with an account may do these for himself; see the tests at the end."""

NO_SUCH_THING = {name for name in OPERATIONS if "CustomKeyStore" in name}
"""Refused to everybody: there are no custom key stores."""

OF_THE_ACCOUNT = {"DeleteAlias", "UpdateAlias"}
"""They name something in the caller's own account, where another account finds nothing."""


def parameters(world: World, name: str) -> dict[str, Any]:
    """The members of a request that would do something."""
    facts = world.facts
    key, message = facts["key"], facts["message"]
    signing = {"KeyId": facts["signer"], "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"}
    mac = {"KeyId": facts["mac"], "Message": message, "MacAlgorithm": "HMAC_SHA_256"}
    pair = {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}
    kem = {"KeyId": facts["kem"], "EncapsulationAlgorithm": "ML_KEM"}
    grantee = {"GranteePrincipal": world.key("bob").principal.arn, "Operations": ["Encrypt"]}
    found: Mapping[str, Mapping[str, Any]] = {
        "CancelKeyDeletion": {"KeyId": facts["dying"]},
        "CreateAlias": {"AliasName": "alias/new", "TargetKeyId": key},
        "CreateGrant": {"KeyId": key, **grantee},
        "CreateKey": {},
        "Decapsulate": {**kem, "SharedSecretCiphertextBlob": facts["encapsulated"]},
        "Decrypt": {"CiphertextBlob": facts["ciphertext"]},
        "DeleteAlias": {"AliasName": "alias/letters"},
        "DeleteImportedKeyMaterial": {"KeyId": facts["imported"]},
        "DeriveSharedSecret": {
            "KeyId": facts["agreement"],
            "KeyAgreementAlgorithm": "ECDH",
            "PublicKey": facts["public"],
        },
        "EnableKey": {"KeyId": facts["disabled"]},
        "Encapsulate": kem,
        "Encrypt": {"KeyId": key, "Plaintext": message},
        "GenerateDataKey": {"KeyId": key, "KeySpec": "AES_256"},
        "GenerateDataKeyPair": pair,
        "GenerateDataKeyPairWithoutPlaintext": pair,
        "GenerateDataKeyWithoutPlaintext": {"KeyId": key, "KeySpec": "AES_256"},
        "GenerateMac": mac,
        "GenerateRandom": {"NumberOfBytes": 16},
        "GetParametersForImport": {
            "KeyId": facts["external"],
            "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
            "WrappingKeySpec": "RSA_2048",
        },
        "GetPublicKey": {"KeyId": facts["signer"]},
        "ImportKeyMaterial": {"KeyId": facts["external"], **facts["material"]},
        "ListAliases": {},
        "ListKeys": {},
        "ListRetirableGrants": {"RetiringPrincipal": world.key("alice").principal.arn},
        "PutKeyPolicy": {"KeyId": key, "Policy": facts["policy"].replace("carol", "erin")},
        "ReEncrypt": {"CiphertextBlob": facts["ciphertext"], "DestinationKeyId": key},
        "ReplicateKey": {"KeyId": facts["multi"], "ReplicaRegion": "eu-west-1"},
        "RetireGrant": {"KeyId": key, "GrantId": facts["grant"]},
        "RevokeGrant": {"KeyId": key, "GrantId": facts["grant"]},
        "Sign": signing,
        "TagResource": {"KeyId": key, "Tags": [{"TagKey": "new", "TagValue": "x"}]},
        "UntagResource": {"KeyId": key, "TagKeys": ["team"]},
        "UpdateAlias": {"AliasName": "alias/letters", "TargetKeyId": facts["other"]},
        "UpdateKeyDescription": {"KeyId": key, "Description": "new"},
        "UpdatePrimaryRegion": {"KeyId": facts["replicated"], "PrimaryRegion": "eu-west-1"},
        "Verify": {**signing, "Signature": facts["signature"]},
        "VerifyMac": {**mac, "Mac": facts["tag"]},
    }
    if name in found:
        return dict(found[name])
    return {"KeyId": key} if OPERATIONS[name].key else {}


def request(world: World, name: str) -> Any:
    """A request for an operation."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"TrentService.{name}",
    }
    body = json.dumps(parameters(world, name)).encode()
    return world.Ask("POST", "/", headers, body, service="kms")


def refused(answer: Any, *codes: str) -> bool:
    """Whether it is one of these refusals, and says nothing else."""
    return (
        answer.status == 400
        and answer.code in codes
        and {each.lower() for each in answer.json} == {"__type", "message"}
    )


NAMES = sorted(OPERATIONS)


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_signature_that_holds(world: World, name: str) -> None:
    ask, alice = request(world, name), world.key("alice")
    before, recorded = world.state(), len(world.events())
    headers = world.signed(ask, alice)
    signature = headers["Authorization"]
    unsigned = {**headers, "Authorization": signature.partition(", Signature=")[0]}
    unknown = {**headers, "Authorization": signature.replace(alice.id, "AKIANOBODYXXXXXXXXXX")}
    disabled = {**headers, "Authorization": signature.replace(alice.id, "AKIADISABLEDXXXXXXXX")}
    other = world.Ask("POST", "/", ask.headers, b'{"KeyId": "other"}', "kms")
    refusals = [
        (await world.send(ask), "MissingAuthenticationTokenException"),
        (await world.send(ask, unsigned), "IncompleteSignatureException"),
        (await world.ask(ask, secret="x" * 20), "InvalidSignatureException"),
        (await world.send(ask, unknown), "UnrecognizedClientException"),
        (await world.send(ask, disabled), "UnrecognizedClientException"),
        (await world.ask(ask, at=world.now - LATER), "InvalidSignatureException"),
        (await world.ask(ask, at=world.now + LATER), "InvalidSignatureException"),
        (await world.send(ask, world.signed(other, alice)), "InvalidSignatureException"),
        (await world.send(ask, for_s3(world, ask)), "IncompleteSignatureException"),
    ]
    for answer, code in refusals:
        assert refused(answer, code), (code, answer)
    assert world.state() == before
    events = world.events()[recorded:]
    assert [event["eventName"] for event in events] == [name] * len(refusals)
    assert all(event["errorCode"] for event in events)
    assert not any(world.key("alice").principal.arn in json.dumps(event) for event in events)


def for_s3(world: World, ask: Any) -> dict[str, str]:
    """A signature of the same request that holds for another service."""
    return dict(
        world.signed(
            world.Ask(ask.method, ask.target, ask.headers, ask.body, service="s3"),
            world.key("alice"),
        )
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_KEY | NO_SUCH_THING])
async def test_by_policy(world: World, name: str) -> None:
    ask = request(world, name)
    before = world.state()
    for who in ("mallory", "carol", "dave", "erin"):
        recorded = len(world.events())
        answer = await world.ask(ask, who)
        codes = ["AccessDeniedException"]
        if who == "mallory" and name in OF_THE_ACCOUNT:
            codes = ["NotFoundException"]
        assert refused(answer, *codes), (who, answer)
        assert world.state() == before, who
        (event,) = world.events()[recorded:]
        assert event["eventName"] == name
        assert event["errorCode"]
        assert event["userIdentity"]["arn"] == world.key(who).principal.arn


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_SUCH_THING])
async def test_the_twin_succeeds(world: World, name: str) -> None:
    recorded = len(world.events())
    answer = await world.ask(request(world, name))
    assert answer.status == 200, answer
    event = world.events()[recorded]
    assert event["eventName"] == name
    assert "errorCode" not in event
    assert event["userIdentity"]["arn"] == world.key("alice").principal.arn


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_SUCH_THING])
async def test_without_the_defence_anybody_may(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlslab.kms.call.require_key", lambda *_: None)
    monkeypatch.setattr("tlslab.kms.call.require_identity", lambda *_: None)
    answer = await world.ask(request(world, name), "erin")
    assert answer.status == 200, answer


@pytest.mark.parametrize("name", sorted(NO_SUCH_THING))
async def test_there_are_no_custom_key_stores(world: World, name: str) -> None:
    before = world.state()
    for who in ("alice", "erin"):
        codes = ("UnsupportedOperationException", "AccessDeniedException")
        assert refused(await world.ask(request(world, name), who), *codes)
    assert world.state() == before


@pytest.mark.parametrize("name", sorted(NO_KEY))
async def test_for_himself_everybody_needs_a_policy_too(world: World, name: str) -> None:
    before = world.state()
    for who in ("dave", "erin"):
        assert refused(await world.ask(request(world, name), who), "AccessDeniedException")
    assert world.state() == before


async def test_nobody_sees_the_keys_of_others(world: World) -> None:
    for name in ("ListKeys", "ListAliases"):
        assert b"111122223333" in (await world.ask(request(world, name))).body
        answer = await world.ask(request(world, name), "mallory")
        assert answer.status == 200
        assert b"111122223333" not in answer.body
    with_key = {"KeyId": world.facts["key"]}
    headers = request(world, "ListAliases").headers
    ask = world.Ask("POST", "/", headers, json.dumps(with_key).encode(), service="kms")
    answer = await world.ask(ask, "mallory")
    assert b"alias/letters" not in answer.body
    assert b"alias/letters" in (await world.ask(ask)).body


async def test_an_audit_record_holds_no_secret(world: World) -> None:
    for name in ("GenerateDataKey", "Decrypt", "Encrypt", "GenerateRandom", "ImportKeyMaterial"):
        recorded = len(world.events())
        answer = await world.ask(request(world, name))
        text = json.dumps(world.events()[recorded:])
        secret = answer.json.get("Plaintext") or world.facts["message"]
        assert len(base64.b64decode(secret)) > 8
        assert secret not in text


async def test_lookups_need_a_permission(world: World) -> None:
    target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    ask = world.Ask("POST", "/", headers, b"{}", service="cloudtrail")
    assert (await world.ask(ask)).json["Events"]
    for who in ("bob", "dave", "erin"):
        assert refused(await world.ask(ask, who), "AccessDeniedException")
    assert (await world.ask(ask, "mallory")).json["Events"] == []
    assert refused(await world.send(ask), "MissingAuthenticationTokenException")
    assert refused(await world.ask(ask, secret="x" * 20), "InvalidSignatureException")
    assert refused(await world.ask(ask, at=world.now - LATER), "InvalidSignatureException")
