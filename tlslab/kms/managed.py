"""The keys that AWS makes by itself: one per account, region and service, on first use.

An AWS-managed key lies in the customer's account, which sees it, may use it through the service and
changes nothing about it. A service that works on its own behalf has the account AWS_ACCOUNT; its
keys are AWS-owned ones: nobody else sees them.

Source: AWS KMS Developer Guide, "AWS managed keys" and "AWS owned keys".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tlslab.kms import tables
from tlslab.kms.keyring import new_key_id, next_rotation
from tlslab.kms.material import generate
from tlslab.kms.model import SYMMETRIC, Key

if TYPE_CHECKING:
    from tlslab.kms.call import Call

AWS_ACCOUNT = "000000000000"
"""The account of AWS itself, which no customer has."""

PREFIX = "alias/aws/"

SERVICES = frozenset({"acm", "dynamodb", "ebs", "rds", "s3", "secretsmanager", "sns", "sqs", "ssm"})
"""Services whose key is made when somebody first names it."""

_YEARLY = 365


def is_predefined(alias: str) -> bool:
    """Whether an alias is AWS's own, and stands for a key that is made on first use."""
    return alias.startswith(PREFIX) and alias.removeprefix(PREFIX) in SERVICES


def make_managed_key(call: Call, alias: str) -> Key:
    """Make the key of an alias `alias/aws/SERVICE` in the caller's account and region."""
    service = alias.removeprefix(PREFIX)
    owned = call.account == AWS_ACCOUNT
    policy = _owned_policy(service) if owned else _policy(service, call.account, call.region)
    key = Key(
        region=call.region,
        id=new_key_id(multi_region=False),
        account=call.account,
        created=call.now,
        description=f"Default key that protects my {service.upper()} data when no other key is "
        "defined",
        usage="ENCRYPT_DECRYPT",
        spec=SYMMETRIC,
        origin="AWS_KMS",
        manager="AWS",
        enabled=True,
        pending_window=None,
        deletion=None,
        policy_text=json.dumps(policy),
        tags={},
        primary_region=None,
        rotation_days=_YEARLY,
        next_rotation=next_rotation(call.now, _YEARLY),
        materials=(),
    )
    call.connection.execute(
        tables.aliases.insert().values(
            region=call.region,
            account=call.account,
            name=alias,
            key=key.id,
            created=call.now,
            updated=call.now,
        )
    )
    key = call.keyring.add(call.connection, key, generate(SYMMETRIC))
    call.made.append(key)
    return key


def _policy(service: str, account: str, region: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Id": f"auto-{service}-2",
        "Statement": [
            {
                "Sid": f"Allow access through {service.upper()} for all principals in the account "
                f"that are authorized to use {service.upper()}",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": account,
                        "kms:ViaService": f"{service}.{region}.amazonaws.com",
                    }
                },
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                "Resource": "*",
            },
        ],
    }


def _owned_policy(service: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
