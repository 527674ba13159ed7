"""Who is known here: accounts, users, roles' sessions, and the keys they sign with.

    [accounts.111122223333.root]
    access_keys = [{ id = "AKIA...", secret = "..." }]

    [accounts.111122223333.users.alice]
    access_keys = [
      { id = "AKIA...", secret = "..." },
      { id = "AKIA...", secret = "...", active = false },
    ]
    tags = { team = "blue" }

    [accounts.111122223333.users.alice.policies]
    buckets = '''{"Version": "2012-10-17", "Statement": [...]}'''

    [accounts.111122223333.roles.backup]
    sessions = [{ name = "nightly", id = "ASIA...", secret = "...", token = "..." }]

Users and roles may also have a `path` (`/staff/`) and an `id` (`AIDA...`, `AROA...`), which is
otherwise derived from their ARN. A role's sessions are static: nothing here issues them. The file
holds every secret in the clear, so nobody but its owner may touch it.
"""

from __future__ import annotations

import os
import secrets
import stat
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tlslab.errors import UsageError
from tlslab.iam.arn import Arn, root_arn
from tlslab.iam.caller import AccessKey, Principal
from tlslab.iam.identity_file import normal_document, parse_toml, read_document, write_toml

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
"""The accounts that are made up; AWS uses these numbers in its own examples."""

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Thousands of users; keeps a wrong path (a disk image) from being read into memory."""

_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_EVERYTHING: Final = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Action": ["s3:*", "kms:*", "cloudtrail:LookupEvents"], "Resource": "*"}]}'
)
_READ_BUCKETS: Final = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}'
)


class Identities:
    """The accounts of one lab or store, and everybody in them who may sign requests."""

    def __init__(self, document: Mapping[str, Any], *, file: str = "identities") -> None:
        """Take the identities out of a document in the file's format.

        Raises UsageError, which names `file`, the place in it and what is allowed there.
        """
        self._contents = read_document(document, file)
        self._document = normal_document(document)

    def __repr__(self) -> str:
        """Says nothing of keys."""
        return f"Identities(accounts={self.accounts!r})"

    @classmethod
    def load(cls, path: Path) -> Identities:
        """Read a file that nobody but its owner may touch.

        Raises UsageError if it is missing, has loose permissions or is malformed.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"cannot read the identities in {path}: {reason}") from error
        if mode & _OTHERS:
            raise UsageError(
                f"{path} is open to others (mode {stat.S_IMODE(mode):04o})",
                hint=f"chmod 600 {path}, and replace the keys if others may have read it",
            )
        if len(data) > MAX_FILE_BYTES:
            raise UsageError(f"{path} is too long for a file of identities")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{path}: not TOML: it is not UTF-8", hint="see toml.io") from None
        return cls(parse_toml(text, str(path)), file=str(path))

    @classmethod
    def generate(cls) -> Identities:
        """A small company with random keys.

        The account 111122223333 has a root, `alice` who may use all buckets and keys, and `bob` who
        may read buckets but use no key: the insider. 444455556666 has `mallory`, who may do
        anything there and nothing elsewhere unless she is let.
        """
        return cls(
            {
                "accounts": {
                    ACCOUNT: {
                        "root": {"access_keys": [_new_key()]},
                        "users": {
                            "alice": _new_user(_EVERYTHING),
                            "bob": _new_user(_READ_BUCKETS),
                        },
                    },
                    OTHER_ACCOUNT: {"users": {"mallory": _new_user(_EVERYTHING)}},
                }
            }
        )

    def save(self, path: Path) -> None:
        """Write a new file of mode 0600: whole and durable, or not at all.

        Raises UsageError if the path exists; keys are never overwritten. Raises OSError if the disk
        does.
        """
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(write_toml(self._document).encode())
                file.flush()
                os.fsync(file.fileno())
            os.link(new, path)  # unlike a rename it replaces nothing
        except FileExistsError:
            raise UsageError(
                f"{path} exists already", hint="move it away: whoever uses its keys still needs it"
            ) from None
        finally:
            new.unlink()
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The numbers of the accounts, in the file's order."""
        return self._contents.accounts

    @property
    def keys(self) -> tuple[AccessKey, ...]:
        """Every key that is in use, in the file's order."""
        return tuple(self._contents.keys.values())

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key with that id, or None if there is none or it is not in use."""
        return self._contents.keys.get(access_key_id)

    def root(self, account: str) -> AccessKey | None:
        """A key of the account's root, or None if it has none."""
        return self.key_of(root_arn(account))

    def user(self, name: str, account: str = ACCOUNT) -> AccessKey | None:
        """A key of the user of that name, or None."""
        for key in self.keys:
            principal = key.principal
            if (principal.kind, principal.account, principal.name) == ("user", account, name):
                return key
        return None

    def key_of(self, arn: str) -> AccessKey | None:
        """The first key of the principal with that ARN, or None if it has none in use."""
        return next((key for key in self.keys if key.principal.arn == arn), None)

    def principal(self, arn: str) -> Principal | None:
        """Who signs with a key in use and has that ARN, or None."""
        key = self.key_of(arn)
        return None if key is None else key.principal

    def principal_exists(self, arn: str) -> bool:
        """Whether an account (12 digits or its root), user, role, its session or id exists.

        Any session of a role that exists counts: sessions come and go.
        """
        if arn in self._contents.arns or root_arn(arn) in self._contents.arns:
            return True
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "sts":
            return False
        kind, _, rest = parsed.resource.partition("/")
        role, _, session = rest.partition("/")
        return kind == "assumed-role" and bool(session) and (parsed.account, role) in self._roles()

    def _roles(self) -> set[tuple[str, str]]:
        """Account and name of every role, the name without its path as sessions have it."""
        arns = (Arn.parse(arn) for arn in self._contents.arns)
        return {
            (arn.account, arn.resource.rpartition("/")[2])
            for arn in arns
            if arn is not None and arn.resource.startswith("role/")
        }


def _new_user(policy: str) -> dict[str, Any]:
    return {"access_keys": [_new_key()], "policies": {"default": policy}}


def _new_key() -> dict[str, Any]:
    """An access key in AWS's shape; the secret has 238 bits."""
    letters = string.ascii_letters + string.digits
    return {
        "id": "AKIA"
        + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16)),
        "secret": "".join(secrets.choice(letters) for _ in range(40)),
    }
