"""tlslab: a network lab that shows, with evidence, who can read what.

    errors.py     the tree of errors
    shipped.py    where profiles and scenarios lie, in a checkout and in a wheel
    pki/          who can prove what: profiles, authority, trust, keys on disk, X509 errors
    tls/          TLS over any trio stream, policies, keylog, alerts; TLS bytes read without keys
    http/         HTTP/1.1 and WebSocket over any trio stream
    net/          the lab's network: hosts, names, paths, taps, interceptors; on loopback
    capture/      pcapng in and out, flows, what an eavesdropper learns, canary search, comparison
    proxy/        proxies as tools of their own: terminate, intercept, relay
    attack/       active attacks on the path, at the level of records, without a key
    envelope/     the formats of sealed bytes and key files
    database/     state in SQLite or PostgreSQL: reads side by side, writes one after the other
    iam/          who asks, and may they: identities, signatures, policies
    seal/         the root of trust
    audit/        the append-only, chained trail of who used which key
    kms/          keys, versions, policies, grants, rotation; and its wire API
    store/        buckets and objects encrypted at rest; and the S3 wire API
    volume/       encrypted block volumes and their snapshots
    clientside/   encryption before upload
    endpoint/     store, KMS and audit behind one door, for real clients
    probe/        whether somebody's client can be intercepted
    lab/          puts parties and adversaries on a network; scenarios, evidence, verdicts
    exercise/     objectives, hints, checks, progress
    report/       evidence as terminal tables, HTML, JSON, JUnit
    cli/          one file per subcommand; nothing imports it

Data flows one way: lower layers know nothing of higher ones. A test walks the imports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "ApplicationKey",
    "Canary",
    "CustomerKey",
    "KeyType",
    "Lab",
    "Outcome",
    "TlslabError",
    "Version",
    "__version__",
    "decrypt",
    "encrypt",
    "scenario",
    "scenarios",
]

if TYPE_CHECKING:
    from tlslab.clientside import ApplicationKey, decrypt, encrypt
    from tlslab.errors import TlslabError
    from tlslab.lab import Canary, CustomerKey, Lab, Outcome, scenario, scenarios
    from tlslab.pki import KeyType
    from tlslab.tls import Version

_HOMES = {
    "ApplicationKey": "tlslab.clientside",
    "Canary": "tlslab.lab",
    "CustomerKey": "tlslab.lab",
    "KeyType": "tlslab.pki",
    "Lab": "tlslab.lab",
    "Outcome": "tlslab.lab",
    "TlslabError": "tlslab.errors",
    "Version": "tlslab.tls",
    "decrypt": "tlslab.clientside",
    "encrypt": "tlslab.clientside",
    "scenario": "tlslab.lab",
    "scenarios": "tlslab.lab",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that `tlslab --version` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
