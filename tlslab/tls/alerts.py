"""TLS alerts: every number that is registered, what it means, why it comes, what to do.

Source: the IANA registry "TLS Alerts" with RFC 8446 section 6, and the RFC named where another one
defines the alert. Knows nothing of connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlslab.pki import Explanation

CLOSE_NOTIFY: Final = 0
UNRECOGNIZED_NAME: Final = 112
WARNINGS: Final = frozenset({CLOSE_NOTIFY, 90, 100})
"""Alerts after which a connection may go on or ends in order (RFC 8446 section 6.1, RFC 5246)."""

FATAL: Final = 2  # AlertLevel, RFC 8446 section 6

_TABLE: Final[dict[int, tuple[str, str, str, str]]] = {
    0: (
        "close_notify",
        "the sender will send nothing more; not an error",
        "the connection was closed in order",
        "nothing to fix; without it a cut connection could pass for a complete one",
    ),
    10: (
        "unexpected_message",
        "a message came that has no place at this point of the protocol",
        "a forged or reordered record, or a peer that breaks the protocol",
        "look at the capture for what was sent out of turn; suspect whoever can alter packets",
    ),
    20: (
        "bad_record_mac",
        "a record did not authenticate",
        "bytes were altered, replayed, dropped or reordered on the way, or the keys differ because"
        " the hellos were altered",
        "find what lies between the two ends: nothing there may touch the bytes",
    ),
    21: (
        "decryption_failed",
        "reserved; told a failed decryption apart from a failed MAC, which helps attackers",
        "a peer from before TLS 1.1",
        "update the peer",
    ),
    22: (
        "record_overflow",
        "a record was longer than 2^14 bytes plus the expansion allowed",
        "bytes that are not TLS, or a peer that breaks the record limit",
        "check that both ends speak TLS on this port",
    ),
    30: (
        "decompression_failure",
        "reserved; compressed data could not be expanded",
        "a peer with TLS compression, which CRIME broke",
        "switch compression off",
    ),
    40: (
        "handshake_failure",
        "no set of parameters suits both ends",
        "no common cipher suite, group or signature algorithm; in TLS 1.2 also a missing client"
        " certificate, and a server that has no certificate for what the client offers",
        "compare versions, cipher suites and groups of both ends; give the client its certificate",
    ),
    41: (
        "no_certificate",
        "reserved; in SSL 3.0 a client without a certificate said so",
        "a peer that speaks SSL 3.0",
        "update the peer",
    ),
    42: (
        "bad_certificate",
        "a certificate is damaged or does not fit, such as one for another name",
        "the name asked for is not in the certificate, it is not yet valid, or its key is too weak",
        "issue a certificate for the very name that clients use, and check the clocks",
    ),
    43: (
        "unsupported_certificate",
        "a certificate of a kind that may not be used here",
        "its extended key usage names another purpose, such as a server's for a client",
        "issue a certificate with the right extended key usage",
    ),
    44: (
        "certificate_revoked",
        "the certificate's issuer has revoked it",
        "its key was lost or stolen, or it was replaced",
        "issue a new certificate with a new key",
    ),
    45: (
        "certificate_expired",
        "a certificate is past its end, or not valid now",
        "nobody renewed it, or a clock is wrong",
        "renew it (also look at the intermediate), and check both clocks",
    ),
    46: (
        "certificate_unknown",
        "a certificate was refused for a reason without an alert of its own",
        "a name constraint, an unknown critical extension, or a person or program that said no",
        "read the refusing side's log: it knows the reason",
    ),
    47: (
        "illegal_parameter",
        "a field holds a value that is not allowed, or that contradicts another",
        "altered hellos, a downgrade in progress, a message over a limit, or a broken peer",
        "suspect whoever can alter packets; then compare what was offered with what was chosen",
    ),
    48: (
        "unknown_ca",
        "the chain does not lead to a root that the sender trusts",
        "the root is not installed, the intermediate was not sent, or somebody else answered",
        "install the root at the side that refused, send the whole chain, or find the interceptor",
    ),
    49: (
        "access_denied",
        "the certificate is good, but its holder may not enter",
        "the access rules of the sender",
        "ask for access, or show another certificate",
    ),
    50: (
        "decode_error",
        "a message could not be parsed: a length or a range is wrong",
        "altered bytes, a connection cut inside a message, or a broken peer",
        "look at the capture for the message that is cut or altered",
    ),
    51: (
        "decrypt_error",
        "a signature or a Finished message does not verify",
        "a certificate shown without its key, a forged signature, or altered hellos",
        "check that the key belongs to the certificate; otherwise suspect an attack",
    ),
    52: (
        "too_many_cids_requested",
        "the peer asked for more connection ids than allowed (RFC 9147)",
        "a DTLS 1.3 peer without measure; TLS over TCP has no connection ids",
        "ask for fewer",
    ),
    60: (
        "export_restriction",
        "reserved; export rules of the 1990s were broken",
        "a peer from before TLS 1.1",
        "update the peer",
    ),
    70: (
        "protocol_version",
        "the version offered is known, but not allowed",
        "one end is limited to older or newer versions than the other",
        "let both ends speak TLS 1.3, or at least TLS 1.2",
    ),
    71: (
        "insufficient_security",
        "what the client offers is too weak for the server",
        "old cipher suites, short keys, or a high security level at the server",
        "update the client, or allow it stronger parameters",
    ),
    80: (
        "internal_error",
        "something unrelated to the peer or to TLS went wrong",
        "a bug, a lack of memory, or a failing callback at the sender",
        "read the sender's log",
    ),
    86: (
        "inappropriate_fallback",
        "the client came back with a lower version although the server could do better (RFC 7507)",
        "somebody broke the first attempt to force a downgrade, or the client gave up too soon",
        "do not retry with lower versions",
    ),
    90: (
        "user_canceled",
        "the handshake was given up for a reason that has nothing to do with TLS",
        "a person or program stopped the connection",
        "try again",
    ),
    100: (
        "no_renegotiation",
        "the sender will not negotiate anew (TLS 1.2)",
        "the peer asked for renegotiation, which is switched off as it was often attacked",
        "do without it, or use TLS 1.3",
    ),
    109: (
        "missing_extension",
        "a hello lacks an extension that must be there",
        "a peer that breaks TLS 1.3, or altered hellos",
        "update the peer; compare its hello with the capture",
    ),
    110: (
        "unsupported_extension",
        "a server answered with an extension that the client had not offered",
        "altered hellos or a broken server",
        "compare both hellos in captures from both sides",
    ),
    111: (
        "certificate_unobtainable",
        "reserved; a certificate could not be fetched from the client's URL (RFC 6066)",
        "a peer with the abandoned client certificate URLs",
        "send certificates in the handshake",
    ),
    112: (
        "unrecognized_name",
        "the server does not serve the name asked for (RFC 6066 section 3)",
        "a wrong or missing server name (SNI), or a virtual host that is not configured",
        "check the name the client asks for and the names the server has",
    ),
    113: (
        "bad_certificate_status_response",
        "the stapled OCSP response is invalid (RFC 6066 section 8)",
        "a stale, forged or revoked status, or none where the client insists on one",
        "renew the server's staple, or the certificate if it was revoked",
    ),
    114: (
        "bad_certificate_hash_value",
        "reserved; a fetched certificate does not match its hash (RFC 6066)",
        "a peer with the abandoned client certificate URLs",
        "send certificates in the handshake",
    ),
    115: (
        "unknown_psk_identity",
        "the server knows none of the pre-shared keys offered (RFC 4279)",
        "a key that was never installed or was replaced",
        "install the same key at both ends",
    ),
    116: (
        "certificate_required",
        "the server insists on a client certificate, and none came",
        "the client has none; on TLS 1.3 it learns so only with its first read",
        "give the client a certificate that the server's client roots vouch for",
    ),
    117: (
        "general_error",
        "something failed that has no alert of its own (RFC 9846)",
        "the sender prefers to say no more",
        "read the sender's log",
    ),
    120: (
        "no_application_protocol",
        "the server speaks none of the protocols the client offers (RFC 7301 section 3.2)",
        "ALPN lists without overlap, such as a client that offers h2 only",
        "add a common protocol, such as http/1.1, at one end",
    ),
    121: (
        "ech_required",
        "the client insists on Encrypted ClientHello, and the server did not decrypt it (RFC 9849)",
        "a stale ECH configuration, or somebody strips ECH",
        "fetch the server's configuration anew",
    ),
}

REGISTERED: Final = frozenset(_TABLE)
"""The alert numbers that are registered, also those reserved for what came before."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, by its number on the wire (RFC 8446 section 6)."""

    number: int

    @property
    def name(self) -> str:
        """Its registered name, or `alert <number>`."""
        return explain_alert(self.number).name

    @property
    def explanation(self) -> Explanation:
        """What it means, its usual cause and the fix."""
        return explain_alert(self.number)

    def __str__(self) -> str:
        return f"{self.name} ({self.number})"


def explain_alert(number: int) -> Explanation:
    """What the alert with this number means; an unregistered one gets an honest general answer."""
    name, meaning, cause, fix = _TABLE.get(number) or (
        f"alert {number}",
        "not a registered alert",
        "a peer with an extension of its own, or bytes that are not TLS",
        "read the sender's log",
    )
    return Explanation(name=name, meaning=meaning, cause=cause, fix=fix)
