"""A root of trust in HashiCorp Vault or OpenBao: a key of their transit secrets engine.

The key never leaves them. The token needs `update` on `MOUNT/encrypt/KEY` (when a seal is made) and
on `MOUNT/decrypt/KEY` (whenever it is opened), and no more; without the capability `create`, a
mistyped key's name is refused and not made into a new key.

Source: "Transit secrets engine (API)", developer.hashicorp.com/vault/api-docs/secret/transit; the
same API in OpenBao.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tlslab.envelope import encode_context
from tlslab.errors import UsageError
from tlslab.http import Headers
from tlslab.seal.service import Answer, Service

KIND = "vault-transit"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_TOKEN = re.compile(r"[!-~]{1,4096}")

_REFUSED = {
    400: "refused it as not made with this key",
    403: "does not let this token use the key",
    404: "has no such key or mount",
    429: "is a standby, or busy",
    473: "is a standby",
    503: "is sealed itself, or in maintenance",
}
"""What Vault's statuses mean here, by its API's page "HTTP status codes"."""


@dataclass(frozen=True)
class VaultTransitRoot:
    """A root of trust that is a key of type aes256-gcm96 in a transit engine."""

    service: Service
    key: str
    token: str = field(repr=False)
    mount: str = "transit"
    namespace: str | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for names and a token that could not be in a request."""
        names = _NAME.fullmatch(self.key) and _MOUNT.fullmatch(self.mount)
        if not names or not (self.namespace is None or _MOUNT.fullmatch(self.namespace)):
            raise UsageError(
                "not the name of a transit key, mount or namespace",
                hint="letters, digits, dots, hyphens and underscores",
            )
        if not _TOKEN.fullmatch(self.token):
            raise UsageError("not a Vault token", hint="printable ASCII in one line")

    @property
    def kind(self) -> str:
        """As in RootOfTrust."""
        return KIND

    async def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust."""
        request = {"plaintext": _base64(secret), "associated_data": _associated(context)}
        ciphertext = await self._ask("encrypt", request, "ciphertext")
        return ciphertext.encode()

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust."""
        request = {
            "ciphertext": wrapped.decode("latin-1"),
            "associated_data": _associated(context),
        }
        plaintext = await self._ask("decrypt", request, "plaintext")
        try:
            return base64.b64decode(plaintext, validate=True)
        except binascii.Error:
            raise self._refused("answered what is not its API's") from None

    async def _ask(self, verb: str, request: Mapping[str, str], member: str) -> str:
        target = f"/v1/{self.mount}/{verb}/{self.key}"
        answer = await self.service.post(target, request, lambda _: self._headers())
        if answer.status != 200:
            raise self._refused(_reason(answer))
        data = answer.body.get("data")
        value = data.get(member) if isinstance(data, dict) else None
        if not isinstance(value, str) or not value:
            raise self._refused("answered what is not its API's")
        return value

    def _headers(self) -> Headers:
        headers = [
            (b"Content-Type", b"application/json"),
            (b"X-Vault-Request", b"true"),
            (b"X-Vault-Token", self.token.encode()),
        ]
        if self.namespace is not None:
            headers.append((b"X-Vault-Namespace", self.namespace.encode()))
        return headers

    def _refused(self, reason: str) -> UsageError:
        return UsageError(
            f"the root of trust {self.service.url} {reason}",
            hint=f"it was asked for the key {self.key} of the transit engine at {self.mount}",
        )


def _reason(answer: Answer) -> str:
    return _REFUSED.get(answer.status, f"answered with status {answer.status}")


def _associated(context: Mapping[str, str]) -> str:
    return _base64(encode_context(context))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
