"""HTML forms: their signature by botocore, and their policy held against their fields."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam import AccessKey
from tlslab.iam.post_policy import SizeRange, check_policy
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication, authenticate_form

EXPIRATION = "2026-11-20T13:00:00Z"
BASIC: list[Any] = [{"bucket": "box"}, ["starts-with", "$key", "user/"]]
Fields = dict[str, str]


class Keys(Protocol):
    def find(self, access_key_id: str) -> AccessKey | None: ...


def policy(*conditions: object, expiration: object = EXPIRATION, **other: object) -> str:
    document = {"expiration": expiration, "conditions": [*BASIC, *conditions], **other}
    return encode({name: value for name, value in document.items() if value is not None})


def encode(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.fixture(params=["s3v4", "s3"])
def form(
    request: pytest.FixtureRequest, key: AccessKey, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Fields:
    """A form that botocore signed, in either version."""
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    awsrequest = pytest.importorskip("botocore.awsrequest", reason="botocore is not installed")
    theirs = pytest.importorskip("botocore.credentials", reason="botocore is not installed")
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now)
    credentials = theirs.Credentials(key.id, key.secret)
    signer = (
        auth.S3SigV4PostAuth(credentials, "s3", "eu-west-2")
        if request.param == "s3v4"
        else auth.HmacV1PostAuth(credentials)
    )
    blank = awsrequest.AWSRequest("POST", "http://s3.example/box")
    blank.context["s3-presign-post-fields"] = {"key": "user/file"}
    blank.context["s3-presign-post-policy"] = {"expiration": EXPIRATION, "conditions": [*BASIC]}
    signer.add_auth(blank)
    fields = blank.context["s3-presign-post-fields"]
    return {name.lower(): value for name, value in fields.items()}


def verify(form: Mapping[str, str], keyring: Keys, now: datetime) -> Authentication:
    return authenticate_form(form, keyring, now=now, regions=("eu-west-2",))


def refused(form: Mapping[str, str], keyring: Keys, now: datetime) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        verify(form, keyring, now)
    return caught.value


def denied(fields: Mapping[str, str], now: datetime) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        check_policy(fields, bucket="box", now=now)
    return caught.value


def test_botocores_form_is_verified(
    form: Fields, keyring: Keys, key: AccessKey, now: datetime
) -> None:
    found = verify(form, keyring, now)
    assert found.key == key
    assert found.scheme == ("v4-form" if "x-amz-signature" in form else "v2-form")
    assert check_policy(form, bucket="box", now=now) == SizeRange()


def test_another_policy_is_refused(form: Fields, keyring: Keys, now: datetime) -> None:
    error = refused(form | {"policy": policy({"acl": "private"})}, keyring, now)
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    unknown = {n: v.replace("AKIAIOS", "AKIAOIS") for n, v in form.items()}
    assert refused(unknown, keyring, now).code == "InvalidAccessKeyId"


@pytest.mark.parametrize("name", ["policy", "x-amz-signature", "signature", "awsaccesskeyid",
                                  "x-amz-algorithm", "x-amz-credential", "x-amz-date"])  # fmt: skip
def test_every_part_of_a_signature_is_needed(
    form: Fields, keyring: Keys, now: datetime, name: str
) -> None:
    assert verify(form, keyring, now).key is not None
    if name in form:
        error = refused({n: v for n, v in form.items() if n != name}, keyring, now)
        assert (error.code, error.status) == ("InvalidArgument", 400)
        assert error.details["ArgumentName"].lower() == name


def test_a_form_without_any_is_anonymous_unless_it_has_a_policy(
    keyring: Keys, now: datetime
) -> None:
    assert verify({"key": "k"}, keyring, now).scheme == "anonymous"
    assert refused({"key": "k", "policy": policy()}, keyring, now).code == "AccessDenied"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("x-amz-algorithm", "AWS4-ECDSA-P256-SHA256", "NotImplemented"),
     ("x-amz-algorithm", "HMAC", "InvalidArgument"),
     ("x-amz-date", "20261120", "InvalidArgument"),
     ("x-amz-date", "20261119T123000Z", "AuthorizationQueryParametersError"),
     ("x-amz-credential", "a/b", "AuthorizationQueryParametersError"),
     ("x-amz-security-token", "x", "InvalidToken")],
)  # fmt: skip
def test_the_parts_of_a_signature_are_checked(
    form: Fields, keyring: Keys, now: datetime, name: str, value: str, code: str
) -> None:
    if name in form or name == "x-amz-security-token":
        assert refused(form | {name: value}, keyring, now).code == code


def test_a_signature_of_version_4_is_good_for_a_week(
    form: Fields, keyring: Keys, now: datetime
) -> None:
    if "x-amz-date" in form:
        assert verify(form, keyring, now + timedelta(days=7)).key is not None
        late = refused(form, keyring, now + timedelta(days=7, seconds=1))
        assert late.code == "AccessDenied"
        assert verify(form, keyring, now - timedelta(minutes=15)).key is not None
        early = refused(form, keyring, now - timedelta(minutes=15, seconds=1))
        assert early.code == "AccessDenied"


# --- policies

FIELDS = {"key": "user/file"}


def fields(*conditions: object, **other: str) -> Fields:
    more = {name.replace("_", "-"): value for name, value in other.items()}
    return FIELDS | {"policy": policy(*conditions)} | more


def test_a_policy_expires(now: datetime) -> None:
    end = datetime.fromisoformat(EXPIRATION)
    assert check_policy(fields(), bucket="box", now=end) == SizeRange()
    error = denied(fields(), end + timedelta(seconds=1))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.message == "Invalid according to Policy: Policy expired."


def test_every_field_needs_a_condition(now: datetime) -> None:
    allowed = fields({"acl": "private"}, acl="private")
    assert check_policy(allowed, bucket="box", now=now) == SizeRange()
    error = denied(fields(acl="private", tagging="x"), now)
    assert error.message == "Invalid according to Policy: Extra input fields: acl, tagging"
    ignored = fields(x_ignore_this="1", signature="s", awsaccesskeyid="a", x_amz_signature="s")
    assert check_policy(ignored, bucket="box", now=now) == SizeRange()


def test_the_bucket_needs_one_too(now: datetime) -> None:
    only_key = encode({"expiration": EXPIRATION, "conditions": [BASIC[1]]})
    assert "bucket" in denied(FIELDS | {"policy": only_key}, now).message
    with pytest.raises(SignatureError):
        check_policy(fields(), bucket="other", now=now)


@pytest.mark.parametrize(
    ("condition", "value", "good"),
    [
        ({"acl": "private"}, "private", True),
        ({"acl": "private"}, "Private", False),
        ({"ACL": "private"}, "private", True),
        (["eq", "$acl", "private"], "private", True),
        (["EQ", "$Acl", "private"], "private", True),
        (["eq", "?acl", "private"], "private", False),
        (["eq", "$acl", "private"], "public-read", False),
        (["starts-with", "$acl", "pub"], "public-read", True),
        (["StArTs-WiTh", "$acl", ""], "anything", True),
        (["starts-with", "$acl", "Pub"], "public-read", False),
    ],
)
def test_conditions(now: datetime, condition: object, value: str, good: bool) -> None:
    form = fields(condition, acl=value)
    if good:
        assert check_policy(form, bucket="box", now=now) == SizeRange()
    else:
        error = denied(form, now)
        assert error.code == "AccessDenied"
        start = "Invalid according to Policy: Policy Condition failed: ["
        assert error.message.startswith(start)


def test_a_failed_condition_is_told_as_s3_does(now: datetime) -> None:
    form = fields(["eq", "$success_action_redirect", "http://localhost.test/random"])
    assert denied(form, now).message == (
        "Invalid according to Policy: Policy Condition failed: "
        '["eq", "$success_action_redirect", "http://localhost.test/random"]'
    )


def test_a_condition_on_a_field_that_did_not_come_fails(now: datetime) -> None:
    assert denied(fields({"acl": "private"}), now).code == "AccessDenied"
    optional = fields(["starts-with", "$acl", ""])
    assert check_policy(optional, bucket="box", now=now) == SizeRange()


@pytest.mark.parametrize("numbers", [(5, 10), ("5", "10"), (0, 0)])
def test_sizes(now: datetime, numbers: tuple[Any, Any]) -> None:
    found = check_policy(fields(["content-length-range", *numbers]), bucket="box", now=now)
    assert found == SizeRange(int(numbers[0]), int(numbers[1]))


@pytest.mark.parametrize(
    "numbers", [("test", "10"), (-1, 5), (6, 5), (True, 5), (1.5, 2), (1, 10**20)]
)
def test_sizes_that_are_none_are_refused(now: datetime, numbers: tuple[Any, Any]) -> None:
    error = denied(fields(["content-length-range", *numbers]), now)
    assert error.code == "AccessDenied"
    assert error.message.endswith(json.dumps(["content-length-range", *numbers]))


@pytest.mark.parametrize(
    "text",
    ["%", "e30=e30=", base64.b64encode(b"{").decode(), encode([]), encode({}),
     policy(expiration=None), policy(conditions=None), policy(conditions={}),
     policy(expiration="tomorrow"), policy(expiration=5), policy(expiration="2026-11-20"),
     policy(expiration="2026-11-20T13:00:00"), policy({"acl": "a", "tagging": "b"}), policy({}),
     policy({"acl": 1}), policy(["eq", "$acl"]), policy(["gt", "$acl", "x"]), policy("x"),
     policy(["content-length-range", 1]), policy(5), "A" * 30000],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(now: datetime, text: str) -> None:
    error = denied(FIELDS | {"policy": text}, now)
    assert (error.code, error.status) == ("InvalidPolicyDocument", 400)


def test_two_properties_are_told_as_s3_does(now: datetime) -> None:
    error = denied(FIELDS | {"policy": policy({"acl": "a", "tagging": "b"})}, now)
    assert error.message == (
        "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one "
        "property specified."
    )


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(documents | st.fixed_dictionaries(
    {"expiration": st.just(EXPIRATION) | documents, "conditions": st.lists(documents, max_size=3)}
))  # fmt: skip
def test_any_document_is_answered(document: object) -> None:
    now = datetime.fromisoformat("2026-11-20T12:30:00Z")
    with pytest.raises(SignatureError) as caught:  # none of these allows the bucket
        check_policy(FIELDS | {"policy": encode(document)}, bucket="box", now=now)
    assert caught.value.code in ("InvalidPolicyDocument", "AccessDenied")
