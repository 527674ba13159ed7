"""Cookies as a browser keeps them: which it takes, and on which connections it sends them.

Only what decides who can read a cookie: its host and its Secure attribute. Cookies are for the
very host that set them; paths, domains and lifetimes are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_COOKIE: Final = 4096
"""Bytes of a name and its value, which RFC 6265 section 6.1 asks browsers to hold; no more here."""

MAX_COOKIES: Final = 50
"""Cookies of one host, from the same section."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f;]")


@dataclass(frozen=True)
class _Cookie:
    value: str = field(repr=False)
    secure: bool


@dataclass
class CookieJar:
    """The cookies of every host."""

    _hosts: dict[str, dict[str, _Cookie]] = field(default_factory=dict, repr=False)

    def note(self, host: str, field_value: str, *, secure: bool) -> None:
        """Take a Set-Cookie field that `host` sent, over TLS if `secure`.

        Without TLS no Secure cookie is set, and none is overwritten: somebody on the path could
        have sent the field. What is malformed or beyond a limit is ignored.
        """
        pair, *attributes = field_value.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not _NAME.fullmatch(name) or _UNSPEAKABLE.search(value):
            return
        wants_tls = any(one.partition("=")[0].strip().lower() == "secure" for one in attributes)
        kept = self._hosts.setdefault(host.lower(), {})
        known = kept.get(name)
        if not secure and (wants_tls or (known is not None and known.secure)):
            return
        if len(name) + len(value) <= MAX_COOKIE and (known or len(kept) < MAX_COOKIES):
            kept[name] = _Cookie(value, wants_tls)

    def header(self, host: str, *, secure: bool) -> str:
        """The Cookie field for a request to `host`, over TLS if `secure`; empty if there is none.

        Secure cookies are for TLS alone.
        """
        return "; ".join(
            f"{name}={cookie.value}"
            for name, cookie in self._hosts.get(host.lower(), {}).items()
            if secure or not cookie.secure
        )
