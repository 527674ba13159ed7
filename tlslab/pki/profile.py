"""Certificate profiles: what kind of certificate to make, as data in small TOML files.

Reading is strict: an unknown key, a wrong type or a bad value is the user's mistake and is told
with the file, the key and what is allowed. Knows nothing of names, certificates or signatures.
"""

from __future__ import annotations

import difflib
import enum
import functools
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tlslab.errors import UsageError
from tlslab.pki.keys import KeyType
from tlslab.shipped import shipped

MAX_PROFILE_SIZE = 64 * 1024  # bytes; a profile has one or two thousand, a mistaken path gigabytes
MAX_DURATION = timedelta(days=36500)  # a century: no date that it leads to leaves the calendar
MAX_PATH_LENGTH = 16  # CAs; OpenSSL and browsers give up on chains long before that

KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
"""The bits of RFC 5280 section 4.2.1.3, but for the two that only refine key agreement."""

EXTENDED_KEY_USAGES = (
    "server_auth",
    "client_auth",
    "code_signing",
    "email_protection",
    "time_stamping",
    "ocsp_signing",
    "any_extended_key_usage",
)
"""The purposes of RFC 5280 section 4.2.1.12."""


class Kind(enum.StrEnum):
    """What a certificate is for; decides who signs it and whether it is a CA."""

    ROOT = "root"
    INTERMEDIATE = "intermediate"
    SERVER = "server"
    CLIENT = "client"

    @property
    def is_ca(self) -> bool:
        """Whether it may sign certificates (basic constraints, RFC 5280 section 4.2.1.9)."""
        return self in (Kind.ROOT, Kind.INTERMEDIATE)


@dataclass(frozen=True)
class Profile:
    """What a certificate is made like. `name` is its file's, `title` is for people.

    `lifetime` counts from now on, `backdate` back from now, for peers whose clocks are behind.
    The URLs are None where the certificate shall have none: `crl_url` is its issuer's revocation
    list, `ocsp_url` a responder, `issuer_url` its issuer's certificate. `path_length` limits how
    many CAs may stand below a CA; None is no limit.
    """

    name: str
    title: str
    kind: Kind
    key_type: KeyType
    lifetime: timedelta
    backdate: timedelta = timedelta(0)
    key_usage: tuple[str, ...] = ()
    extended_key_usage: tuple[str, ...] = ()
    path_length: int | None = None
    crl_url: str | None = None
    ocsp_url: str | None = None
    issuer_url: str | None = None

    @classmethod
    def named(cls, name: str) -> Profile:
        """A profile that ships with tlslab, such as `"server"`; raises UsageError if none does."""
        folder = shipped("certs")
        known = sorted(path.stem for path in folder.glob("*.toml"))
        if name not in known:
            raise UsageError(
                f"there is no profile {name!r}",
                hint=f"one of {', '.join(known)}, or the path of a .toml file",
            )
        return _load_shipped(folder / f"{name}.toml")

    @classmethod
    def load(cls, path: Path | str) -> Profile:
        """The profile in a file; raises UsageError that names the file, the key and the cure."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_PROFILE_SIZE + 1)
        except OSError as error:
            raise UsageError(f"cannot read the profile {path}: {error.strerror}") from error
        if len(data) > MAX_PROFILE_SIZE:
            raise UsageError(f"{path}: larger than any profile ({MAX_PROFILE_SIZE} bytes)")
        return cls.parse(data, name=path.stem, source=str(path))

    @classmethod
    def parse(cls, data: bytes, *, name: str, source: str) -> Profile:
        """The profile in `data`, a TOML text; `source` is what errors call it (UsageError)."""
        try:
            table = tomllib.loads(data.decode())
        except UnicodeDecodeError as error:
            raise UsageError(f"{source}: not UTF-8 at byte {error.start}") from error
        except (ValueError, RecursionError) as error:  # ValueError: also an impossible date
            raise UsageError(f"{source}: not TOML: {error}".replace("\n", " ")) from error
        return cls(name=name, **_read_table(table, source))


@functools.cache
def _load_shipped(path: Path) -> Profile:
    """Shipped profiles do not change while we run, and an interceptor asks for every leaf."""
    return Profile.load(path)


def _read_table(table: dict[str, Any], source: str) -> dict[str, Any]:
    for key in table:
        if key not in _RULES:
            near = difflib.get_close_matches(key, _RULES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(_RULES)}"
            raise UsageError(f"{source}: unknown key {key!r}", hint=hint)
    values: dict[str, Any] = {}
    for key, rule in _RULES.items():
        if key in table:
            try:
                values[key] = rule.read(table[key])
            except ValueError as error:
                shown = repr(table[key])[:60]
                raise UsageError(
                    f"{source}: {key} cannot be {shown}", hint=f"{key} takes {rule.allowed}"
                ) from error
        elif rule.required:
            raise UsageError(f"{source}: {key} is missing", hint=f"{key} takes {rule.allowed}")
    if "path_length" in values and not values["kind"].is_ca:
        raise UsageError(
            f"{source}: path_length is for CAs, and this is of kind {str(values['kind'])!r}",
            hint="remove path_length (RFC 5280 section 4.2.1.9)",
        )
    return values


# Each reader below turns one TOML value into what Profile holds, or raises ValueError.


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError
    return value


def _key_type(value: object) -> KeyType:
    return KeyType(_text(value))


def _kind(value: object) -> Kind:
    return Kind(_text(value))


_DURATION = re.compile(r"([1-9][0-9]{0,9})([smhd])")  # ten digits hold a century of seconds
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    try:
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError from error
    if span > MAX_DURATION:
        raise ValueError
    return span


def _some_of(allowed: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or any(item not in allowed for item in value):
            raise ValueError
        if len(set(value)) != len(value):
            raise ValueError
        return tuple(value)

    return read


def _path_length(value: object) -> int:
    # type() and not isinstance(): a TOML boolean is an int in Python
    if type(value) is not int or not 0 <= value <= MAX_PATH_LENGTH:
        raise ValueError
    return value


def _url(value: object) -> str:
    url = _text(value)
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not url.isascii() or " " in url:
        raise ValueError
    return url


@dataclass(frozen=True)
class _Rule:
    """How one key of a profile is read, and what to tell who got it wrong."""

    read: Callable[[object], Any]
    allowed: str
    required: bool = False


_A_DURATION = f'a whole number and s, m, h or d, such as "30d", up to {MAX_DURATION.days}d'
_A_URL = "an http:// URL (RFC 5280 section 8: https would need a certificate to check one)"

_RULES = {
    "title": _Rule(_text, "a text of one line", required=True),
    "kind": _Rule(_kind, f"one of {', '.join(Kind)}", required=True),
    "key_type": _Rule(_key_type, f"one of {', '.join(k.value for k in KeyType)}", required=True),
    "lifetime": _Rule(_duration, _A_DURATION, required=True),
    "backdate": _Rule(_duration, _A_DURATION),
    "key_usage": _Rule(_some_of(KEY_USAGES), f"a list of some of {', '.join(KEY_USAGES)}"),
    "extended_key_usage": _Rule(
        _some_of(EXTENDED_KEY_USAGES), f"a list of some of {', '.join(EXTENDED_KEY_USAGES)}"
    ),
    "path_length": _Rule(_path_length, f"a whole number from 0 to {MAX_PATH_LENGTH}"),
    "crl_url": _Rule(_url, _A_URL),
    "ocsp_url": _Rule(_url, _A_URL),
    "issuer_url": _Rule(_url, _A_URL),
}
"""Every key a profile may have; the keys are the fields of Profile."""
