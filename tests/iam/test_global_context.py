"""The condition keys that every request has, for each kind of principal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from tlslab.iam import Caller, Principal, global_context, root_arn
from tlslab.iam.arn import Arn

ACCOUNT = "111122223333"
NOW = datetime(2026, 11, 20, 20, 15, 30, 5, tzinfo=timezone(timedelta(hours=1)))


def caller(principal: Principal | None, *, secure: bool = True, agent: str = "aws-cli") -> Caller:
    return Caller(principal, None, "192.0.2.1", agent, secure)


alice = Principal(
    f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "user", "alice", "AIDAALICE",
    tags=(("Team", "blue"),),
)  # fmt: skip


def test_a_user() -> None:
    assert global_context(caller(alice), NOW) == {
        "aws:CurrentTime": "2026-11-20T19:15:30Z",
        "aws:EpochTime": str(int(NOW.timestamp())),
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": "false",
        "aws:SourceIp": "192.0.2.1",
        "aws:UserAgent": "aws-cli",
        "aws:PrincipalType": "User",
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalArn": alice.arn,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:userid": "AIDAALICE",
        "aws:username": "alice",
        "aws:PrincipalTag/Team": "blue",
    }


def test_a_session_has_its_roles_arn_and_no_user_name() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/ops/backup"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/backup/nightly"
    session = Principal(arn, ACCOUNT, "assumed-role", "backup", "AROAX:nightly", role_arn=role)
    keys = global_context(caller(session), NOW)
    assert keys["aws:PrincipalArn"] == role
    assert keys["aws:userid"] == "AROAX:nightly"
    assert keys["aws:PrincipalType"] == "AssumedRole"
    assert "aws:username" not in keys


def test_a_root_an_anonymous_and_a_service() -> None:
    root = Principal(root_arn(ACCOUNT), ACCOUNT, "root", "root", ACCOUNT)
    keys = global_context(caller(root), NOW)
    assert keys["aws:PrincipalType"] == "Account"
    assert keys["aws:userid"] == ACCOUNT
    assert "aws:username" not in keys
    nobody = global_context(caller(None, secure=False, agent=""), NOW)
    assert nobody["aws:SecureTransport"] == "false"
    assert not nobody.keys() & {"aws:PrincipalArn", "aws:PrincipalAccount", "aws:UserAgent"}
    service = global_context(Caller.service("s3.amazonaws.com", ACCOUNT), NOW)
    assert service["aws:PrincipalIsAWSService"] == "true"
    assert service["aws:PrincipalServiceName"] == "s3.amazonaws.com"
    assert "aws:PrincipalArn" not in service


def test_a_service_on_the_way_hides_the_address() -> None:
    via = caller(alice, secure=False).for_service("s3.eu-west-2.amazonaws.com")
    assert via.via == "s3.eu-west-2.amazonaws.com"
    keys = global_context(via, NOW)
    assert keys["aws:ViaAWSService"] == "true"
    assert keys["aws:SecureTransport"] == "true"
    assert not keys.keys() & {"aws:SourceIp", "aws:UserAgent"}
    assert keys["aws:PrincipalArn"] == alice.arn


def test_arns() -> None:
    text = "arn:aws:kms:eu-west-2:111122223333:key/a:b"
    arn = Arn.parse(text)
    assert arn == Arn("kms", "eu-west-2", ACCOUNT, "key/a:b")
    assert str(arn) == text
    for wrong in ("", "arn:aws:s3:::", "arn:aws:s3", "x:aws:s3:::b", "arn::s3:::b", "arn:aws::::b"):
        assert Arn.parse(wrong) is None
    assert global_context(caller(None), NOW.astimezone(UTC)) == global_context(caller(None), NOW)
