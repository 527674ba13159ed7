"""What S3 asks of a bucket's policy beyond its grammar, and what makes one public."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tlslab.iam import Identities, Policy
from tlslab.store.refusals import Refused
from tlslab.store.s3.bucket_policy import MAX_POLICY_BYTES, check_bucket_policy, is_public

ACCOUNT = "111122223333"
BUCKET = "letters"
ARN = f"arn:aws:s3:::{BUCKET}"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
PEOPLE = Identities.generate()


def document(**changes: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ALICE},
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/*",
        **changes,
    }
    return {
        "Version": "2012-10-17",
        "Statement": [{name: value for name, value in statement.items() if value is not None}],
    }


def check(source: dict[str, Any]) -> Policy:
    return check_bucket_policy(json.dumps(source).encode(), BUCKET, exists=PEOPLE.principal_exists)


def refused(source: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        check(source)
    assert (caught.value.code, caught.value.status) == ("MalformedPolicy", 400)
    return caught.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Principal": "*"},
        {"Principal": {"AWS": ACCOUNT, "Service": "logging.s3.amazonaws.com"}},
        {"Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]},
        {"Action": "s3:*", "Resource": ARN},
        {"Action": "*", "Resource": "*"},
        {"Action": "s3:List*", "Resource": ARN},
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::let*"},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::let*"},
        {"Action": "s3:PutObjectRetention", "Resource": ARN},  # not one that is known here
        {"Action": None, "NotAction": "s3:GetObject", "Resource": ARN},
        {"Resource": None, "NotResource": f"{ARN}/public/*"},
        {"Resource": f"{ARN}/${{aws:username}}/*"},
        {"Condition": {"StringEquals": {"S3:Prefix": "a", "s3:ExistingObjectTag/a b": "c"}}},
        {"Condition": {"Bool": {"aws:AnythingAtAll": "true"}}},
    ],
)
def test_policies_that_s3_takes(changes: dict[str, Any]) -> None:
    assert check(document(**changes)).document == document(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Principal": None}, "Missing required field Principal"),
        ({"Principal": {"AWS": ALICE + "x"}}, "Invalid principal in policy"),
        ({"Principal": {"AWS": "123456789012"}}, "Invalid principal in policy"),
        ({"Principal": None, "NotPrincipal": {"AWS": ALICE + "x"}}, "Invalid principal in policy"),
        ({"Action": "kms:Decrypt"}, "Policy has invalid action"),
        ({"Action": ["s3:GetObject", "*:*"]}, "Policy has invalid action"),
        ({"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource"),
        ({"Resource": f"{ARN}x"}, "Policy has invalid resource"),
        ({"Resource": f"arn:aws:sqs:::{BUCKET}"}, "Policy has invalid resource"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::other"}, "Policy has invalid resource"),
        ({"Resource": ARN}, "Action does not apply to any resource(s) in statement"),
        ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
        (
            {"Action": ["s3:GetObject", "s3:ListBucket"]},
            "Action does not apply to any resource(s) in statement",
        ),
        ({"Condition": {"StringEquals": {"s3:x": "a"}}}, "Policy has an invalid condition key"),
        (
            {"Condition": {"Null": {"kms:ViaService": "true"}}},
            "Policy has an invalid condition key",
        ),
        ({"Condition": {"Equals": {"s3:prefix": "a"}}}, "Invalid Condition type : Equals"),
    ],
)
def test_policies_that_s3_refuses(changes: dict[str, Any], message: str) -> None:
    assert refused(document(**changes)) == message


def test_not_even_json() -> None:
    for data in (b"", b"x", b"\xff"):
        with pytest.raises(Refused) as caught:
            check_bucket_policy(data, BUCKET, exists=PEOPLE.principal_exists)
        assert caught.value.code == "MalformedPolicy"


@pytest.mark.parametrize("over", [0, 1])
def test_the_length_is_bounded(over: int) -> None:
    empty = document(Sid="")
    size = len(Policy.parse(empty).text)
    source = document(Sid="x" * (MAX_POLICY_BYTES - size + over))
    if over:
        with pytest.raises(Refused) as caught:
            check(source)
        assert (caught.value.code, caught.value.status) == ("PolicyTooLarge", 400)
    else:
        check(source)


@pytest.mark.parametrize(
    ("changes", "public"),
    [
        ({}, False),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"Principal": None, "NotPrincipal": {"AWS": ALICE}}, True),
        ({"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, False),
        ({"Principal": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, True),
        (
            {"Principal": "*", "Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}},
            True,
        ),
        ({"Principal": "*", "Condition": {"Null": {"aws:SourceIp": "false"}}}, True),
    ],
)
def test_what_makes_a_policy_public(changes: dict[str, Any], public: bool) -> None:
    assert is_public(check(document(**changes))) is public
