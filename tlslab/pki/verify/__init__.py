"""Verification that explains itself: a verdict with its reason, its rule and its fix.

    verdict.py       what is said in the end
    checks/          checks beyond those of the verifiers, one row each
    opinions.py      the two verifiers: OpenSSL, and that of cryptography
    malformed.py     what cryptography raises for malformed content
    paths.py         the paths from a leaf to a trust anchor
    status/          what revocation lists and OCSP responses prove
    rules.py         the rule behind each X509 error number
    findings.py      findings about the input as a whole
    policy.py        what it takes to be accepted, as data
    reference.py     the name that is expected
    material.py      what is handed over, read
    engine.py        the verification

Everything is computed from arguments: no clock, no file, no network. What a peer sends is never an
error; errors are for the caller's mistakes.
"""

from __future__ import annotations

from tlslab.pki.verify.checks.base import Check, Purpose
from tlslab.pki.verify.engine import pin_of, verify
from tlslab.pki.verify.policy import (
    DEFAULT,
    POLICIES,
    PUBLIC,
    STRICT,
    Policy,
    Revocation,
    pinned,
)
from tlslab.pki.verify.verdict import Finding, Opinion, Verdict

__all__ = [
    "DEFAULT",
    "POLICIES",
    "PUBLIC",
    "STRICT",
    "Check",
    "Finding",
    "Opinion",
    "Policy",
    "Purpose",
    "Revocation",
    "Verdict",
    "pin_of",
    "pinned",
    "verify",
]
