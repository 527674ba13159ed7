"""DER as certificates use it (X.690): values encoded, and a value taken apart into its parts.

Just enough to write what no library wants to write, and to cut one extension out of a certificate.
Encoding trusts its caller: it makes what it is told. Taking apart takes bytes from anybody and
raises PKIError for what is not DER. Knows nothing of certificates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from tlslab.errors import PKIError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = b"\x05\x00"
OBJECT_IDENTIFIER: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30

_FIRST_GENERALIZED_YEAR: Final = 2050  # RFC 5280 section 4.1.2.5: earlier ones in two digits
_LONG_FORM: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4  # four gigabytes; no certificate comes near


def tlv(tag: int, *contents: bytes) -> bytes:
    """One value: its tag, its length and its contents."""
    body = b"".join(contents)
    size = len(body)
    if size < _LONG_FORM:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of encoded values."""
    return tlv(SEQUENCE, *parts)


def tagged(number: int, *parts: bytes) -> bytes:
    """An explicitly tagged, constructed value: `[number]` in ASN.1."""
    return tlv(0xA0 | number, *parts)


def integer(value: int) -> bytes:
    """An INTEGER of any size and sign, in two's complement and as few octets as possible."""
    bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
    return tlv(INTEGER, value.to_bytes(bits // 8 + 1, signed=True))


def boolean(value: bool) -> bytes:
    """A BOOLEAN; DER knows one octet only for true."""
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def octet_string(data: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTET_STRING, data)


def bit_string(data: bytes) -> bytes:
    """A BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00", data)


def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(OBJECT_IDENTIFIER, *map(_base128, (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(arc & 0x7F | 0x80)
    return bytes(reversed(octets))


def time(moment: datetime) -> bytes:
    """A Time as RFC 5280 section 4.1.2.5 wants it: UTCTime before 2050, then GeneralizedTime."""
    moment = moment.astimezone(UTC)
    if moment.year < _FIRST_GENERALIZED_YEAR:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def contents(data: bytes) -> bytes:
    """What is inside the one value that `data` is; raises PKIError if it is not exactly one."""
    start, end = _bounds(data, 0)
    if end != len(data):
        raise PKIError("not DER: something follows the value")
    return data[start:end]


def parts(data: bytes) -> list[bytes]:
    """The encoded values that follow one another in `data`; raises PKIError if it is not that."""
    return list(_parts(data))


def _parts(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        _, end = _bounds(data, at)
        yield data[at:end]
        at = end


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Where the contents of the value at `at` start and end."""
    if len(data) < at + 2:
        raise PKIError("not DER: cut off")
    if data[at] & 0x1F == 0x1F:
        raise PKIError("not DER that certificates use: a tag of several octets")
    size, start = data[at + 1], at + 2
    if size >= _LONG_FORM:
        count = size - _LONG_FORM
        size = int.from_bytes(data[start : start + count])
        start += count
        if not 0 < count <= _MAX_LENGTH_OCTETS or size < _LONG_FORM or size >> (count - 1) * 8 == 0:
            raise PKIError("not DER: a length that is not in its shortest form")
    if start + size > len(data):
        raise PKIError("not DER: cut off")
    return start, start + size
