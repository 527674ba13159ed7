"""Identity and access: who asks, and whether they may.

    arn.py             Amazon Resource Names
    caller.py          principals, access keys, callers: who asks, and from where
    identities.py      the accounts and keys that are known, in a TOML file
    identity_file.py   the format of that file
    section.py         a TOML table read strictly

    signatures.py      who signed a request: every way of signing, behind one door
    payload.py         a request's body, decoded and verified while it is read
    post_policy.py     what an HTML form may upload
    signing.py         the same from the other side, for our own clients

    context.py         the condition keys that every service has in common
    policy/            the policy language: parsing and deciding

It knows nothing of buckets or keys: a service brings its actions, resources and condition keys.

Source: AWS Identity and Access Management User Guide; AWS Signature Version 4.
"""

from tlslab.iam.arn import Arn, is_account, root_arn
from tlslab.iam.caller import AccessKey, Caller, Hop, Principal
from tlslab.iam.context import global_context
from tlslab.iam.identities import ACCOUNT, OTHER_ACCOUNT, Identities
from tlslab.iam.payload import Upload, open_payload
from tlslab.iam.policy import (
    Access,
    Context,
    MalformedPolicy,
    Policy,
    decide_resource,
    evaluate,
)
from tlslab.iam.post_policy import SizeRange, check_policy
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import (
    Authentication,
    authenticate,
    authenticate_form,
    claimed_service,
)
from tlslab.iam.signing import Credentials, presign_v4, sign_v4

__all__ = [
    "ACCOUNT",
    "OTHER_ACCOUNT",
    "Access",
    "AccessKey",
    "Arn",
    "Authentication",
    "Caller",
    "Context",
    "Credentials",
    "Hop",
    "Identities",
    "MalformedPolicy",
    "Policy",
    "Principal",
    "SignatureError",
    "SizeRange",
    "Upload",
    "authenticate",
    "authenticate_form",
    "check_policy",
    "claimed_service",
    "decide_resource",
    "evaluate",
    "global_context",
    "is_account",
    "open_payload",
    "presign_v4",
    "root_arn",
    "sign_v4",
]
