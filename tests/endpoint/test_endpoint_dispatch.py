"""Which service answers a request, and in what words it refuses one that nobody signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.endpoint.conftest import Endpoint

TRAIL = b"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
FORM = [(b"Content-Type", b"application/x-www-form-urlencoded")]
WHO_AM_I = b"Action=GetCallerIdentity&Version=2011-06-15"


async def events(endpoint: Endpoint) -> Sequence[dict[str, str]]:
    headers = [(b"X-Amz-Target", TRAIL)]
    alice = endpoint.user("alice")
    answer = await endpoint.send("POST", "/", b"{}", headers, user=alice, service="cloudtrail")
    assert answer.status == 200
    found: Sequence[dict[str, str]] = answer.json["Events"]
    return found


async def test_every_service_answers_at_the_same_address(endpoint: Endpoint) -> None:
    alice = endpoint.user("alice")
    assert (await endpoint.send("PUT", "/letters", user=alice)).status == 200
    assert b"<Name>letters</Name>" in (await endpoint.send("GET", "/", user=alice)).body
    created = await endpoint.kms("CreateKey", alice)
    assert created.json["KeyMetadata"]["Arn"].startswith("arn:aws:kms:eu-west-2:111122223333:key/")
    who = await endpoint.send("POST", "/", WHO_AM_I, FORM, user=alice, service="sts")
    assert b"<Arn>arn:aws:iam::111122223333:user/alice</Arn>" in who.body
    assert [event["EventName"] for event in await events(endpoint)] == ["CreateKey"]


async def test_the_region_is_the_one_that_was_signed_for(endpoint: Endpoint) -> None:
    alice = endpoint.user("alice")
    headers = [(b"X-Amz-Target", b"TrentService.CreateKey")]
    there = await endpoint.send(
        "POST", "/", b"{}", headers, user=alice, service="kms", region="us-east-1"
    )
    assert ":us-east-1:" in there.json["KeyMetadata"]["Arn"]
    nowhere = await endpoint.send(
        "POST", "/", b"{}", headers, user=alice, service="kms", region="mars-north-1"
    )
    assert nowhere.json["__type"] == "IncompleteSignatureException"


async def test_a_request_to_the_kms_that_nobody_signed_is_refused_and_recorded(
    endpoint: Endpoint,
) -> None:
    refused = await endpoint.kms("CreateKey", None)
    assert (refused.status, refused.json["__type"]) == (400, "MissingAuthenticationTokenException")
    (event,) = await trail_of_all(endpoint)
    assert (event["eventName"], event["errorCode"]) == ("CreateKey", refused.json["__type"])
    assert event["sourceIPAddress"] == "192.0.2.9"
    assert "arn" not in event["userIdentity"]


async def trail_of_all(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = await endpoint.backend.trail.read_after(0)
    return [json.loads(one.record) for one in found]


@pytest.mark.parametrize("target", [b"TrentService.ListKeys", TRAIL, None])
async def test_a_signature_for_one_service_is_good_for_no_other(
    endpoint: Endpoint, target: bytes | None
) -> None:
    alice = endpoint.user("alice")
    headers = FORM if target is None else [(b"X-Amz-Target", target)]
    body = WHO_AM_I if target is None else b"{}"
    answer = await endpoint.send("POST", "/", body, headers, user=alice, service="s3")
    assert answer.status >= 400


async def test_what_is_no_service_is_refused(endpoint: Endpoint) -> None:
    headers = [(b"X-Amz-Target", b"DynamoDB_20120810.ListTables")]
    answer = await endpoint.send("POST", "/", b"{}", headers, user=endpoint.user("alice"))
    assert answer.json["__type"] == "UnknownOperationException"
    assume = b"Action=AssumeRole&Version=2011-06-15"
    alice = endpoint.user("alice")
    answer = await endpoint.send("POST", "/", assume, FORM, user=alice, service="sts")
    assert answer.status == 501
