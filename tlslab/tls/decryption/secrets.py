"""What the holder of a key has: an NSS key log, private RSA keys, sessions.

Nothing here is looked at by a connection; a connection is looked up here. None of it appears in a
repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlslab.errors import UsageError

MASTER: Final = "CLIENT_RANDOM"
"""The label of a TLS 1.2 master secret, which is found by the client's random (RFC 9850)."""

# Secrets have 32 or 48 bytes, the master secret 48; labels of the future may differ (RFC 9850
# section 2 has consumers ignore what they do not know), so the bound is generous.
MAX_SECRET: Final = 128

_LINE: Final = re.compile(r"([A-Z0-9_]+) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2})+)")

# A premaster secret, by the first eight bytes of its encrypted form. OpenSSL writes the master
# secret as well, by which a connection is found without decrypting anything.
_PREMASTER_LINE: Final = re.compile(r"RSA [0-9a-fA-F]{16} [0-9a-fA-F]{96}")


class KeyLogSecrets:
    """A key log (NSS format, RFC 9850), looked up by label and the ClientHello's random."""

    def __init__(self, secrets: Mapping[tuple[str, bytes], bytes]) -> None:
        self._secrets = dict(secrets)
        self._randoms = {random for _, random in self._secrets}

    @classmethod
    def parse(cls, text: str) -> KeyLogSecrets:
        """Read a key log's text; empty lines and comments are passed over, as are unknown labels.

        Raises UsageError with the number of a line that is not one, or that contradicts another.
        """
        secrets: dict[tuple[str, bytes], bytes] = {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()  # noqa: PLW2901
            if not line or line.startswith("#") or _PREMASTER_LINE.fullmatch(line):
                continue
            match = _LINE.fullmatch(line)
            if match is None or len(match[3]) > 2 * MAX_SECRET:
                raise UsageError(
                    f"line {number} of the key log is none",
                    hint="a line is a label, the client's random and the secret in hexadecimal",
                )
            key, secret = (match[1], bytes.fromhex(match[2])), bytes.fromhex(match[3])
            if secrets.setdefault(key, secret) != secret:
                raise UsageError(f"line {number} of the key log contradicts one before it")
        return cls(secrets)

    def get(self, label: str, client_random: bytes) -> bytes | None:
        """The secret of this name of the connection that began with this random."""
        return self._secrets.get((label, client_random))

    def knows(self, client_random: bytes) -> bool:
        """Whether there is any secret of this connection."""
        return client_random in self._randoms

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<KeyLogSecrets of {len(self._randoms)} connections>"


NO_KEY_LOG: Final = KeyLogSecrets({})


@dataclass(frozen=True)
class Secrets:
    """All that the holder has.

    `rsa_keys` are private keys of servers. `sessions` are master secrets of TLS 1.2, by the ticket
    or session id that resumes them (RFC 5077, RFC 5246 section 7.4.1.2).
    """

    key_log: KeyLogSecrets = field(default=NO_KEY_LOG, repr=False)
    rsa_keys: tuple[RSAPrivateKey, ...] = field(default=(), repr=False)
    sessions: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
