"""TLS over any trio stream, with reasons when it fails; and TLS bytes read without keys.

    judgement.py  what a client's own check is shown, and how it objects
    policy.py     what an end insists on and offers, as data
    keylog.py     secrets in the NSS format, for Wireshark
    alerts.py     every registered alert, explained
    notes.py      what OpenSSL's callbacks are told and find out about one connection
    bindings.py   the few functions of OpenSSL that pyOpenSSL does not hand out
    errors.py     how a connection fails, with data
    context.py    from a policy to OpenSSL's context and a connection in it
    facts.py      what a handshake settled; sessions to resume
    failure.py    from OpenSSL's error numbers to errors
    engine.py     one end of a connection without I/O
    duplex.py     an engine and its transport, both directions at once
    choice.py     a server's policy, chosen by the name in the ClientHello
    stream.py     TLSStream: the life of a connection

Each file imports only from those above it. `records`, `hello`, `registry` and `fingerprint` read
TLS bytes without keys; of these, `choice` makes use, and `decryption`, which opens recordings with
keys and of which nothing here makes use.
"""

from __future__ import annotations

from tlslab.tls.alerts import Alert, explain_alert
from tlslab.tls.errors import (
    BrokenConnection,
    CertificateRefused,
    HandshakeFailure,
    TruncationError,
)
from tlslab.tls.facts import Session, TLSFacts
from tlslab.tls.judgement import Judge, Objection, Shown
from tlslab.tls.keylog import KeyLog
from tlslab.tls.policy import (
    AnyVersion,
    ClientPolicy,
    RetiredVersion,
    ServerChoice,
    ServerPolicy,
    Version,
)
from tlslab.tls.stream import TLSStream

__all__ = [
    "Alert",
    "AnyVersion",
    "BrokenConnection",
    "CertificateRefused",
    "ClientPolicy",
    "HandshakeFailure",
    "Judge",
    "KeyLog",
    "Objection",
    "RetiredVersion",
    "ServerChoice",
    "ServerPolicy",
    "Session",
    "Shown",
    "TLSFacts",
    "TLSStream",
    "TruncationError",
    "Version",
    "explain_alert",
]
