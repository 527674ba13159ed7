"""Recorded TLS opened afterwards with a key: what somebody gets who recorded first and stole later.

    suites.py      what a cipher suite's name says: key exchange, cipher, hashes
    schedule.py    from secrets to the keys of records: PRF of TLS 1.2, HKDF of TLS 1.3
    opened.py      what comes out of it, and the error for what does not
    openers.py     records opened and authenticated: AEAD, and CBC with HMAC
    secrets.py     what the holder has: a key log, private keys, sessions
    stored_session.py   a session as OpenSSL's programs store it
    recording.py   the two directions of a connection as records and plain messages
    tls12.py       a TLS 1.2 connection opened
    tls13.py       a TLS 1.3 connection opened
    decryptor.py   one connection after another, with what each teaches about the next

Bytes in, values out: no I/O, no connection of OpenSSL, no lab. Nothing is guessed: a byte is handed
out only after its record has authenticated, and whatever stays shut comes with the reason.
"""

from __future__ import annotations

from tlslab.tls.decryption.decryptor import Decryptor
from tlslab.tls.decryption.opened import CannotDecrypt, Fragment, Opened, OpenedSide
from tlslab.tls.decryption.recording import Recording
from tlslab.tls.decryption.secrets import KeyLogSecrets, Secrets
from tlslab.tls.decryption.stored_session import StoredSession

__all__ = [
    "CannotDecrypt",
    "Decryptor",
    "Fragment",
    "KeyLogSecrets",
    "Opened",
    "OpenedSide",
    "Recording",
    "Secrets",
    "StoredSession",
]
