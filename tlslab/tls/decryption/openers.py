"""Records opened: decrypted, and authenticated before a byte is handed out.

An opener belongs to one direction and one set of keys, and counts records (RFC 8446 section 5.3,
RFC 5246 section 6.1). A record that does not authenticate raises and is not counted. Whoever
reads this decrypts for himself what he recorded: constant time is no concern here.
"""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from tlslab.tls.decryption.schedule import RecordKeys
from tlslab.tls.decryption.suites import Mode, Suite
from tlslab.tls.records import Record

_TAG: Final = 16
_SHORT_TAG: Final = 8  # CCM_8, RFC 6655 section 4
_EXPLICIT_NONCE: Final = 8  # RFC 5288 section 3
_BLOCK: Final = 16  # of AES, in bytes


class NotAuthentic(Exception):
    """A record that these keys did not make."""


class Opener(Protocol):
    """Opens the records of one direction, one after another."""

    def open(self, record: Record) -> bytes:
        """The plaintext of the next record. Raises `NotAuthentic`."""


def tls12_opener(suite: Suite, keys: RecordKeys, *, encrypt_then_mac: bool) -> Opener:
    """The opener of one direction of TLS 1.2."""
    if suite.mac is None:
        return _AEAD12(suite.mode, keys)
    return _CBC(keys, suite.mac, encrypt_then_mac=encrypt_then_mac)


def tls13_opener(suite: Suite, keys: RecordKeys) -> Opener:
    """The opener of one direction of TLS 1.3; what it returns ends in type and padding."""
    return _AEAD13(suite.mode, keys)


def _cipher(mode: Mode, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    match mode:
        case Mode.CHACHA20:
            return ChaCha20Poly1305(key)
        case Mode.CCM | Mode.CCM_8:
            return AESCCM(key, tag_length=_tag_size(mode))
        case _:
            return AESGCM(key)


def _tag_size(mode: Mode) -> int:
    return _SHORT_TAG if mode is Mode.CCM_8 else _TAG


def _masked(iv: bytes, sequence: int) -> bytes:
    """The nonce of RFC 8446 section 5.3 and RFC 7905 section 2: the iv, and the number on top."""
    return bytes(a ^ b for a, b in zip(iv, sequence.to_bytes(len(iv)), strict=True))


class _AEAD12:
    """GCM, CCM and ChaCha20-Poly1305 in TLS 1.2 (RFC 5246 section 6.2.3.3)."""

    def __init__(self, mode: Mode, keys: RecordKeys) -> None:
        self._cipher = _cipher(mode, keys.key)
        self._iv = keys.iv
        self._explicit = 0 if mode is Mode.CHACHA20 else _EXPLICIT_NONCE
        self._overhead = self._explicit + _tag_size(mode)
        self._sequence = 0

    def open(self, record: Record) -> bytes:
        length = len(record.payload) - self._overhead
        if length < 0:
            raise NotAuthentic
        nonce = (
            self._iv + record.payload[: self._explicit]
            if self._explicit
            else _masked(self._iv, self._sequence)
        )
        try:
            plain = self._cipher.decrypt(
                nonce, record.payload[self._explicit :], _head(self._sequence, record, length)
            )
        except InvalidTag:
            raise NotAuthentic from None
        self._sequence += 1
        return plain


class _AEAD13:
    """Every cipher of TLS 1.3 (RFC 8446 section 5.2)."""

    def __init__(self, mode: Mode, keys: RecordKeys) -> None:
        self._cipher = _cipher(mode, keys.key)
        self._iv = keys.iv
        self._sequence = 0

    def open(self, record: Record) -> bytes:
        payload = record.payload
        header = bytes((record.content_type,)) + record.version.to_bytes(2)
        header += len(payload).to_bytes(2)
        try:
            plain = self._cipher.decrypt(_masked(self._iv, self._sequence), payload, header)
        except InvalidTag:
            raise NotAuthentic from None
        self._sequence += 1
        return plain


class _CBC:
    """AES in CBC mode with HMAC (RFC 5246 section 6.2.3.2), also encrypt-then-MAC (RFC 7366)."""

    def __init__(self, keys: RecordKeys, mac: HashAlgorithm, *, encrypt_then_mac: bool) -> None:
        self._key = keys.key
        self._mac_key = keys.mac_key
        self._mac = mac
        self._encrypt_then_mac = encrypt_then_mac
        self._sequence = 0

    def open(self, record: Record) -> bytes:
        if self._encrypt_then_mac:
            sealed = self._checked(record, record.payload)
            plain = self._unpadded(sealed)
        else:
            plain = self._checked(record, self._unpadded(record.payload))
        self._sequence += 1
        return plain

    def _checked(self, record: Record, data: bytes) -> bytes:
        """`data` without the MAC at its end, which must be right."""
        size = len(data) - self._mac.digest_size
        if size < 0:
            raise NotAuthentic
        body, tag = data[:size], data[size:]
        head = _head(self._sequence, record, size)
        if not hmac.compare_digest(hmac.digest(self._mac_key, head + body, self._mac.name), tag):
            raise NotAuthentic
        return body

    def _unpadded(self, data: bytes) -> bytes:
        """Decrypted; the last byte says how many like it stand before it."""
        if len(data) < 2 * _BLOCK or len(data) % _BLOCK:
            raise NotAuthentic
        decryptor = Cipher(AES(self._key), CBC(data[:_BLOCK])).decryptor()
        plain = decryptor.update(data[_BLOCK:]) + decryptor.finalize()
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != bytes((padding - 1,)) * padding:
            raise NotAuthentic
        return plain[:-padding]


def _head(sequence: int, record: Record, length: int) -> bytes:
    """What is authenticated beside a TLS 1.2 record's content: number, type, version, length."""
    return (
        sequence.to_bytes(8)
        + bytes((record.content_type,))
        + record.version.to_bytes(2)
        + length.to_bytes(2)
    )
