"""A root of trust on this machine: a key in a file, sealed by a passphrase.

    tlslab-root-of-trust 1
    argon2id <memory in KiB> <iterations> <lanes> <base64 of a salt, 16 bytes>
    <base64 of the sealed key>

Two things open a database then: the file and the passphrase. Who steals the database alone has
nothing to try passphrases on; who steals the file too pays for each try with Argon2id (RFC 9106).
The parameters are authenticated with the key, so nobody weakens them unseen. There is one encoding:
whatever differs from it by a byte is refused.

Losing the file or the passphrase means losing everything that the database keeps. The file hardly
ever changes, so a copy of it elsewhere costs little.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tlslab.envelope import (
    create_private_file,
    encode_context,
    new_key,
    open_box,
    read_private_file,
    replace_private_file,
    seal_box,
)
from tlslab.envelope.keys import KEY_BYTES
from tlslab.errors import IntegrityError, UsageError

KIND = "passphrase-file"

MAGIC = b"tlslab-root-of-trust 1\n"
"""How a key file begins."""

_FILE = "root of trust"
_SALT_BYTES = 16
_MAX_PASSPHRASE_BYTES = 4096
_MAX_LINE = 20
"""Digits of a parameter; keeps int() from being given megabytes."""


@dataclass(frozen=True)
class Cost:
    """What one try of a passphrase costs: Argon2id's memory in KiB, passes and lanes.

    The default is the second recommended choice of RFC 9106 section 4, for where memory is not
    plenty: about a tenth of a second. The upper bounds keep a file from holding a program up for
    minutes, the lower ones from giving the passphrase away.
    """

    memory: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    @property
    def allowed(self) -> bool:
        """Whether it is within the bounds, and within those of RFC 9106 section 3.1."""
        enough = self.memory >= max(8 * 1024, 8 * self.lanes)
        return (
            enough and self.memory <= 1024**2 and 1 <= self.passes <= 64 and 1 <= self.lanes <= 64
        )


@dataclass(frozen=True)
class PassphraseFile:
    """A root of trust that is a key file and the passphrase that unseals it."""

    path: Path
    passphrase: bytes = field(repr=False)
    _opened: dict[bytes, bytes] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # by the file's bytes; in memory as long as the master keys are that it opens

    @property
    def kind(self) -> str:
        """As in RootOfTrust."""
        return KIND

    @classmethod
    async def create(
        cls, path: Path, passphrase: bytes, cost: Cost | None = None
    ) -> PassphraseFile:
        """Write a new key file of mode 0600 with a fresh key, durably.

        Raises UsageError if the path exists (it is never overwritten) or the passphrase is empty,
        OSError if the disk fails.
        """
        key = new_key()
        data = await _in_thread(_seal_file, key, passphrase, cost or Cost())
        create_private_file(path, _FILE, data)
        created = cls(path, passphrase)
        created._opened[data] = key
        return created

    async def change_passphrase(
        self, passphrase: bytes, cost: Cost | None = None
    ) -> PassphraseFile:
        """Seal the same key by another passphrase: the file changes, no database does.

        Copies of the old file are still opened by the old passphrase. Raises UsageError.
        """
        key = await self._key()
        replace_private_file(
            self.path, await _in_thread(_seal_file, key, passphrase, cost or Cost())
        )
        return PassphraseFile(self.path, passphrase)

    async def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust."""
        key = await self._key()
        return seal_box(key, secret, purpose=_FILE, context=encode_context(context))

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust."""
        key = await self._key()
        try:
            return open_box(key, wrapped, purpose=_FILE, context=encode_context(context))
        except IntegrityError:
            raise UsageError(
                f"{self.path} is not the root of trust this database was sealed with",
                hint="the passphrase is right, the file is another one; restore the file's copy",
            ) from None

    async def _key(self) -> bytes:
        data = read_private_file(self.path, _FILE)
        try:
            if data not in self._opened:  # stretched once, though a start asks several times
                self._opened[data] = await _in_thread(_open_file, data, self.passphrase)
            return self._opened[data]
        except IntegrityError:
            raise UsageError(
                f"the passphrase does not open {self.path}",
                hint="a wrong passphrase, or a changed file; which of them cannot be told",
            ) from None


async def _in_thread(work: object, *arguments: object) -> bytes:
    """Argon2id takes a tenth of a second, in which others want to be served."""
    return await trio.to_thread.run_sync(work, *arguments)  # type: ignore[arg-type]


def _seal_file(key: bytes, passphrase: bytes, cost: Cost) -> bytes:
    if not passphrase:
        raise UsageError("the passphrase is empty", hint="there is no way to do without one")
    head = _head(cost, os.urandom(_SALT_BYTES))
    box = seal_box(_stretch(passphrase, *_parse_head(head)), key, purpose=_FILE, context=head)
    return head + base64.b64encode(box) + b"\n"


def _open_file(data: bytes, passphrase: bytes) -> bytes:
    """The key. Raises UsageError for what is no such file, IntegrityError if it does not open."""
    magic, parameters, sealed, rest = (data.split(b"\n", 3) + [b""] * 4)[:4]
    head = magic + b"\n" + parameters + b"\n"
    cost, salt = _parse_head(head)
    box = _decode(sealed)
    if rest or head + base64.b64encode(box) + b"\n" != data:
        raise _malformed()
    return open_box(_stretch(passphrase, cost, salt), box, purpose=_FILE, context=head)


def _head(cost: Cost, salt: bytes) -> bytes:
    numbers = f"argon2id {cost.memory} {cost.passes} {cost.lanes}"
    return MAGIC + f"{numbers} {base64.b64encode(salt).decode()}\n".encode()


def _parse_head(head: bytes) -> tuple[Cost, bytes]:
    _, _, parameters = head[: len(MAGIC) + 128].partition(b"\n")
    fields = parameters.partition(b"\n")[0].split(b" ")
    if len(fields) != 5 or any(not field.isdigit() for field in fields[1:4]):
        raise _malformed()
    cost, salt = Cost(*(int(field[:_MAX_LINE]) for field in fields[1:4])), _decode(fields[4])
    if len(salt) != _SALT_BYTES or _head(cost, salt) != head:
        raise _malformed()
    if not cost.allowed:
        raise UsageError("the root of trust file asks for more work, or less, than is allowed")
    return cost, salt


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _malformed() from None


def _stretch(passphrase: bytes, cost: Cost, salt: bytes) -> bytes:
    if len(passphrase) > _MAX_PASSPHRASE_BYTES:
        raise UsageError(f"a passphrase has {_MAX_PASSPHRASE_BYTES} bytes at most")
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory,
    ).derive(passphrase)


def _malformed() -> UsageError:
    return UsageError(
        "not a root of trust file",
        hint="its lines are 'tlslab-root-of-trust 1', the parameters and the sealed key",
    )
