"""Amazon Resource Names: `arn:partition:service:region:account:resource`.

Source: AWS General Reference, "Amazon Resource Names (ARNs)".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTITION = "aws"

_ACCOUNT = re.compile(r"[0-9]{12}")


def is_account(text: str) -> bool:
    """Whether it is an account's number: 12 digits."""
    return _ACCOUNT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN. `region` and `account` may be empty; `resource` may contain colons."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = PARTITION

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """The parts, or None if it is no ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not (parts[1] and parts[2] and parts[5]):
            return None
        _, partition, service, region, account, resource = parts
        return cls(service, region, account, resource, partition)

    def __str__(self) -> str:
        """The ARN as it is written."""
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def root_arn(account: str) -> str:
    """The ARN of an account's root, which in policies stands for the whole account."""
    return f"arn:{PARTITION}:iam::{account}:root"
