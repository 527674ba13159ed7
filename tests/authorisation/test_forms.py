"""PostObject by everybody who may not: the form's signature, its policy, and permissions."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from tlslab.iam import sigv4

World = Any
"""`conftest.World`; its `Ask` is a request."""

SSE = "x-amz-server-side-encryption"


def form(
    world: World,
    by: str | None = "alice",
    *,
    secret: str | None = None,
    expires: timedelta = timedelta(minutes=1),
    key: str = "form",
    **more: str,
) -> Any:
    """A form that uploads `key`; nobody signs it if `by` is None."""
    fields = {"key": key, **{name.replace("_", "-"): value for name, value in more.items()}}
    if by is not None:
        fields |= signed(world, by, secret, expires, fields)
    boundary = "a-line-that-is-not-in-the-letter"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        f"from a form\r\n--{boundary}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return world.Ask("POST", "/letters", headers, "".join(parts).encode())


def signed(
    world: World, by: str, secret: str | None, expires: timedelta, fields: dict[str, str]
) -> dict[str, str]:
    who = world.key(by)
    time = world.now.strftime(sigv4.TIME_FORMAT)
    scope = sigv4.Scope(time[:8], world.region, "s3")
    names = {
        "x-amz-algorithm": sigv4.ALGORITHM,
        "x-amz-credential": f"{who.id}/{scope}",
        "x-amz-date": time,
    }
    if who.token is not None:
        names["x-amz-security-token"] = who.token
    policy = {
        "expiration": (world.now + expires).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [
            {"bucket": "letters"},
            *({name: value} for name, value in {**fields, **names}.items()),
        ],
    }
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    key = sigv4.signing_key(who.secret if secret is None else secret, scope)
    return {**names, "policy": text, "x-amz-signature": sigv4.sign(key, text.encode())}


def answered(answer: Any) -> tuple[int, str | None]:
    return answer.status, answer.code


@pytest.mark.parametrize("who", ["alice", "root", "nightly"])
async def test_a_form_of_somebody_who_may(world: World, who: str) -> None:
    assert (await world.send(form(world, who))).status == 204
    assert (await world.s3("GET", "/letters/form")).body == b"from a form"


async def test_a_form_whose_signature_does_not_hold(world: World) -> None:
    before = world.state()
    altered = form(world)
    altered = world.Ask(
        "POST", "/letters", altered.headers, altered.body.replace(b"\r\nform\r\n", b"\r\nelse\r\n")
    )
    unknown = form(world)
    unknown = world.Ask(
        "POST",
        "/letters",
        unknown.headers,
        unknown.body.replace(world.key("alice").id.encode(), b"AKIANOBODYXXXXXXXXXX"),
    )
    for ask, expected in [
        (form(world, secret="x" * 20), (403, "SignatureDoesNotMatch")),
        (form(world, expires=-timedelta(seconds=1)), (403, "AccessDenied")),
        (form(world, expires=-timedelta(days=1)), (403, "AccessDenied")),
        (altered, (403, "AccessDenied")),  # by the form's own policy
        (unknown, (403, "InvalidAccessKeyId")),
        (form(world, None), (403, "AccessDenied")),
    ]:
        assert answered(await world.send(ask)) == expected
        assert world.state() == before


@pytest.mark.parametrize("who", ["mallory", "carol", "dave", "erin"])
async def test_a_form_of_somebody_who_may_not(world: World, who: str) -> None:
    before = world.state()
    assert answered(await world.send(form(world, who))) == (403, "AccessDenied")
    assert world.state() == before


async def test_a_header_does_not_sign_a_form(world: World) -> None:
    before = world.state()
    unsigned = form(world, None)
    answer = await world.ask(unsigned)
    assert answer.status in {400, 403}
    assert world.state() == before


async def test_a_form_without_a_signature_is_anybodys(world: World) -> None:
    await world.allow_by_bucket(
        {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::letters/pub/*"}
    )
    assert answered(await world.send(form(world, None))) == (403, "AccessDenied")
    assert (await world.send(form(world, None, key="pub/x"))).status == 204


async def test_a_form_meets_the_demands_of_the_bucket(world: World) -> None:
    deny = {
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::letters/*",
        "Condition": {"StringNotEquals": {f"s3:{SSE}": "AES256"}},
    }
    await world.allow_by_bucket(deny)
    before = world.state()
    assert answered(await world.send(form(world))) == (403, "AccessDenied")
    assert world.state() == before
    encrypted = form(world, x_amz_server_side_encryption="AES256")
    assert (await world.send(encrypted)).status == 204


async def test_a_form_has_its_own_kind_of_authentication(world: World) -> None:
    only = {"Condition": {"StringNotEquals": {"s3:authType": "POST"}}}
    await world.allow_by_bucket(
        {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::letters/*", **only}
    )
    assert answered(await world.ask(world.Ask("PUT", "/letters/x"))) == (403, "AccessDenied")
    assert (await world.send(form(world))).status == 204


async def test_a_form_over_a_connection_that_is_not_secure(world: World) -> None:
    await world.allow_by_bucket(
        {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    )
    ask = form(world)
    insecure = world.Ask(ask.method, ask.target, ask.headers, ask.body, secure=False)
    assert answered(await world.send(insecure)) == (403, "AccessDenied")
    assert (await world.send(ask)).status == 204


async def test_tags_in_a_form_take_a_permission(world: World) -> None:
    tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    objects = "arn:aws:s3:::letters/*"
    allow = {"Action": "s3:PutObject", "Resource": objects}
    await world.allow_by_bucket(allow)
    assert (await world.send(form(world, "erin"))).status == 204
    refused = await world.send(form(world, "erin", tagging=tagging))
    assert answered(refused) == (403, "AccessDenied")
    await world.allow_by_bucket(allow, {"Action": "s3:PutObjectTagging", "Resource": objects})
    assert (await world.send(form(world, "erin", tagging=tagging))).status == 204
