"""How a token looks when somebody encoded it byte by byte: base64, hexadecimal, URL, UTF-16.

Each `Pattern` finds the token in one encoding in any bytes, at any offset. Nothing is found that is
not the whole token: where an encoding mixes the token's bits with its neighbours' (base64), the
token's own bits are compared. Layers that need state (compression, chunks, frames) are in `layers`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

# Shorter tokens are found by chance: four characters of base64 occur in every 16 MiB of ciphertext.
MIN_TOKEN: Final = 4
MAX_TOKEN: Final = 4096

_STANDARD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SEXTETS: Final = {char: value for value, char in enumerate(_STANDARD)} | {
    ord("-"): 62,
    ord("_"): 63,
}


class Pattern(Protocol):
    """One way to find a token. `encoding` is its name for people."""

    @property
    def encoding(self) -> str:
        """The encoding's name."""

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where the token is: offset and length of its encoded form."""


@dataclass(frozen=True)
class _Literal:
    """An encoding in which the token always looks the same."""

    encoding: str
    needle: bytes

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        at = data.find(self.needle)
        while at >= 0:
            yield at, len(self.needle)
            at = data.find(self.needle, at + 1)


@dataclass(frozen=True)
class _Base64:
    """Base64 with the token at one of three places in the groups of three bytes (RFC 4648).

    Characters of which all bits are the token's are searched for; the characters on its edges,
    which hold bits of its neighbours, too, are then compared bit by bit.
    """

    encoding: str
    token: bytes
    alignment: int
    urlsafe: bool

    @cached_property
    def core(self) -> tuple[int, bytes]:
        """The first character that is all the token's, and those up to the last such one."""
        encode = base64.urlsafe_b64encode if self.urlsafe else base64.b64encode
        text = encode(bytes(self.alignment) + self.token)
        start = -(-8 * self.alignment // 6)
        end = 8 * (self.alignment + len(self.token)) // 6
        return start, text[start:end]

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        start, core = self.core
        first = 8 * self.alignment // 6
        last = -(-8 * (self.alignment + len(self.token)) // 6)
        at = data.find(core)
        while at >= 0:
            begin = at - (start - first)
            text = data[max(begin, 0) : begin + last - first]
            if begin >= 0 and len(text) == last - first and self._holds_token(text, first):
                yield begin, len(text)
            at = data.find(core, at + 1)

    def _holds_token(self, text: bytes, first: int) -> bool:
        bits = 0
        for char in text:
            if char not in _SEXTETS:
                return False
            bits = bits << 6 | _SEXTETS[char]
        size = 8 * len(self.token)
        after = 6 * (first + len(text)) - 8 * self.alignment - size
        return (bits >> after) & ((1 << size) - 1) == int.from_bytes(self.token)


class _Percent:
    """URL percent-encoding (RFC 3986 section 2.1) of some or all of the token's bytes."""

    encoding = "url"

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._regex = re.compile(b"".join(_percent_or_plain(byte) for byte in token))

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        if b"%" not in data:
            return
        for match in self._regex.finditer(data):
            if match[0] != self._token:  # without any percent sign it is no encoding, but plain
                yield match.start(), match.end() - match.start()


def patterns(token: bytes) -> list[Pattern]:
    """All ways in which a token is searched for, plain first."""
    found: list[Pattern] = [_Literal("plain", token)]
    found += [_Literal("hex", needle) for needle in _both_cases(token.hex().encode())]
    found += _base64_patterns(token)
    found.append(_Percent(token))
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return found  # not a text: there is no UTF-16 of it
    found += [
        _Literal("utf-16-le", text.encode("utf-16-le")),
        _Literal("utf-16-be", text.encode("utf-16-be")),
    ]
    return found


def _base64_patterns(token: bytes) -> Iterator[Pattern]:
    for alignment in range(3):
        standard = _Base64("base64", token, alignment, urlsafe=False)
        urlsafe = _Base64("base64url", token, alignment, urlsafe=True)
        yield standard
        if urlsafe.core != standard.core:
            yield urlsafe


def _both_cases(digits: bytes) -> list[bytes]:
    return list(dict.fromkeys((digits, digits.upper())))


def _percent_or_plain(byte: int) -> bytes:
    digits = b"".join(
        b"[%c%c]" % (digit, digit - 32) if digit >= ord("a") else b"%c" % digit
        for digit in b"%02x" % byte
    )
    return b"(?:%s|%%%s)" % (re.escape(bytes([byte])), digits)
