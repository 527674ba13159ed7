"""The condition keys that every service has in common: `aws:...`.

Source: IAM, "AWS global condition context keys" and "Policy variables: where you can use them".
"""

from __future__ import annotations

from datetime import UTC, datetime

from tlslab.iam.caller import Caller, Principal

_TYPES = {"root": "Account", "user": "User", "assumed-role": "AssumedRole", "service": "AWSService"}


def global_context(caller: Caller, now: datetime) -> dict[str, str]:
    """The global condition keys of a request made at `now` (with a time zone).

    A key that does not apply is absent: `aws:username` unless the caller is a user, `aws:SourceIp`
    and `aws:UserAgent` where a service acts for it.
    """
    now = now.astimezone(UTC)
    found = {
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(now.timestamp())),
        "aws:SecureTransport": "true" if caller.secure or caller.via else "false",
        "aws:ViaAWSService": "true" if caller.via else "false",
    }
    if caller.via is None:
        found["aws:SourceIp"] = caller.source_ip
        if caller.user_agent:
            found["aws:UserAgent"] = caller.user_agent
    if caller.principal is None:
        found |= {"aws:PrincipalType": "Anonymous", "aws:userid": "anonymous"}
    else:
        found |= _principal(caller.principal)
    return found


def _principal(principal: Principal) -> dict[str, str]:
    service = principal.kind == "service"
    found = {
        "aws:PrincipalType": _TYPES[principal.kind],
        "aws:PrincipalIsAWSService": "true" if service else "false",
    }
    if service:
        return found | {"aws:PrincipalServiceName": principal.name}
    found |= {
        "aws:PrincipalArn": principal.policy_arn,
        "aws:PrincipalAccount": principal.account,
        "aws:userid": principal.user_id,
    }
    if principal.kind == "user":
        found["aws:username"] = principal.name
    return found | {f"aws:PrincipalTag/{name}": value for name, value in principal.tags}
