"""From secrets to the keys of records: the PRF of TLS 1.2 and the HKDF of TLS 1.3.

Pure functions, each with the RFC's section. They know hashes and labels, no records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tlslab.tls.decryption.suites import Mode, Suite

MASTER_SECRET_SIZE: Final = 48  # bytes, RFC 5246 section 8.1

# Parts of a nonce that are derived and stay: RFC 5288 section 3, RFC 6655 section 3; RFC 7905
# section 2. With CBC the initialisation vector travels with the record (RFC 5246 section 6.2.3.2).
_FIXED_IV: Final = {Mode.GCM: 4, Mode.CCM: 4, Mode.CCM_8: 4, Mode.CHACHA20: 12, Mode.CBC: 0}
_TLS13_IV: Final = 12  # RFC 8446 section 5.3


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """The keys of one direction: `key` encrypts, `mac_key` is empty where the cipher does both."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    mac_key: bytes = field(repr=False, default=b"")


def prf(secret: bytes, label: bytes, seed: bytes, length: int, hash_: HashAlgorithm) -> bytes:
    """The pseudorandom function of TLS 1.2 (RFC 5246 section 5)."""
    seed = label + seed
    out, a = b"", seed
    while len(out) < length:
        a = _hmac(secret, a, hash_)
        out += _hmac(secret, a + seed, hash_)
    return out[:length]


def master_secret(
    premaster: bytes, client_random: bytes, server_random: bytes, hash_: HashAlgorithm
) -> bytes:
    """The master secret as RFC 5246 section 8.1 derives it."""
    seed = client_random + server_random
    return prf(premaster, b"master secret", seed, MASTER_SECRET_SIZE, hash_)


def extended_master_secret(premaster: bytes, handshake: bytes, hash_: HashAlgorithm) -> bytes:
    """The master secret bound to the handshake (RFC 7627 section 4).

    `handshake` are all handshake messages up to and including ClientKeyExchange.
    """
    digest = Hash(hash_)
    digest.update(handshake)
    session_hash = digest.finalize()
    return prf(premaster, b"extended master secret", session_hash, MASTER_SECRET_SIZE, hash_)


def tls12_keys(
    master: bytes, client_random: bytes, server_random: bytes, suite: Suite
) -> tuple[RecordKeys, RecordKeys]:
    """The client's and the server's keys, cut from the key block (RFC 5246 section 6.3)."""
    mac_size = suite.mac.digest_size if suite.mac else 0
    sizes = [mac_size, mac_size, suite.key_size, suite.key_size, *[_FIXED_IV[suite.mode]] * 2]
    block = prf(master, b"key expansion", server_random + client_random, sum(sizes), suite.hash)
    parts, start = [], 0
    for size in sizes:
        parts.append(block[start : start + size])
        start += size
    return (
        RecordKeys(parts[2], parts[4], parts[0]),
        RecordKeys(parts[3], parts[5], parts[1]),
    )


def tls13_keys(secret: bytes, suite: Suite) -> RecordKeys:
    """The keys of one direction from its traffic secret (RFC 8446 section 7.3)."""
    return RecordKeys(
        expand_label(secret, b"key", suite.key_size, suite.hash),
        expand_label(secret, b"iv", _TLS13_IV, suite.hash),
    )


def next_secret(secret: bytes, suite: Suite) -> bytes:
    """The application traffic secret after a KeyUpdate (RFC 8446 section 7.2)."""
    return expand_label(secret, b"traffic upd", suite.hash.digest_size, suite.hash)


def expand_label(secret: bytes, label: bytes, length: int, hash_: HashAlgorithm) -> bytes:
    """HKDF-Expand-Label without a context (RFC 8446 section 7.1)."""
    full = b"tls13 " + label
    info = length.to_bytes(2) + bytes((len(full),)) + full + b"\0"
    return HKDFExpand(hash_, length, info).derive(secret)


def _hmac(key: bytes, data: bytes, hash_: HashAlgorithm) -> bytes:
    mac = HMAC(key, hash_)
    mac.update(data)
    return mac.finalize()
