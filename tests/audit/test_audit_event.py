"""What a record shows: who, when, which key, which object, from where; and no secret."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.audit import Event
from tlslab.audit.columns import columns
from tlslab.audit.event import encode
from tlslab.audit.redaction import shown
from tlslab.iam import Caller, Principal

ACCOUNT = "111122223333"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "root", "root", ACCOUNT)
ROLE = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/night",
    ACCOUNT,
    "assumed-role",
    "reader",
    "AROAREADER:night",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/jobs/reader",
)


def caller(principal: Principal | None, key: str | None = "AKIAKEY") -> Caller:
    return Caller(principal, key, "192.0.2.7", "aws-cli/1", secure=True)


def test_a_record_has_cloudtrails_members(make_event: Callable[..., Event]) -> None:
    event = make_event(5, request_id="r1", event_id="e1")
    assert event.record() == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAALICE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAALICE",
            "userName": "alice",
        },
        "eventTime": "2026-11-20T12:00:05Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "eu-west-2",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "tests",
        "requestParameters": {"encryptionContext": {"number": "5"}},
        "responseElements": None,
        "requestID": "r1",
        "eventID": "e1",
        "readOnly": True,
        "resources": [
            {
                "accountId": ACCOUNT,
                "type": "AWS::KMS::Key",
                "ARN": f"arn:aws:kms:eu-west-2:{ACCOUNT}:key/k1",
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


@pytest.mark.parametrize(
    ("who", "expected", "username"),
    [
        (caller(ROOT), {"type": "Root", "accountId": ACCOUNT, "accessKeyId": "AKIAKEY"}, "root"),
        (caller(None, None), {"type": "AWSAccount", "accountId": "ANONYMOUS_PRINCIPAL"}, ""),
        (
            Caller.service("s3.amazonaws.com", ACCOUNT),
            {"type": "AWSService", "invokedBy": "s3.amazonaws.com"},
            "",
        ),
        (
            caller(ROLE),
            {
                "type": "AssumedRole",
                "principalId": "AROAREADER:night",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "principalId": "AROAREADER",
                        "arn": f"arn:aws:iam::{ACCOUNT}:role/jobs/reader",
                        "accountId": ACCOUNT,
                        "userName": "reader",
                    }
                },
            },
            "night",
        ),
    ],
)
def test_every_kind_of_caller_is_shown(
    make_event: Callable[..., Event], who: Caller, expected: dict[str, Any], username: str
) -> None:
    record = make_event(0, caller=who).record()
    assert expected.items() <= record["userIdentity"].items()
    assert columns(record)["username"] == username


def test_a_service_in_between_is_named_and_the_caller_kept(
    make_event: Callable[..., Event],
) -> None:
    """Of an object read through S3: who, from where, by which service, which object."""
    context = {"aws:s3:arn": "arn:aws:s3:::ledger/2026"}
    via = caller(ROOT).for_service("s3.eu-west-2.amazonaws.com")
    record = make_event(0, caller=via, parameters={"encryptionContext": context}).record()
    assert record["userIdentity"]["invokedBy"] == "s3.amazonaws.com"
    assert record["userIdentity"]["type"] == "Root"
    assert record["sourceIPAddress"] == "192.0.2.7"
    assert record["requestParameters"]["encryptionContext"] == context


def test_a_refusal_is_shown(make_event: Callable[..., Event]) -> None:
    refused = make_event(0, error="AccessDenied", error_message="no").record()
    assert (refused["errorCode"], refused["errorMessage"]) == ("AccessDenied", "no")
    assert "errorCode" not in make_event(0).record()


def test_an_endless_user_agent_is_cut(make_event: Callable[..., Event]) -> None:
    for length, kept in ((1024, 1024), (1025, 1024)):
        who = Caller(ROOT, None, "192.0.2.7", "x" * length, secure=True)
        assert len(make_event(0, caller=who).record()["userAgent"]) == kept


@pytest.mark.parametrize(
    "members",
    [
        {"Plaintext": b"s3cret"},
        {"KeyId": "k", "CiphertextBlob": b"s3cret", "GrantTokens": ["s3cret"]},
        {"GrantToken": "s3cret", "GrantId": "g"},
        {"Deep": {"Deeper": [{"Blob": b"s3cret"}, b"s3cret", bytearray(b"s3cret")]}},
        {"Message": memoryview(b"s3cret"), "Signature": b"s3cret"},
    ],
)
def test_no_secret_is_shown(members: dict[str, Any]) -> None:
    assert b"s3cret" not in encode({"requestParameters": shown(members)})


def test_what_is_no_secret_is_shown_as_cloudtrail_names_it() -> None:
    time = datetime.datetime(2026, 1, 2, 15, 4, 5, tzinfo=datetime.UTC)
    members = {
        "KeyId": "alias/x",
        "EncryptionContext": {"Purpose": "Backup"},
        "KeyMetadata": {"AWSAccountId": ACCOUNT, "CreationDate": time},
        "Tags": [{"TagKey": "Team", "TagValue": "Red"}],
        "Constraints": {"EncryptionContextSubset": {"A": "B"}},
        "DryRun": None,
        "NumberOfBytes": 32,
    }
    assert shown(members) == {
        "keyId": "alias/x",
        "encryptionContext": {"Purpose": "Backup"},
        "keyMetadata": {"aWSAccountId": ACCOUNT, "creationDate": "Jan 2, 2026, 3:04:05 PM"},
        "tags": [{"tagKey": "Team", "tagValue": "Red"}],
        "constraints": {"encryptionContextSubset": {"A": "B"}},
        "numberOfBytes": 32,
    }
    assert shown({}) is shown({"Plaintext": b"x"}) is None


@pytest.mark.parametrize(("hour", "shows"), [(0, "12:00:00 AM"), (12, "12:00:00 PM"), (23, "11")])
def test_times_are_written_for_people(hour: int, shows: str) -> None:
    time = datetime.datetime(2026, 11, 20, hour, tzinfo=datetime.UTC)
    found = shown({"At": time})
    assert found is not None
    assert shows in found["at"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


NAMES = st.text() | st.sampled_from(["EncryptionContext", "KeyId", "GrantTokens", "Constraints"])


@given(st.dictionaries(NAMES, VALUES))
def test_whatever_is_shown_can_be_written(members: dict[str, Any]) -> None:
    json.loads(encode({"requestParameters": shown(members)}))
